"""A program against the tests of its problem, whatever their form, in zones of the judge's own.

Expected outputs stay in this process (`sessions.py`), or in an examiner's zone, where tests come as source
(`examination.py`); they never are where programs run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from acereason.config.schema import SandboxConfig
from acereason.problems.problem import Problem
from acereason.sandbox import program
from acereason.sandbox.isolation import Isolation, package_folders, zone_settings
from acereason.sandbox.running import ZoneLost
from acereason.sandbox.zone import NoZone, Zone
from acereason.verifiers.code.io_tests import Calls, StandardInput
from acereason.verifiers.code.source_tests import Examination
from acereason.verifiers.code.test_run import OF_THE_JUDGE, PASSED, PATIENCE_SECONDS, Outcome, persistently

__all__ = ["PASSED", "Judge", "Outcome"]


class Judge:
    """Runs programs in zones of its own; a lost zone is made anew.

    Args:
        config: limits.
        isolation: layers, as found for this machine.
    """

    def __init__(self, config: SandboxConfig, isolation: Isolation) -> None:
        self.config = config
        self._isolation = isolation
        self._zones: dict[tuple[str, ...], Zone] = {}
        self._packages = [name for name in config.packages if package_folders(name)]
        self.output_bytes = config.output_mib * 2**20
        self.memory_bytes = config.memory_mib * 2**20
        persistently(lambda: self.zone("program", ""))

    def close(self) -> None:
        """End all zones."""
        while self._zones:
            self._zones.popitem()[1].close()

    def judge(self, problem: Problem, source: str, order: Sequence[int] = ()) -> Outcome:
        """Run a problem's tests until one fails, or all of them where the settings say so.

        Args:
            source: the program.
            order: tests to begin with, by index.
        """
        if problem.check:
            return persistently(Examination(self, problem, source).outcome)
        tests = list(problem.tests)
        if not tests:
            return Outcome("no_tests")
        first = [index for index in dict.fromkeys(order) if index < len(tests)]
        turns = [*first, *(index for index in range(len(tests)) if index not in set(first))]
        kind = StandardInput if problem.entry_point is None else Calls
        run = kind(self, problem, source, [tests[index] for index in turns])
        try:
            failures = run.failures()
        finally:
            run.close()
        return _outcome({turns[turn]: reason for turn, reason in failures.items()})

    def output_of(self, source: str, stdin: bytes = b"") -> str:
        """What a program prints, for trying things out; it judges nothing."""
        zone = self.zone("program", source)
        zone.prepare(program.job("stdin", source))
        seconds = self.config.time_limit_seconds
        running = zone.start(seconds, math.ceil(seconds) + 1)
        try:
            running.lay_out(stdin)
            running.ask(b"", seconds, len(program.READY))
            running.end(PATIENCE_SECONDS)
            return running.output(self.output_bytes).decode("utf-8", "replace")
        finally:
            running.close()

    def zone(self, role: str, source: str) -> Zone:
        """The zone for programs, or for examiners, that has the packages imported which the source names.

        Raises:
            ZoneLost: it cannot be made any more, though one like it could be at the start.
        """
        key = (role, *(name for name in self._packages if name in source))
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


def _outcome(failures: dict[int, str]) -> Outcome:
    if not failures:
        return Outcome(PASSED)
    index = min(failures)
    if failures[index] in OF_THE_JUDGE:
        return Outcome(failures[index])
    return Outcome(failures[index], index)
