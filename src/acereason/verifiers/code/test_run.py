"""What judging one program takes, whatever the form of its tests: its job, its time, why it failed."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from acereason.problems.problem import Problem
from acereason.sandbox import program
from acereason.sandbox.running import ENDED, EXITED, Ending, RunningProgram, ZoneLost

if TYPE_CHECKING:
    from acereason.verifiers.code.run_tests import Judge

ATTEMPTS = 10
"""Times that a test is run when its zone is lost on the way, which no program can bring about."""
PASSED = "passed"
OF_THE_JUDGE = frozenset({"crashed", "broken_tests"})
"""Reasons that say nothing about the program."""
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


class Trial:
    """The tests of one program: its job, and the time that is left for it.

    Attributes:
        job: what a zone is told, see `program.py`.
        seconds: for all tests together.
        cpu_seconds: of processor time, for each process: the kernel's last resort.
    """

    def __init__(self, judge: Judge, problem: Problem, source: str, mode: str) -> None:
        self.judge, self.source = judge, source
        self._limit = problem.time_limit_seconds or judge.config.time_limit_seconds
        self.seconds = max(judge.config.total_time_limit_seconds, self._limit)
        self.cpu_seconds = math.ceil(self.seconds) + 1
        self._end = time.monotonic() + self.seconds
        self.job = program.job(mode, source, problem.prelude, problem.entry_point, iterators=bool(problem.check))

    def seconds_left(self) -> float:
        """For the next test."""
        return min(self._limit, self._end - time.monotonic())

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


def persistently(run: Callable[[], _Result]) -> _Result:
    """What `run` returns once it has not lost a zone.

    Raises:
        ZoneLost: every attempt did.
    """
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(ZoneLost):
            return run()
    return run()
