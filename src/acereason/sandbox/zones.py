"""The zones of one process: made when they are first needed, remade when they are lost."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import TypeVar

from acereason.config.schema import SandboxConfig
from acereason.sandbox import program
from acereason.sandbox.isolation import Isolation, package_folders, zone_settings
from acereason.sandbox.running import ZoneLost
from acereason.sandbox.zone import NoZone, Zone

PROGRAM, EXAMINER = "program", "examiner"
"""What a zone is for: to run programs, or to run a problem's own tests. Never both."""
ATTEMPTS = 10
"""How often something is tried whose zone is lost on the way, which no program can bring about."""
PATIENCE_SECONDS = 0.1
"""How long a program that hung up has to tell why by its exit status."""
_Result = TypeVar("_Result")


class Zones:
    """Zones by role and by the packages they have imported.

    Args:
        config: limits.
        isolation: layers, as found for this machine.

    Attributes:
        output_bytes, memory_bytes: limits of a program.

    Raises:
        ZoneLost: no zone for programs can be made.
    """

    def __init__(self, config: SandboxConfig, isolation: Isolation) -> None:
        self.config = config
        self._isolation = isolation
        self._zones: dict[tuple[str, ...], Zone] = {}
        self._packages = [name for name in config.packages if package_folders(name)]
        self.output_bytes = config.output_mib * 2**20
        self.memory_bytes = config.memory_mib * 2**20
        retry_lost(lambda: self.zone(PROGRAM, ""))

    def close(self) -> None:
        """End all zones."""
        while self._zones:
            self._zones.popitem()[1].close()

    def zone(self, role: str, code: str) -> Zone:
        """Return the zone of a role that has imported the packages which the code names.

        Raises:
            ZoneLost: it cannot be made any more, though one like it could be at the start.
        """
        key = (role, *(name for name in self._packages if name in code))
        zone = self._zones.get(key)
        if zone and zone.lost:
            self._zones.pop(key).close()
            zone = None
        if zone is None:
            try:
                zone = self._zones[key] = Zone(zone_settings(self.config, self._isolation, key[1:]))
            except NoZone as error:
                raise ZoneLost(str(error)) from error
        return zone

    def output_of(self, code: str, stdin: bytes = b"") -> str:
        """Run a program and return what it printed, however it ended."""
        zone = self.zone(PROGRAM, code)
        zone.prepare(program.job("stdin", code))
        seconds = self.config.time_limit_seconds
        running = zone.start(seconds, math.ceil(seconds) + 1)
        try:
            running.set_input(stdin)
            running.ask(b"", seconds, len(program.READY))
            running.end(PATIENCE_SECONDS)
            return running.output(self.output_bytes).decode("utf-8", "replace")
        finally:
            running.close()


def retry_lost(run: Callable[[], _Result]) -> _Result:
    """Return what `run` returns; run it again where it loses a zone.

    Raises:
        ZoneLost: every attempt lost one.
    """
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(ZoneLost):
            return run()
    return run()
