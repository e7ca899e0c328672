"""A full disk, told from other reasons why a write failed."""

from __future__ import annotations

import errno
from pathlib import Path

from torch.distributed.checkpoint.api import CheckpointException

from acereason.files import PARTIAL, sync

PROBE_BYTES = 2**20


def disk_is_full(folder: Path, error: BaseException) -> bool:
    """Return whether a write to an existing folder failed because its disk is full.

    torch's own writer says only that its stream broke, so this function writes a little to find out.
    """
    if names_full_disk(error):
        return True
    probe = folder / f".space{PARTIAL}"
    try:
        probe.write_bytes(bytes(PROBE_BYTES))
        sync(probe)
    except OSError as probed:
        return names_full_disk(probed)
    finally:
        probe.unlink(missing_ok=True)
    return False


def names_full_disk(error: BaseException | None) -> bool:
    """Return whether an error, one that it wraps or one that another rank reported says that the disk is full."""
    if error is None:
        return False
    if isinstance(error, CheckpointException):
        return any(names_full_disk(failure) for failure, _ in error.failures.values())
    is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return is_full or names_full_disk(error.__cause__) or names_full_disk(error.__context__)
