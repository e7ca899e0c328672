"""The parts common to all forms of tests: the job of a program, the time that is left, why it failed."""

from __future__ import annotations

import math
import signal
import time
from dataclasses import dataclass

from acereason.problems.problem import Problem
from acereason.sandbox import program
from acereason.sandbox.running import EXITED, STOPPED, Ending, RunningProgram
from acereason.sandbox.zones import PATIENCE_SECONDS, Zones

PASSED = "passed"
NOT_OF_THE_PROGRAM = frozenset({"crashed", "broken_tests"})
"""Reasons that say nothing about the program."""
_STATUS_REASONS: dict[int, str] = {
    program.UNCONFINED: "crashed",
    program.EXCEPTION: "runtime_error",
    program.SYNTAX: "syntax_error",
    program.MEMORY: "memory",
    program.NO_FUNCTION: "no_function",
    -signal.SIGXCPU: "timeout",
    -signal.SIGXFSZ: "output_limit",
}


@dataclass(frozen=True)
class Outcome:
    """The outcome of a program's tests.

    Attributes:
        reason: `passed`, or why the first failing test failed.
        failing_test: index of that test; None when none failed, or none was run.
    """

    reason: str
    failing_test: int | None = None


class TestRun:
    """The tests of one program: its job, and the time that is left for it.

    Attributes:
        job: job for a zone, see `program.py`.
        seconds: time for all tests together.
        cpu_seconds: processor time of each process: the kernel's last resort.
    """

    def __init__(self, zones: Zones, problem: Problem, code: str, mode: str) -> None:
        self.zones, self.code = zones, code
        self._limit = problem.time_limit_seconds or zones.config.time_limit_seconds
        self.seconds = max(zones.config.total_time_limit_seconds, self._limit)
        self.cpu_seconds = math.ceil(self.seconds) + 1
        self._end = time.monotonic() + self.seconds
        self.job = program.job(mode, code, problem.prelude, problem.entry_point, iterators=bool(problem.check))

    def seconds_left(self) -> float:
        """Return the time that the next test may take."""
        return min(self._limit, self._end - time.monotonic())

    def failure(self, ending: Ending) -> str:
        """Return why a program that ended like this failed; "" when its end is no failure."""
        if ending.why != EXITED:
            return ending.why if ending.why != STOPPED else ""
        if ending.memory_bytes > self.zones.memory_bytes:
            return "memory"
        if ending.status == -signal.SIGKILL:  # not by the parent: processor time ran out, or the machine's memory
            return "timeout" if ending.cpu_seconds > self._limit else "memory"
        return _STATUS_REASONS.get(ending.status, "runtime_error" if ending.status < 0 else "")

    def why_no_answer(self, running: RunningProgram, reply: bytes | None) -> str:
        """End a program that no longer answers calls, and return why it failed."""
        failure = self.failure(running.end(PATIENCE_SECONDS))
        if failure:
            return failure
        if running.oversized:
            return "output_limit"
        return "memory" if reply == b"m" else "runtime_error"
