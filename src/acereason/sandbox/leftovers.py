"""Folders and control groups that zones make on the machine and must remove; their names tell which process made them.

A process that is killed cannot remove its own, so others do.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

_NAME = re.compile(r"acereason-(\d+)-(\d+)-\w*")
_CGROUPS = Path("/sys/fs/cgroup")
GONE_SECONDS = 1.0
"""How long the processes of a control group may take to be gone after they were killed."""


def own_name(what: str) -> str:
    """Return a name for something that this process makes: it contains the process's PID namespace and number."""
    return f"acereason-{_namespace()}-{os.getpid()}-{what}"


def _namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino


def sweep(patience_seconds: float = 0.0) -> None:
    """Remove what dead processes of this PID namespace left behind. Never raises.

    Args:
        patience_seconds: how long to wait for groups whose processes are still dying.
    """
    import tempfile  # not for the zygote, which uses this module too

    last = time.monotonic() + patience_seconds
    folders = [folder for folder in (cgroup_parent(), Path(tempfile.gettempdir())) if folder]
    while any([_is_left_after_sweep(folder) for folder in folders]) and time.monotonic() < last:
        time.sleep(0.02)


def _is_left_after_sweep(folder: Path) -> bool:
    """Try to remove what dead processes left in a folder; return whether some of it is still there."""
    left = False
    for entry in folder.glob("acereason-*"):
        match = _NAME.fullmatch(entry.name)
        with contextlib.suppress(OSError):  # another process sweeps too
            if match and _is_orphan(entry, int(match[1]), match[2]):
                remove(entry)
                left = left or entry.exists()
    return left


def _is_orphan(entry: Path, namespace: int, process: str) -> bool:
    ours = namespace == _namespace() and entry.stat().st_uid == os.geteuid()
    return ours and not Path(f"/proc/{process}").exists()


def remove(folder: Path) -> None:
    """Remove a control group, or a folder that a program wrote to. Never raises."""
    with contextlib.suppress(OSError):
        os.rmdir(folder)  # enough for a control group, whose files are not files
        return
    with contextlib.suppress(OSError):
        empty(folder)
        os.rmdir(folder)


def empty(folder: Path | str) -> None:
    """Delete all that is in a folder, however deep: what is in a folder inside moves up before that one is deleted.

    Raises:
        OSError: something cannot be deleted.
    """
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    moved = 0
    try:
        while names := os.listdir(top):
            for name in names:
                if not _is_folder(name, top):
                    os.unlink(name, dir_fd=top)
                    continue
                os.chmod(name, 0o700, dir_fd=top)
                inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
                try:
                    for inner in os.listdir(inside):
                        moved += 1
                        os.rename(inner, f"acereason-moved-{moved}", src_dir_fd=inside, dst_dir_fd=top)
                finally:
                    os.close(inside)
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)


def _is_folder(name: str, parent: int) -> bool:
    return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode & 0o170000 == 0o040000


def larger_than(folder: Path | str, size: int, entries: int) -> bool:
    """Return whether a folder holds more than `size` bytes, or more than `entries` files and folders."""
    waiting, seen, used = [str(folder)], 0, 0
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as found:
            for entry in found:
                seen += 1
                used += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                if seen > entries or used > size:
                    return True
    return False


# Control groups that bound the processes of a zone: as root the only thing that does, beside the user namespace.


def cgroup_parent() -> Path | None:
    """Return the folder where groups that count processes can be made; None for most users who are not root."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        folder = _CGROUPS / "pids" / path.strip("/") if "pids" in controllers.split(",") else _CGROUPS / path.strip("/")
        if controllers and "pids" not in controllers.split(","):
            continue
        if (folder / "cgroup.procs").exists() and os.access(folder, os.W_OK) and _counts_processes(folder):
            return folder
    return None


def _counts_processes(folder: Path) -> bool:
    """Make a group there and return whether it has a limit of processes."""
    trial = folder / own_name("trial")
    try:
        trial.mkdir()
    except OSError:
        return False
    counts = (trial / "pids.max").exists()
    trial.rmdir()
    return counts


class PidsCgroup:
    """A control group that bounds the number of processes of one zone."""

    def __init__(self, parent: Path, number: int, limit: int) -> None:
        self._folder = parent / own_name(str(number))
        self._folder.mkdir()
        (self._folder / "pids.max").write_text(str(limit))

    def add(self, pid: int) -> None:
        """Move a process into the group; what it starts from now on is in it too."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    def close(self) -> None:
        """Remove the group; its processes must have been killed, and may need a moment to be gone."""
        last = time.monotonic() + GONE_SECONDS
        while self._folder.exists() and time.monotonic() < last:
            with contextlib.suppress(OSError):
                self._folder.rmdir()
                return
            time.sleep(0.001)
