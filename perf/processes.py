"""The processes below this one, and what one of them holds. Linux only."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
WORKER = "acereason.verifiers.pool.worker"
"""Module that a worker of the verifier pool runs."""


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none slips away.

    Raises:
        OSError: the kernel refuses.
    """
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError("cannot become a subreaper")


def bury_the_dead() -> None:
    """Reap all children that have ended; only for when nobody else waits for one."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def parents() -> dict[int, int]:
    """Return every process that has not ended and its parent."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                state, parent = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[:2]
                if state not in "ZX":
                    found[int(entry)] = int(parent)
    return found


def generations() -> list[list[int]]:
    """Return the children of this process, then theirs, and so on; the first list is empty when there are none."""
    below: dict[int, list[int]] = {}
    for process, parent in parents().items():
        below.setdefault(parent, []).append(process)
    found, level = [], below.get(os.getpid(), [])
    while level:
        found.append(level)
        level = [child for process in level for child in below.get(process, [])]
    return found or [[]]


def children(process: int) -> list[int]:
    """Return the children of all threads of a process, zombies too."""
    found: list[int] = []
    with contextlib.suppress(OSError):  # a thread or the process ends meanwhile
        for task in Path(f"/proc/{process}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


def workers() -> list[int]:
    """Return the verifier pool's worker processes."""
    return [process for process in generations()[0] if WORKER in command(process)]


def command(process: int) -> str:
    """Return the command line of a process; empty for one that is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def status(process: int | str) -> dict[str, str]:
    """Return the kernel's account of a process; empty for one that is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def mib(process: int | str, field: str = "VmRSS") -> float:
    """Return an amount of memory that `status` gives, resident memory by default, in MiB; 0 for a process gone."""
    return int(status(process).get(field, "0").split()[0]) / 1024


def descriptors(process: int | str) -> int:
    """Return how many descriptors a process has open; 0 for one that is gone."""
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{process}/fd"))
    return 0


def threads(process: int | str) -> int:
    """Return how many threads a process has; 0 for one that is gone."""
    return int(status(process).get("Threads", "0"))
