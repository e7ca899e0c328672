"""The processes below this one and what is left on the machine, for the benchmarks of the code verifier. Linux only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from dataclasses import dataclass, fields
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
TEMPORARY = ("/tmp", "/dev/shm", "/var/tmp")
SYSTEM_V = ("shm", "sem", "msg")


def adopt_orphans() -> None:
    """From now on a descendant whose parent ends becomes a child of this process, so that none slips away.

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
    """Every process that has not ended and its parent."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                state, parent = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[:2]
                if state not in "ZX":
                    found[int(entry)] = int(parent)
    return found


def generations() -> list[list[int]]:
    """Children of this process, then theirs, and so on; the first is empty when there are none."""
    below: dict[int, list[int]] = {}
    for process, parent in parents().items():
        below.setdefault(parent, []).append(process)
    found, level = [], below.get(os.getpid(), [])
    while level:
        found.append(level)
        level = [child for process in level for child in below.get(process, [])]
    return found or [[]]


def command(process: int) -> str:
    """The command line of a process; empty for one that is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def workers() -> list[int]:
    """The pool's worker processes."""
    return [process for process in generations()[0] if "acereason.verifiers.pool.worker" in command(process)]


def descriptors(process: int) -> int:
    """How many a process has open; 0 for one that is gone."""
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{process}/fd"))
    return 0


@dataclass(frozen=True)
class Machine:
    """What programs could leave on the machine, by name. Other people's work shows here too."""

    temporary: frozenset[str]
    control_groups: frozenset[str]
    mounts: frozenset[str]
    system_v: frozenset[str]

    def new_since(self, before: Machine) -> list[str]:
        """What is here and was not there, in words."""
        kinds = [field.name for field in fields(self)]
        return [f"{kind}: {name}" for kind in kinds for name in sorted(getattr(self, kind) - getattr(before, kind))]

    def left_over(self) -> list[str]:
        """As `new_since`, of what is still here after some seconds: other people's work comes and goes."""
        found = machine().new_since(self)
        for _ in range(20):
            if not found:
                break
            time.sleep(0.5)
            still = machine().new_since(self)
            found = [each for each in found if each in still]
        return found


def machine() -> Machine:
    """A look at the machine as this process sees it."""
    listed = {f"{folder}/{name}" for folder in TEMPORARY if os.path.isdir(folder) for name in os.listdir(folder)}
    groups = {os.path.join(at, name) for at, names, _ in os.walk("/sys/fs/cgroup") for name in names}
    mounts = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    system_v = {
        f"{kind} {line}" for kind in SYSTEM_V for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]
    }
    return Machine(frozenset(listed), frozenset(groups), frozenset(mounts), frozenset(system_v))
