"""Zones of every kind that this machine can make, and what one of them leaves behind."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from acereason.config.schema import SandboxConfig
from acereason.sandbox import landlock, program, seccomp
from acereason.sandbox.isolation import NONE, ROOT, USER, Isolation, zone_settings
from acereason.sandbox.running import Ending, RunningProgram
from acereason.sandbox.zone import NoZone, Zone

SECONDS = 30.0
FILTERS = (landlock.abi() > 0, seccomp.available())
KINDS = {
    "root_and_user_namespace": Isolation(ROOT, True, *FILTERS),
    "root": Isolation(ROOT, False, *FILTERS),
    "user_namespace": Isolation(USER, True, *FILTERS),
    "no_namespaces": Isolation(NONE, False, *FILTERS),
    "nothing": Isolation(NONE, False, False, False),
}
"""By what they are made of."""


@contextmanager
def zone_of(isolation: Isolation, **settings: Any) -> Iterator[Zone]:
    """A zone; skips the test where the kernel refuses."""
    if isolation.mode == ROOT and os.geteuid() != 0:
        pytest.skip("not root")
    try:
        zone = Zone(zone_settings(SandboxConfig(**settings), isolation))
    except NoZone as error:
        pytest.skip(str(error))
    with closing(zone):
        yield zone


def begin(zone: Zone, source: str, stdin: bytes = b"", seconds: float = SECONDS) -> RunningProgram:
    """A program that has been told to run; one that does not compile may have ended before it could be told."""
    zone.prepare(program.job("stdin", source))
    running = zone.start(seconds, int(seconds) + 1)
    running.set_input(stdin)
    running.send(b"", seconds)
    return running


def run(zone: Zone, source: str, stdin: bytes = b"", seconds: float = SECONDS) -> tuple[str, Ending]:
    """What a program printed, and how it ended once it had nothing more to do."""
    with closing(begin(zone, source, stdin, seconds)) as running:
        ready = running.receive(seconds, len(program.READY)) == program.READY
        ending = running.end(0) if ready else running.end()
        return running.output(1 << 22).decode(), ending


def wait_until(condition: Callable[[], object]) -> None:
    last = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < last, "waited in vain"
        time.sleep(0.02)


def belongings(process: int) -> set[str]:
    """Descriptors, children, folders and control groups of a process."""
    mark = f"-{process}-"
    groups = {at for at, _, _ in os.walk("/sys/fs/cgroup") if mark in at}
    folders = {entry.name for entry in Path(tempfile.gettempdir()).glob(f"acereason*{mark}*")}
    children = {
        name for task in Path(f"/proc/{process}/task").iterdir() for name in (task / "children").read_text().split()
    }
    return {*groups, *folders, *(f"child {child}" for child in children), *os.listdir(f"/proc/{process}/fd")}
