"""A program against its tests: what it is given, how long it may take, and whether what comes back is right.

Expected outputs stay in this process. Tests of standard input and calls share one process for as long as they go well,
and one that fails there is made again in a fresh process before it counts, so that what an earlier test left behind
harms no program. Tests that come as source are for `examination.py`.
"""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from acereason.config import SandboxConfig
from acereason.problems.code_tests import CodeTest
from acereason.problems.json_values import json_text
from acereason.problems.problem import Problem
from acereason.rewards.code import compare, wire
from acereason.rewards.sandbox import program
from acereason.rewards.sandbox.isolation import Isolation, zone_settings
from acereason.rewards.sandbox.zone import ENDED, EXITED, Ending, NoZone, RunningProgram, Zone, ZoneLost

ATTEMPTS = 10
"""Times that a test is run when its zone is lost on the way, which no program can bring about."""
PASSED = "passed"
PATIENCE_SECONDS = 0.1
"""How long a program that hung up has to tell why by its exit status."""
_STATUS_REASONS: dict[int, str] = {
    program.UNCONFINED: "crashed",
    program.EXCEPTION: "runtime_error",
    program.SYNTAX: "syntax_error",
    program.MEMORY: "memory",
    program.NO_FUNCTION: "no_function",
    -signal.SIGXCPU: "timeout",
    -signal.SIGXFSZ: "output_limit",
}
_VALUE_BYTES, _VALUE_FACTOR = 1 << 16, 16
"""A value returned is looked at when it is at most _VALUE_FACTOR times as long as the right one and _VALUE_BYTES."""
_AHEAD, _AHEAD_BYTES = 16, 1 << 15
_OF_THE_JUDGE = frozenset({"crashed", "broken_tests"})
"""Reasons that say nothing about the program."""
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Outcome:
    """What came of a program's tests.

    Attributes:
        reason: `passed`, or why the first failing test failed.
        failing: index of that test; None when none failed, or none was run.
    """

    reason: str
    failing: int | None = None


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
        self.output_bytes = config.output_mib * 2**20
        self.memory_bytes = config.memory_mib * 2**20
        self.zone("program", "")

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
        from acereason.rewards.code.examination import Examination

        if problem.check:
            return persistently(Examination(self, problem, source).outcome)
        tests = list(problem.tests)
        if not tests:
            return Outcome("no_tests")
        first = [index for index in dict.fromkeys(order) if index < len(tests)]
        turns = [*first, *(index for index in range(len(tests)) if index not in set(first))]
        kind = _StandardInput if problem.entry_point is None else _Calls
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
        key = (role, *(name for name in self.config.packages if name in source))
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


def persistently(run: Callable[[], _Result]) -> _Result:
    """What `run` returns once it has not lost a zone.

    Raises:
        ZoneLost: every attempt did.
    """
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(ZoneLost):
            return run()
    return run()


def _outcome(failures: dict[int, str]) -> Outcome:
    if not failures:
        return Outcome(PASSED)
    index = min(failures)
    if failures[index] in _OF_THE_JUDGE:
        return Outcome(failures[index])
    return Outcome(failures[index], index)


class Trial:
    """The tests of one program: its job, and the time that is left for it.

    Attributes:
        job: what a zone is told, see `program.py`.
    """

    def __init__(self, judge: Judge, problem: Problem, source: str, mode: str) -> None:
        self.judge, self.source = judge, source
        self._limit = problem.time_limit_seconds or judge.config.time_limit_seconds
        self.seconds = max(judge.config.total_time_limit_seconds, self._limit)
        self._end = time.monotonic() + self.seconds
        self.job = program.job(mode, source, problem.prelude, problem.entry_point, iterators=bool(problem.check))

    def seconds_left(self) -> float:
        """For the next test."""
        return min(self._limit, self._end - time.monotonic())

    def cpu_limit(self, seconds: float) -> int:
        """Whole seconds of processor time for a process that may take `seconds`: the kernel's last resort."""
        return math.ceil(seconds) + 1

    def failure(self, ending: Ending) -> str:
        """Why a program that ended like this failed; "" when nothing speaks against it."""
        if ending.why != EXITED:
            return ending.why if ending.why != ENDED else ""
        if ending.memory_bytes > self.judge.memory_bytes:
            return "memory"
        if ending.status == -signal.SIGKILL:  # nobody here did it: the processor time ran out, or the machine's memory
            return "timeout" if ending.cpu_seconds > self._limit else "memory"
        return _STATUS_REASONS.get(ending.status, "runtime_error" if ending.status < 0 else "")

    def broken_off(self, running: RunningProgram, reply: bytes | None) -> str:
        """Why a program does not serve calls any more."""
        failure = self.failure(running.end(PATIENCE_SECONDS))
        if failure:
            return failure
        if running.oversized:
            return "output_limit"
        return "memory" if reply == b"m" else "runtime_error"

    def close(self) -> None:
        """End what still runs."""


