"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"
"""Ending of a name while what it names is being written."""


def partial_path(path: Path) -> Path:
    """Return the hidden name beside `path` to write it under; patterns such as `*.parquet` do not match it."""
    return path.with_name(f".{path.name}{PARTIAL}")


@contextmanager
def whole_file(path: Path, beside: Path | None = None) -> Iterator[Path]:
    """Yield a path to write to; if the block succeeds, rename that file to `path`, replacing an earlier file.

    The content is on the disk before the file is renamed, so that a power failure leaves no file that only looks
    complete. If the block fails, the new file is removed and `path` stays as it was.

    Args:
        path: of the file.
        beside: path to write to, in the same folder; `partial_path(path)` if None.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = beside or partial_path(path)
    try:
        yield beside
        sync(beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's names, to the disk, so that they survive a power failure."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not (path.is_dir() and error.errno == errno.EINVAL):  # some network disks have no such call for folders
            raise
    finally:
        os.close(handle)
