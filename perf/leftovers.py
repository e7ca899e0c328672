"""What judgements leave behind: in this process, in those below it, and on the machine. Linux only."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from perf.processes import bury_the_dead, children, command, descriptors, generations, mib, threads, workers
from perf.tables import Table

TEMPORARY = ("/tmp", "/dev/shm", "/var/tmp")
SYSTEM_V = ("shm", "sem", "msg")
MARKS = ("leak_", "canary_")
"""What hostile programs put into the names of all that they try to leave."""
SETTLE_SECONDS = 5.0


@dataclass(frozen=True)
class Held:
    """What this process and those below it hold at a moment; memory in MiB.

    Attributes:
        parent, worker, forking: resident memory of this process, of the largest worker of the pool, and of the largest
            process below the workers.
        descriptors, of_worker: open in this process, and the most in a worker.
        threads: of this process.
        children: of this process, zombies too.
        processes: all below this one that have not ended.
    """

    parent: float
    worker: float
    forking: float
    descriptors: int
    of_worker: int
    threads: int
    children: int
    processes: int


def held() -> Held:
    """Look at this process and all below it."""
    levels, here, judging = generations(), os.getpid(), workers()
    return Held(
        parent=mib(here),
        worker=max(map(mib, judging), default=0.0),
        forking=max((mib(process) for level in levels[1:] for process in level), default=0.0),
        descriptors=descriptors(here),
        of_worker=max(map(descriptors, judging), default=0),
        threads=threads(here),
        children=len(children(here)),
        processes=sum(map(len, levels)),
    )


def held_table(title: str) -> Table:
    """Print the head of a table of `Held`."""
    headings = ("parent MiB", "worker MiB", "forking MiB", "descriptors", "of a worker", "threads", "children", "below")
    return Table(title, *headings)


def show_held(table: Table, name: str, seen: Held) -> None:
    """Print a row of that table."""
    table.row(name, *(f"{value:.1f}" if isinstance(value, float) else value for value in astuple(seen)))


def more(before: Held, after: Held, names: Sequence[str]) -> list[str]:
    """Return which of these fields have grown, in words."""
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in names]
    return [f"{name}: {first}, then {last}" for name, first, last in pairs if last > first]


def settled(before: Held, names: Sequence[str], reap: Callable[[], None] = lambda: None) -> Held:
    """Look until none of these fields is above what it was before, for some seconds: the kernel takes its time."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        reap()
        after = held()
        if not more(before, after, names) or time.monotonic() > end:
            return after
        time.sleep(0.05)


def processes_left() -> list[str]:
    """Reap what has ended and return the processes that are still below this one, in words."""
    bury_the_dead()
    return [f"left: {process} {command(process)}" for level in generations() for process in level]


@dataclass(frozen=True)
class Machine:
    """What programs could leave on the machine, by name. Other people's work shows here too."""

    temporary: frozenset[str]
    control_groups: frozenset[str]
    mounts: frozenset[str]
    system_v: frozenset[str]

    def new_since(self, before: Machine) -> list[str]:
        """Return what is here and was not there, in words."""
        kinds = [field.name for field in fields(self)]
        return [f"new {kind}: {name}" for kind in kinds for name in sorted(getattr(self, kind) - getattr(before, kind))]

    def left_over(self, alone: bool) -> list[str]:
        """As `new_since`, of what is still here after some seconds: other people's work comes and goes.

        Args:
            alone: whether nothing else works on this machine; otherwise only what hostile programs have named counts.
        """
        found = self._left(alone)
        for _ in range(20):
            if not found:
                break
            time.sleep(0.5)
            still = self._left(alone)
            found = [each for each in found if each in still]
        return found

    def _left(self, alone: bool) -> list[str]:
        return [each for each in machine().new_since(self) if alone or any(mark in each for mark in MARKS)]


def machine() -> Machine:
    """Look at the machine as this process sees it."""
    listed = {f"{folder}/{name}" for folder in TEMPORARY if os.path.isdir(folder) for name in os.listdir(folder)}
    groups = {os.path.join(at, name) for at, names, _ in os.walk("/sys/fs/cgroup") for name in names}
    mounts = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    system_v = {
        f"{kind} {line}" for kind in SYSTEM_V for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]
    }
    return Machine(frozenset(listed), frozenset(groups), frozenset(mounts), frozenset(system_v))
