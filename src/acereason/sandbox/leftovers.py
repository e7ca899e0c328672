"""What a killed process leaves behind on the machine: groups and folders, whose names tell who made them."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

_NAME = re.compile(r"acereason-(\d+)-(\d+)-\w*")


def own_name(what: str) -> str:
    """A name for something that this process makes and takes away; a process is a number in a PID namespace."""
    return f"acereason-{_namespace()}-{os.getpid()}-{what}"


def _namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino


def sweep(patience_seconds: float = 0.0) -> None:
    """Take away what processes of this PID namespace left that are no more. Never raises.

    Args:
        patience_seconds: how long to wait for groups whose processes are still dying.
    """
    import tempfile  # not for the zygote, which takes files away, too

    from acereason.sandbox.pids_cgroup import parent_folder

    last = time.monotonic() + patience_seconds
    folders = [folder for folder in (parent_folder(), Path(tempfile.gettempdir())) if folder]
    while any([_swept(folder) for folder in folders]) and time.monotonic() < last:
        time.sleep(0.02)


def _swept(folder: Path) -> bool:
    """Whether something of a dead process is still there after an attempt to take it away."""
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
    """Take a folder away, be it a cgroup or one that a program wrote to. Never raises."""
    with contextlib.suppress(OSError):
        os.rmdir(folder)  # enough for a cgroup, whose files are not files
        return
    with contextlib.suppress(OSError):
        empty(folder)
        os.rmdir(folder)


def empty(folder: Path | str) -> None:
    """Delete all that is in a folder, however deep: what is in a folder inside moves up before that is deleted.

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
    """Whether a folder holds more bytes, or more files and folders, than so many."""
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
