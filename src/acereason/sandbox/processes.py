"""Processes of a zone as the machine sees them, found from the zygote down however they were started; what they use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024
_COUNTED = ("RssAnon:", "RssShmem:", "VmSwap:")
"""Memory of a process itself; the files it maps are the interpreter's."""


class Usage(NamedTuple):
    """What processes have used so far.

    Attributes:
        cpu_seconds: processor time, including their ended children.
        waited_seconds: how long the first process, while ready to run, had no core.
        memory_bytes: resident memory, shared memory and swap, summed over the processes; what a fork shares with its
            parent counts twice.
    """

    cpu_seconds: float
    waited_seconds: float
    memory_bytes: int


def descendants(pid: int) -> list[int]:
    """Return all that a process started, and what those started, and so on; its own children first."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = [int(child) for task in _tasks(waiting.pop(0)) for child in _read(task / "children").split()]
        found += children
        waiting += children
    return found


def usage(pids: list[int]) -> Usage:
    """Return what these processes have used, as far as they still exist."""
    return Usage(sum(map(_cpu_seconds, pids)), _waited_seconds(pids[:1]), sum(map(_memory_bytes, pids)))


def _tasks(pid: int) -> list[Path]:
    with contextlib.suppress(OSError):
        return list(Path(f"/proc/{pid}/task").iterdir())
    return []


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""


def _cpu_seconds(pid: int) -> float:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def _waited_seconds(pids: list[int]) -> float:
    for pid in pids:
        fields = _read(Path(f"/proc/{pid}/schedstat")).split()
        if len(fields) > 1:
            return int(fields[1]) / 1e9
    return 0.0


def _memory_bytes(pid: int) -> int:
    for task in _tasks(pid):  # a first thread that ended before the others shows no memory
        sizes = list(_sizes(_read(task / "status")))
        if sizes:
            return sum(sizes) * _KIB
    return 0


def _sizes(status: str) -> Iterator[int]:
    for line in status.splitlines():
        name, _, rest = line.partition("\t")
        if name in _COUNTED:
            yield int(rest.split()[0])
