"""The code verifier: finds the program in a response and judges it by its problem's tests (§3.1, §3.3.2)."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict

from acereason.problems.problem import Problem
from acereason.sandbox.isolation import Sandbox
from acereason.sandbox.running import ZoneLost
from acereason.sandbox.zones import Zones
from acereason.verifiers.code.extraction import find_program
from acereason.verifiers.code.run_tests import run_tests
from acereason.verifiers.code.test_run import PASSED
from acereason.verifiers.verifier import Extraction, Verdict

_PROBLEMS = 1024
"""Problems whose failed tests are remembered."""
_FIRST = 8
"""Most tests of a problem that run before the others for having failed most often."""


class CodeVerifier:
    """The verifier of programs by their problem's tests: reward 1 when all pass.

    Args:
        sandbox: `Sandbox.to_json()`; without it only `extract` works.
    """

    def __init__(self, sandbox: str = "") -> None:
        self._sandbox = Sandbox.from_json(sandbox) if sandbox else None
        self._zones: Zones | None = None
        self._failed: OrderedDict[str, Counter[int]] = OrderedDict()

    def extract(self, response: str, thinking_required: bool = True) -> Extraction:
        """Return the program of a response."""
        return find_program(response, thinking_required)

    def warm_up(self) -> None:
        """Make the zone in which programs run."""
        assert self._sandbox, "a sandbox is needed to run programs"
        self._zones = Zones(self._sandbox.config, self._sandbox.isolation)

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Return the verdict on a program; `problem.id` tells suites of tests apart."""
        assert self._zones, "warm_up comes first"
        started = time.perf_counter()
        try:
            outcome = run_tests(self._zones, problem, answer, self._order(problem.id))
        except ZoneLost:
            return Verdict(0.0, answer, "crashed", time.perf_counter() - started)
        if outcome.failing_test is not None:
            self._remember(problem.id, outcome.failing_test)
        reward = float(outcome.reason == PASSED)
        return Verdict(reward, answer, outcome.reason, time.perf_counter() - started, outcome.failing_test)

    def close(self) -> None:
        """End the zones."""
        if self._zones:
            self._zones.close()

    def _order(self, suite: str) -> list[int]:
        """Return the tests to run first: those that failed most often."""
        if not self._sandbox or not self._sandbox.config.failing_first or suite not in self._failed:
            return []
        return [index for index, _ in self._failed[suite].most_common(_FIRST)]

    def _remember(self, suite: str, failing_test: int) -> None:
        self._failed.setdefault(suite, Counter())[failing_test] += 1
        self._failed.move_to_end(suite)
        if len(self._failed) > _PROBLEMS:
            self._failed.popitem(last=False)
