"""Tests that come as source: an examiner in its own zone asks, the program in another answers, the judge carries."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from acereason.problems.problem import Problem
from acereason.sandbox import program
from acereason.sandbox.running import RunningProgram
from acereason.sandbox.zone import Zone
from acereason.verifiers.code.test_run import PASSED, PATIENCE_SECONDS, Outcome, Trial

if TYPE_CHECKING:
    from acereason.verifiers.code.run_tests import Judge

MESSAGE_BYTES = 1 << 24
"""Longest message from either side."""


class Examination(Trial):
    """One program before the tests of its problem.

    The examiner knows what is expected and never runs the program; the program gets arguments and gives plain data.
    """

    def __init__(self, judge: Judge, problem: Problem, source: str) -> None:
        super().__init__(judge, problem, source, "call")
        self._problem = problem
        self._examiner_job = program.job("examine", problem.check, problem.prelude, problem.entry_point)
        self._calls = 0

    def outcome(self) -> Outcome:
        """What the examiner says; the test that counts as failing is the call that was the last.

        Raises:
            ZoneLost: to be tried again.
        """
        self._calls = 0
        reason = self._reason()
        of_program = reason not in (PASSED, "no_tests", "broken_tests", "crashed")
        return Outcome(reason, max(0, self._calls - 1) if of_program else None)

    def _reason(self) -> str:
        problem, judge = self._problem, self.judge
        with contextlib.ExitStack() as stack:
            examiner = self._started(judge.zone("examiner", problem.prelude + problem.check), self._examiner_job, stack)
            running = self._started(judge.zone("program", self.source), self.job, stack)
            examiner.companion = running
            return self._carry(examiner, running)

    def _started(self, zone: Zone, job: dict[str, Any], stack: contextlib.ExitStack) -> RunningProgram:
        zone.prepare(job)
        running = zone.start(self.seconds, self.cpu_seconds)
        stack.callback(running.stop)
        return running

    def _carry(self, examiner: RunningProgram, running: RunningProgram) -> str:
        """Messages to and fro, until the examiner has done."""
        message = examiner.listen(self.seconds, MESSAGE_BYTES)
        while message and message[:1] == b"c":
            self._calls += 1
            seconds = self.seconds_left()
            if seconds <= 0:
                return "timeout"
            reply = running.ask(message[1:], seconds, MESSAGE_BYTES)
            if not reply or reply[:1] not in (b"v", b"e"):
                return self.broken_off(running, reply)
            message = examiner.ask(reply, self.seconds, MESSAGE_BYTES)
        if not message:
            return self._broken_tests(examiner)
        if running.end(0).memory_bytes > self.judge.memory_bytes:
            return "memory"
        return _verdict(json.loads(message[1:]))

    def _broken_tests(self, examiner: RunningProgram) -> str:
        """The examiner died: over a value that the program gave it, or because its source is no program."""
        failure = self.failure(examiner.end(PATIENCE_SECONDS))
        return failure if self._calls and failure in ("timeout", "memory") else "broken_tests"


def _verdict(said: dict[str, Any]) -> str:
    if said["failed"] and said["calls"]:
        return "runtime_error" if said["raised"] else "wrong_answer"
    if said["failed"]:
        return "broken_tests"
    return PASSED if said["calls"] else "no_tests"
