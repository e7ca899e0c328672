"""The run of a program against the tests of its problem, in any form.

Expected outputs stay in this process (`io_tests.py`), or in an examiner's zone, where tests come as source
(`source_tests.py`); they are never where programs run.
"""

from __future__ import annotations

from collections.abc import Sequence

from acereason.problems.problem import Problem
from acereason.sandbox.zones import Zones, retry_lost
from acereason.verifiers.code.io_tests import CallTests, StdinTests
from acereason.verifiers.code.source_tests import SourceTests
from acereason.verifiers.code.test_run import NOT_OF_THE_PROGRAM, PASSED, Outcome


def run_tests(zones: Zones, problem: Problem, code: str, order: Sequence[int] = ()) -> Outcome:
    """Run a problem's tests on a program until one fails, or all of them where the settings say so.

    Args:
        code: the program.
        order: indices of tests to run first.

    Raises:
        ZoneLost: a test source lost its zones in every attempt.
    """
    if problem.check:
        return retry_lost(SourceTests(zones, problem, code).outcome)
    tests = list(problem.tests)
    if not tests:
        return Outcome("no_tests")
    first = [index for index in dict.fromkeys(order) if index < len(tests)]
    order = [*first, *(index for index in range(len(tests)) if index not in set(first))]
    kind = StdinTests if problem.entry_point is None else CallTests
    run = kind(zones, problem, code, [tests[index] for index in order])
    try:
        failures = run.failures()
    finally:
        run.close()
    return _outcome({order[place]: reason for place, reason in failures.items()})


def _outcome(failures: dict[int, str]) -> Outcome:
    if not failures:
        return Outcome(PASSED)
    index = min(failures)
    if failures[index] in NOT_OF_THE_PROGRAM:
        return Outcome(failures[index])
    return Outcome(failures[index], index)
