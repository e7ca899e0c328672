"""A cgroup that bounds the processes of a zone: as root the only thing that does, beside the user namespace."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from acereason.sandbox.leftovers import own_name

_ROOT = Path("/sys/fs/cgroup")
GONE_SECONDS = 1.0


def parent_folder() -> Path | None:
    """Where groups can be made that count processes; None when nowhere, as for most users who are not root."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        folder = _ROOT / "pids" / path.strip("/") if "pids" in controllers.split(",") else _ROOT / path.strip("/")
        if controllers and "pids" not in controllers.split(","):
            continue
        if (folder / "cgroup.procs").exists() and os.access(folder, os.W_OK) and _counts(folder):
            return folder
    return None


def _counts(folder: Path) -> bool:
    """By making a group there, and looking whether it has a limit of processes."""
    trial = folder / own_name("trial")
    try:
        trial.mkdir()
    except OSError:
        return False
    counts = (trial / "pids.max").exists()
    trial.rmdir()
    return counts


class PidsCgroup:
    """A group for one zone."""

    def __init__(self, parent: Path, number: int, limit: int) -> None:
        self._folder = parent / own_name(str(number))
        self._folder.mkdir()
        (self._folder / "pids.max").write_text(str(limit))

    def add(self, pid: int) -> None:
        """Move a process into the group; what it starts from now on is in it too."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    def close(self) -> None:
        """Take the group away; its processes must have been ended, and may need a moment to be gone."""
        last = time.monotonic() + GONE_SECONDS
        while self._folder.exists() and time.monotonic() < last:
            with contextlib.suppress(OSError):
                self._folder.rmdir()
                return
            time.sleep(0.001)
