"""Tests of standard input and of calls: their expected outputs stay here, what goes to the program is input alone."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from acereason.problems.code_tests import CodeTest
from acereason.problems.json_values import json_text
from acereason.problems.problem import Problem
from acereason.sandbox import program, wire
from acereason.sandbox.running import RunningProgram, ZoneLost
from acereason.verifiers.code import compare
from acereason.verifiers.code.test_run import PASSED, PATIENCE_SECONDS, Trial, persistently

if TYPE_CHECKING:
    from acereason.verifiers.code.run_tests import Judge

_VALUE_BYTES, _VALUE_FACTOR = 1 << 16, 16
"""A value returned is looked at when it is at most _VALUE_FACTOR times as long as the right one and _VALUE_BYTES."""


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
        """End what still runs."""
        running, self._running = self._running, None
        if running is not None:
            running.stop()

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
                self._running = zone.start(seconds, self.cpu_seconds)
            return self._ask(self._running, turn, seconds)
        except ZoneLost:
            self.close()
            raise

    def _ask(self, running: RunningProgram, turn: int, seconds: float) -> str:
        raise NotImplementedError


class StandardInput(_Session):
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


class Calls(_Session):
    """Arguments go in, one call's at a time; plain data comes out."""

    def __init__(self, judge: Judge, problem: Problem, source: str, tests: list[CodeTest]) -> None:
        super().__init__(judge, problem, source, tests, "call")
        self._name = problem.entry_point or ""

    def _ask(self, running: RunningProgram, turn: int, seconds: float) -> str:
        test = self._tests[turn]
        try:
            message = wire.encode([self._name, test.input, {}])
        except wire.BadData:
            return "broken_tests"
        reply = running.ask(message, seconds, _VALUE_BYTES + _VALUE_FACTOR * len(json_text(test.output)))
        if reply and reply[:1] in (b"v", b"e"):
            return _value_reason(reply, test.output)
        reason = self.broken_off(running, reply)
        self.close()
        return reason


def _value_reason(reply: bytes, expected: Any) -> str:
    if reply[:1] != b"v":
        return "runtime_error"
    try:
        value = wire.decode(reply[1:])
    except wire.BadData:
        return "wrong_answer"
    return PASSED if compare.same_value(expected, value) else "wrong_answer"
