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
from acereason.problems.problem import Problem
from acereason.rewards.code import compare, wire
from acereason.rewards.sandbox import program
from acereason.rewards.sandbox.isolation import Isolation, zone_settings
from acereason.rewards.sandbox.zone import ENDED, EXITED, Ending, RunningProgram, Zone, ZoneLost

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
_RESCUES = 2
"""Tests that pass only in a fresh process, after which all tests get one."""
_AHEAD, _AHEAD_BYTES = 16, 1 << 15
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Outcome:
    """What came of a program's tests.

    Attributes:
        reason: `passed`, or why the first failing test failed.
        failing: index of that test; None when none failed, or none was run.
        passed: tests that passed.
    """

    reason: str
    failing: int | None = None
    passed: int = 0


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
        failures: dict[int, str] = {}
        passed = 0
        try:
            for turn, index in enumerate(turns):
                reason = run.reason(turn)
                if reason == PASSED:
                    passed += 1
                    continue
                failures[index] = reason
                if self.config.stop_at_first_failure or run.seconds_left() <= 0:
                    break
            if run.close() and not failures:
                failures[index] = "memory"
        except ZoneLost:
            failures[index] = "crashed"
        return _outcome(failures, passed)

    def output_of(self, source: str, stdin: bytes = b"") -> str:
        """What a program prints, for trying things out; it judges nothing."""
        zone = self.zone("program", source)
        zone.prepare(job("stdin", source, Problem("", "code", "")))
        seconds = self.config.time_limit_seconds
        running = zone.start(seconds, math.ceil(seconds) + 1)
        zone.lay_out(stdin)
        running.ask(b"", seconds, len(program.READY))
        running.end(PATIENCE_SECONDS)
        return zone.output(self.output_bytes).decode("utf-8", "replace")

    def zone(self, role: str, source: str) -> Zone:
        """The zone for programs, or for examiners, that has the packages imported which the source names."""
        key = (role, *(name for name in self.config.packages if name in source))
        zone = self._zones.get(key)
        if zone is None or zone.lost:
            if zone:
                zone.close()
            zone = self._zones[key] = Zone(zone_settings(self.config, self._isolation, key[1:]))
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


def _outcome(failures: dict[int, str], passed: int) -> Outcome:
    if not failures:
        return Outcome(PASSED, None, passed)
    index = min(failures)
    return Outcome(failures[index], index, passed)


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
        self.job = job(mode, source, problem)

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

    def close(self) -> bool:
        """End what still runs; whether it had taken too much memory."""
        return False


def job(mode: str, source: str, problem: Problem) -> dict[str, Any]:
    """What a zone is told of a program."""
    return {
        "mode": mode,
        "source": source.removeprefix("\ufeff"),
        "prelude": problem.prelude,
        "entry": problem.entry_point,
        "iterators": bool(problem.check),
        "keep": mode == "stdin",
    }


class _Session(Trial):
    """One process for test after test, as long as they go well; one that fails is repeated in a fresh process.

    So nothing that an earlier test left behind makes a program fail, and most tests cost no process.
    """

    def __init__(self, judge: Judge, problem: Problem, source: str, tests: list[CodeTest], mode: str) -> None:
        super().__init__(judge, problem, source, mode)
        self._tests = tests
        self._running: RunningProgram | None = None
        self._rescued = 0

    def reason(self, turn: int) -> str:
        """`passed`, or why the test failed in a fresh process.

        Raises:
            ZoneLost: at every attempt.
        """
        fresh = self._running is None
        reason = persistently(lambda: self._attempt(turn))
        if reason == PASSED and self._rescued < _RESCUES:
            return reason
        self.close()
        if reason in (PASSED, "timeout") or fresh:
            return reason
        reason = persistently(lambda: self._attempt(turn))
        self._rescued += reason == PASSED
        return reason

    def close(self) -> bool:
        running, self._running = self._running, None
        return running is not None and running.end(0).memory_bytes > self.judge.memory_bytes

    def _attempt(self, turn: int) -> str:
        seconds = self.seconds_left()
        if seconds <= 0:
            return "timeout"
        try:
            zone = self.judge.zone("program", self.source)
            if self._running is None:
                zone.prepare(self.job)
                self._running = zone.start(seconds, self.cpu_limit(self.seconds))
                self._begun(turn)
            return self._ask(zone, self._running, turn, seconds)
        except ZoneLost:
            self._running = None
            raise

    def _begun(self, turn: int) -> None:
        """A fresh process stands ready for this test."""

    def _ask(self, zone: Zone, running: RunningProgram, turn: int, seconds: float) -> str:
        raise NotImplementedError


class _StandardInput(_Session):
    """Nothing but the inputs goes in, nothing but standard output comes out."""

    def __init__(self, judge: Judge, problem: Problem, source: str, tests: list[CodeTest]) -> None:
        super().__init__(judge, problem, source, tests, "stdin")

    def _ask(self, zone: Zone, running: RunningProgram, turn: int, seconds: float) -> str:
        test, limit = self._tests[turn], self.judge.output_bytes
        zone.lay_out(str(test.input).encode("utf-8", "surrogatepass"))
        reply = running.ask(b"", seconds, len(program.READY))
        failure = "" if reply == program.READY else self._failure_at_end()
        output = zone.output(limit)
        if failure not in ("timeout", "memory") and len(output) >= limit:
            return "output_limit"
        if failure:
            return failure
        same = compare.same_output(str(test.output), output.decode("utf-8", "surrogateescape"))
        return PASSED if same else "wrong_answer"

    def _failure_at_end(self) -> str:
        running, self._running = self._running, None
        assert running
        return self.failure(running.end(PATIENCE_SECONDS))


class _Calls(_Session):
    """Arguments go in, some tests ahead so that neither side waits for the other; plain data comes out."""

    def __init__(self, judge: Judge, problem: Problem, source: str, tests: list[CodeTest]) -> None:
        super().__init__(judge, problem, source, tests, "call")
        self._name = problem.entry_point or ""
        self._sizes: deque[int] = deque()

    def _begun(self, turn: int) -> None:
        self._sizes.clear()

    def _ask(self, zone: Zone, running: RunningProgram, turn: int, seconds: float) -> str:
        expected = self._tests[turn].output
        alive = self._send_ahead(running, turn, seconds)
        limit = _VALUE_BYTES + _VALUE_FACTOR * len(wire.encode(expected))
        reply = running.listen(seconds, limit) if alive else None
        if reply and reply[:1] in (b"v", b"e"):
            self._sizes.popleft()
            return _value_reason(reply, expected)
        self._running = None
        return self.broken_off(running, reply)

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