class _Session(Trial):
    """One process for test after test, as long as they go well, so that most tests cost no process.

    A test that fails there may fail for what an earlier one left behind. It is repeated in a fresh process, and if it
    passes, every test is: what counts then is one answer from each of as many fresh processes, and none from before.
    """

    def __init__(self, judge: Judge, problem: Problem, source: str, tests: list[CodeTest], mode: str) -> None:
        super().__init__(judge, problem, source, mode)
        self._tests = tests
        self._running: RunningProgram | None = None

    def failures(self) -> dict[int, str]:
        """Why tests failed, by turn: the first of them, or all where the settings say so."""
        failures: dict[int, str] = {}
        for turn in range(len(self._tests)):
            first = self._running is None
            reason = self._persistently(turn)
            if reason == PASSED:
                continue
            self.close()
            if not first and reason != "timeout" and self._persistently(turn) == PASSED:
                return self._failures_in_fresh_processes()
            self.close()
            failures[turn] = reason
            if self._is_enough():
                break
        return failures or self._failure_of_memory()

    def _failures_in_fresh_processes(self) -> dict[int, str]:
        failures: dict[int, str] = {}
        for turn in range(len(self._tests)):
            self.close()
            reason = self._persistently(turn)
            if reason != PASSED:
                failures[turn] = reason
                if self._is_enough():
                    break
        return failures or self._failure_of_memory()

    def _is_enough(self) -> bool:
        return self.judge.config.stop_at_first_failure or self.seconds_left() <= 0

    def _failure_of_memory(self) -> dict[int, str]:
        """What the last process took is known at its end."""
        running, self._running = self._running, None
        if running is None:
            return {}
        with contextlib.closing(running), contextlib.suppress(ZoneLost):
            if running.end(0).memory_bytes > self.judge.memory_bytes:
                return {len(self._tests) - 1: "memory"}
        return {}

    def close(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            with contextlib.closing(running), contextlib.suppress(ZoneLost):
                running.end(0)

    def _persistently(self, turn: int) -> str:
        try:
            return persistently(lambda: self._attempt(turn))
        except ZoneLost:
            return "crashed"

    def _attempt(self, turn: int) -> str:
        seconds = self.seconds_left()
        if seconds <= 0:
            return "timeout"
        try:
            if self._running is None:
                zone = self.judge.zone("program", self.source)
                zone.prepare(self.job)
                self._running = zone.start(seconds, self.cpu_limit(self.seconds))
                self._begun(turn)
            return self._ask(self._running, turn, seconds)
        except ZoneLost:
            self.close()
            raise

    def _begun(self, turn: int) -> None:
        """A fresh process stands ready for this test."""

    def _ask(self, running: RunningProgram, turn: int, seconds: float) -> str:
        raise NotImplementedError


class _StandardInput(_Session):
    """Nothing but the inputs goes in, nothing but standard output comes out."""

    def __init__(self, judge: Judge, problem: Problem, source: str, tests: list[CodeTest]) -> None:
        super().__init__(judge, problem, source, tests, "stdin")

    def _ask(self, running: RunningProgram, turn: int, seconds: float) -> str:
        test, limit = self._tests[turn], self.judge.output_bytes
        running.lay_out(str(test.input).encode("utf-8", "surrogatepass"))
        reply = running.ask(b"", seconds, len(program.READY))
        failure = "" if reply == program.READY else self.failure(running.end(PATIENCE_SECONDS))
        output = running.output(limit)
        if reply != program.READY:
            self.close()
        if failure not in ("timeout", "memory") and len(output) >= limit:
            return "output_limit"
        if failure:
            return failure
        same = compare.same_output(str(test.output), output.decode("utf-8", "surrogateescape"))
        return PASSED if same else "wrong_answer"


class _Calls(_Session):
    """Arguments go in, some tests ahead so that neither side waits for the other; plain data comes out."""

    def __init__(self, judge: Judge, problem: Problem, source: str, tests: list[CodeTest]) -> None:
        super().__init__(judge, problem, source, tests, "call")
        self._name = problem.entry_point or ""
        self._sizes: deque[int] = deque()

    def _begun(self, turn: int) -> None:
        self._sizes.clear()

    def _ask(self, running: RunningProgram, turn: int, seconds: float) -> str:
        expected = self._tests[turn].output
        try:
            alive = self._send_ahead(running, turn, seconds)
        except wire.BadData:
            return "broken_tests"
        limit = _VALUE_BYTES + _VALUE_FACTOR * len(json_text(expected))
        reply = running.listen(seconds, limit) if alive else None
        if reply and reply[:1] in (b"v", b"e"):
            self._sizes.popleft()
            return _value_reason(reply, expected)
        reason = self.broken_off(running, reply)
        self.close()
        return reason

    def _send_ahead(self, running: RunningProgram, turn: int, seconds: float) -> bool:
        """Send this test's arguments and those of later ones, no more than a socket takes at once."""
        while not self._sizes or (len(self._sizes) < _AHEAD and sum(self._sizes) < _AHEAD_BYTES):
            number = turn + len(self._sizes)
            if number >= len(self._tests):
                break
            message = wire.encode([self._name, self._tests[number].input, {}])
            if self._sizes and len(message) > _AHEAD_BYTES:
                break
            if not running.tell(message, seconds):
                return bool(self._sizes)
            self._sizes.append(len(message))
        return True


def _value_reason(reply: bytes, expected: Any) -> str:
    if reply[:1] != b"v":
        return "runtime_error"
    try:
        value = wire.decode(reply[1:])
    except wire.BadData:
        return "wrong_answer"
    return PASSED if compare.same_value(expected, value) else "wrong_answer"
