"""Bad tests for code problems, made on purpose to see what wrong rewards do to training (§4.3.6, Fig. 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from acereason.config.schema import ProblemsConfig
from acereason.errors import UserError
from acereason.problems.code_tests import CodeTest, CodeTests
from acereason.problems.problem import Problem
from acereason.seeds import fraction


def with_wrong_tests(problems: list[Problem], config: ProblemsConfig) -> list[Problem]:
    """Return the problems with the tests of some made wrong; a hash of seed and id decides which ones.

    In the share `false_negatives` the last test expects another output, so right programs fail. In the share
    `false_positives`, other problems, only the first test is kept, so wrong programs pass.

    Raises:
        UserError: a chosen problem has no tests, or the two shares together exceed 1.
    """
    negatives, positives = config.false_negatives, config.false_positives
    if negatives + positives > 1:
        shares = f"problems.false_negatives={negatives} false_positives={positives}"
        raise UserError(f"{shares}: together they must not exceed 1, since no problem is in both shares; lower one")
    result = []
    for problem in problems:
        if fraction("false negative", config.seed, problem.id) < negatives:
            result.append(_corrupted(problem, _failing, f"problems.false_negatives={negatives}"))
        # Drawn from the rest, with a probability that makes it the second share of all problems.
        elif fraction("false positive", config.seed, problem.id) * (1 - negatives) < positives:
            result.append(_corrupted(problem, _weak, f"problems.false_positives={positives}"))
        else:
            result.append(problem)
    return result


def _corrupted(problem: Problem, corrupt: Callable[[CodeTests], Sequence[CodeTest]], setting: str) -> Problem:
    if not problem.tests:
        raise UserError(f"{setting}: problem {problem.id!r} has no tests of input and output")
    return replace(problem, tests=CodeTests.pack(corrupt(problem.tests)))


def _failing(tests: CodeTests) -> Sequence[CodeTest]:
    *others, last = tests
    return [*others, CodeTest(last.input, _other_output(last.output))]


def _weak(tests: CodeTests) -> Sequence[CodeTest]:
    return tests[:1]


def _other_output(output: Any) -> Any:
    """Return an output that never counts as equal; text gets one more word, because one more digit may be tolerated."""
    if isinstance(output, str):
        return output.rstrip() + " 1"
    return output + 1 if isinstance(output, int) and not isinstance(output, bool) else [output]
