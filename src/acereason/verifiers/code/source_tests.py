"""Tests that come as source: an examiner in one zone runs them, the program in another answers its calls."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from acereason.problems.problem import Problem
from acereason.sandbox import program
from acereason.sandbox.running import RunningProgram
from acereason.sandbox.zone import Zone
from acereason.sandbox.zones import EXAMINER, PATIENCE_SECONDS, PROGRAM, Zones
from acereason.verifiers.code.test_run import PASSED, Outcome, TestRun

MESSAGE_BYTES = 1 << 24
"""Longest message from either side."""


class SourceTests(TestRun):
    """The tests of a problem, run against one program.

    The examiner knows what is expected and never runs the program; the program gets arguments and returns plain data.
    This process carries the messages between them.
    """

    def __init__(self, zones: Zones, problem: Problem, code: str) -> None:
        super().__init__(zones, problem, code, "call")
        self._problem = problem
        self._examiner_job = program.job("examine", problem.check, problem.prelude, problem.entry_point)
        self._calls = 0

    def outcome(self) -> Outcome:
        """Run the tests and return what the examiner says; the last call counts as the failing test.

        Raises:
            ZoneLost: to be tried again.
        """
        self._calls = 0
        reason = self._reason()
        of_program = reason not in (PASSED, "no_tests", "broken_tests", "crashed")
        return Outcome(reason, max(0, self._calls - 1) if of_program else None)

    def _reason(self) -> str:
        problem, zones = self._problem, self.zones
        with contextlib.ExitStack() as stack:
            examiner_zone = zones.zone(EXAMINER, problem.prelude + problem.check)
            examiner = self._started(examiner_zone, self._examiner_job, stack)
            running = self._started(zones.zone(PROGRAM, self.code), self.job, stack)
            examiner.companion = running
            return self._carry_messages(examiner, running)

    def _started(self, zone: Zone, job: dict[str, Any], stack: contextlib.ExitStack) -> RunningProgram:
        zone.prepare(job)
        running = zone.start(self.seconds, self.cpu_seconds)
        stack.callback(running.stop)
        return running

    def _carry_messages(self, examiner: RunningProgram, running: RunningProgram) -> str:
        """Carry calls and their answers to and fro until the examiner is done, and return the reason."""
        message = examiner.receive(self.seconds, MESSAGE_BYTES)
        while message and message[:1] == b"c":
            self._calls += 1
            seconds = self.seconds_left()
            if seconds <= 0:
                return "timeout"
            reply = running.ask(message[1:], seconds, MESSAGE_BYTES)
            if not reply or reply[:1] not in (b"v", b"e"):
                return self.why_no_answer(running, reply)
            message = examiner.ask(reply, self.seconds, MESSAGE_BYTES)
        if not message:
            return self._why_examiner_died(examiner)
        if running.end(0).memory_bytes > self.zones.memory_bytes:
            return "memory"
        return _reason_of(json.loads(message[1:]))

    def _why_examiner_died(self, examiner: RunningProgram) -> str:
        """Return `broken_tests`, unless it died over a value that the program gave it."""
        failure = self.failure(examiner.end(PATIENCE_SECONDS))
        return failure if self._calls and failure in ("timeout", "memory") else "broken_tests"


def _reason_of(report: dict[str, Any]) -> str:
    if report["failed"] and report["calls"]:
        return "runtime_error" if report["raised"] else "wrong_answer"
    if report["failed"]:
        return "broken_tests"
    return PASSED if report["calls"] else "no_tests"
