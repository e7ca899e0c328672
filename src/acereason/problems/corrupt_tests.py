"""Code problems with bad tests, made on purpose: what wrong rewards do to training (§4.3.6, Fig. 5)."""

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
    """The problems, some of them with wrong tests: always the same ones, by a hash of the seed and the problem's id.

    Of `false_negatives` the last test expects something else, so that right programs fail; of `false_positives`, which
    are others, only the first test is left, so that wrong programs pass.

    Raises:
        UserError: problems without tests, or shares that are more than all problems together.
    """
    negatives, positives = config.false_negatives, config.false_positives
    if negatives + positives > 1:
        shares = f"problems.false_negatives={negatives} false_positives={positives}"
        raise UserError(f"{shares}: must not be more than 1 together, as no problem is of both; lower one")
    result = []
    for problem in problems:
        if fraction("false negative", config.seed, problem.id) < negatives:
            result.append(_spoilt(problem, _failing, f"problems.false_negatives={negatives}"))
        # Of those that the first share leaves, so many that they are the second share of all.
        elif fraction("false positive", config.seed, problem.id) * (1 - negatives) < positives:
            result.append(_spoilt(problem, _weak, f"problems.false_positives={positives}"))
        else:
            result.append(problem)
    return result


def _spoilt(problem: Problem, spoil: Callable[[CodeTests], Sequence[CodeTest]], setting: str) -> Problem:
    if not problem.tests:
        raise UserError(f"{setting}: problem {problem.id!r} has no tests of input and output")
    return replace(problem, tests=CodeTests.pack(spoil(problem.tests)))


def _failing(tests: CodeTests) -> Sequence[CodeTest]:
    *others, last = tests
    return [*others, CodeTest(last.input, _another(last.output))]


def _weak(tests: CodeTests) -> Sequence[CodeTest]:
    return tests[:1]


def _another(output: Any) -> Any:
    """An output that no judge takes for this one: as text it has a word more, since digits more may be tolerated."""
    if isinstance(output, str):
        return output.rstrip() + " 1"
    return output + 1 if isinstance(output, int) and not isinstance(output, bool) else [output]
