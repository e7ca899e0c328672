"""Tests by standard input or by calls: expected outputs stay here, only inputs go to the program."""

from __future__ import annotations

import contextlib
from typing import Any

from acereason.problems.code_tests import CodeTest
from acereason.problems.json_values import json_text
from acereason.problems.problem import Problem
from acereason.sandbox import program, wire
from acereason.sandbox.running import RunningProgram, ZoneLost
from acereason.sandbox.zones import PATIENCE_SECONDS, PROGRAM, Zones, retry_lost
from acereason.verifiers.code import compare
from acereason.verifiers.code.test_run import PASSED, TestRun

_VALUE_BYTES, _VALUE_FACTOR = 1 << 16, 16
"""A returned value may be _VALUE_BYTES and _VALUE_FACTOR times the right one long; a longer one is not read."""


class _IoTests(TestRun):
    """Tests that run one after the other in the same process as long as they pass, which saves most processes.

    A test that fails there may fail for what an earlier one left behind. So it is repeated in a fresh process, and if
    it passes there, all tests run again, each in a fresh process; then only those answers count.
    """

    def __init__(self, zones: Zones, problem: Problem, code: str, tests: list[CodeTest], mode: str) -> None:
        super().__init__(zones, problem, code, mode)
        self._tests = tests
        self._running: RunningProgram | None = None

    def failures(self) -> dict[int, str]:
        """Run the tests and return why tests failed, by index: the first, or all where the settings say so."""
        failures: dict[int, str] = {}
        for index in range(len(self._tests)):
            fresh = self._running is None
            reason = self._run_test(index)
            if reason == PASSED:
                continue
            self.close()
            if not fresh and reason != "timeout" and self._run_test(index) == PASSED:
                return self._failures_in_fresh_processes()
            self.close()
            failures[index] = reason
            if self._is_enough():
                break
        return failures or self._failure_of_memory()

    def _failures_in_fresh_processes(self) -> dict[int, str]:
        failures: dict[int, str] = {}
        for index in range(len(self._tests)):
            self.close()
            reason = self._run_test(index)
            if reason != PASSED:
                failures[index] = reason
                if self._is_enough():
                    break
        return failures or self._failure_of_memory()

    def _is_enough(self) -> bool:
        return self.zones.config.stop_at_first_failure or self.seconds_left() <= 0

    def _failure_of_memory(self) -> dict[int, str]:
        """End the last process and fail the last test where it took too much memory, known only at its end."""
        running, self._running = self._running, None
        if running is None:
            return {}
        with contextlib.closing(running), contextlib.suppress(ZoneLost):
            if running.end(0).memory_bytes > self.zones.memory_bytes:
                return {len(self._tests) - 1: "memory"}
        return {}

    def close(self) -> None:
        """End the process that still runs, if any."""
        running, self._running = self._running, None
        if running is not None:
            running.stop()

    def _run_test(self, index: int) -> str:
        try:
            return retry_lost(lambda: self._attempt(index))
        except ZoneLost:
            return "crashed"

    def _attempt(self, index: int) -> str:
        seconds = self.seconds_left()
        if seconds <= 0:
            return "timeout"
        try:
            if self._running is None:
                zone = self.zones.zone(PROGRAM, self.code)
                zone.prepare(self.job)
                self._running = zone.start(seconds, self.cpu_seconds)
            return self._ask(self._running, index, seconds)
        except ZoneLost:
            self.close()
            raise

    def _ask(self, running: RunningProgram, index: int, seconds: float) -> str:
        """Give the program the input of one test and return the reason of its answer."""
        raise NotImplementedError


class StdinTests(_IoTests):
    """Tests that give text on standard input and compare the text on standard output."""

    def __init__(self, zones: Zones, problem: Problem, code: str, tests: list[CodeTest]) -> None:
        super().__init__(zones, problem, code, tests, "stdin")

    def _ask(self, running: RunningProgram, index: int, seconds: float) -> str:
        test, limit = self._tests[index], self.zones.output_bytes
        running.set_input(str(test.input).encode("utf-8", "surrogatepass"))
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


class CallTests(_IoTests):
    """Tests that send the arguments of one call at a time and compare the value that comes back as plain data."""

    def __init__(self, zones: Zones, problem: Problem, code: str, tests: list[CodeTest]) -> None:
        super().__init__(zones, problem, code, tests, "call")
        self._name = problem.entry_point or ""

    def _ask(self, running: RunningProgram, index: int, seconds: float) -> str:
        test = self._tests[index]
        try:
            message = wire.encode([self._name, test.input, {}])
        except wire.BadData:
            return "broken_tests"
        reply = running.ask(message, seconds, _VALUE_BYTES + _VALUE_FACTOR * len(json_text(test.output)))
        if reply and reply[:1] in (b"v", b"e"):
            return _value_reason(reply, test.output)
        reason = self.why_no_answer(running, reply)
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
