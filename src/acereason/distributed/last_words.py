"""The last line of a rank, after everything that it printed before, written without waiting for anybody."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable


def show(cause: str) -> None:
    """Write `error: <cause>` to standard error in one piece, after everything printed before."""
    flush_output()
    line = f"error: {cause}\n".encode(errors="backslashreplace")
    _at_most_a_second(lambda: os.write(2, line))


def flush_output() -> None:
    """Flush standard output and standard error, waiting at most a second for each."""
    for stream in (sys.stdout, sys.stderr):
        if stream:
            _at_most_a_second(stream.flush)


def _at_most_a_second(write: Callable[[], object]) -> None:
    """Call `write` in a thread: a full pipe, or a lock held by another thread, must not keep this process alive."""

    def quietly() -> None:
        with contextlib.suppress(OSError, ValueError):  # a terminal that is gone, a stream that is closed
            write()

    thread = threading.Thread(target=quietly, daemon=True)
    thread.start()
    thread.join(1.0)
