"""What a killed process leaves behind on the machine: groups and folders, whose names tell who made them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

_NAME = re.compile(r"acereason-(\d+)-\w*")


def own_name(what: str) -> str:
    """A name for something that this process makes and takes away."""
    return f"acereason-{os.getpid()}-{what}"


def sweep(patience_seconds: float = 0.0) -> None:
    """Take away what processes left that are no more.

    Args:
        patience_seconds: how long to wait for groups whose processes are still dying.
    """
    from acereason.rewards.sandbox.pids_cgroup import parent_folder

    last = time.monotonic() + patience_seconds
    folders = [folder for folder in (parent_folder(), Path(tempfile.gettempdir())) if folder]
    while any([_swept(folder) for folder in folders]) and time.monotonic() < last:
        time.sleep(0.02)


def _swept(folder: Path) -> bool:
    """Whether something of a dead process is still there after an attempt to take it away."""
    left = False
    for entry in folder.glob("acereason-*"):
        match = _NAME.fullmatch(entry.name)
        if match and not Path(f"/proc/{match[1]}").exists() and entry.stat().st_uid == os.geteuid():
            if (entry / "cgroup.procs").exists():
                with contextlib.suppress(OSError):
                    entry.rmdir()
            else:
                shutil.rmtree(entry, ignore_errors=True)
            left = left or entry.exists()
    return left
