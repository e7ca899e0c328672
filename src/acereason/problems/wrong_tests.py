"""Code problems with bad tests, made on purpose: what wrong rewards do to training (§4.3.6, Fig. 5)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from acereason.config import ProblemsConfig
from acereason.errors import UserError
from acereason.problems.code_tests import CodeTest, CodeTests
from acereason.problems.problem import Problem


def with_wrong_tests(problems: list[Problem], config: ProblemsConfig) -> list[Problem]:
    """The problems, some of them with wrong tests: always the same ones, by a hash of the seed and the problem's id.

    Of `false_negatives` the last test expects something else, so that right programs fail; of `false_positives` only
    the first test is left, so that wrong programs pass.

    Raises:
        UserError: problems without tests.
    """
    spoilt = _spoilt(problems, config.false_negatives, _failing, f"false negative/{config.seed}")
    return _spoilt(spoilt, config.false_positives, _weak, f"false positive/{config.seed}")


def _spoilt(
    problems: list[Problem], share: float, spoil: Callable[[CodeTests], Sequence[CodeTest]], salt: str
) -> list[Problem]:
    if not share:
        return problems
    result = []
    for problem in problems:
        if _place(salt, problem.id) >= share:
            result.append(problem)
        elif problem.tests:
            result.append(replace(problem, tests=CodeTests.pack(spoil(problem.tests))))
        else:
            name = salt.partition("/")[0].replace(" ", "_") + "s"
            raise UserError(f"problems.{name}={share}: problem {problem.id!r} has no tests of input and output")
    return result


def _place(salt: str, problem_id: str) -> float:
    """A number from 0 to 1 that only the arguments decide."""
    return int.from_bytes(hashlib.blake2b(f"{salt}/{problem_id}".encode(), digest_size=8).digest(), "big") / 2**64


def _failing(tests: CodeTests) -> Sequence[CodeTest]:
    *others, last = tests
    return [*others, CodeTest(last.input, _another(last.output))]


def _weak(tests: CodeTests) -> Sequence[CodeTest]:
    return tests[:1]


def _another(output: Any) -> Any:
    """An output that is not this one."""
    if isinstance(output, str):
        return output.rstrip() + "1"
    return output + 1 if isinstance(output, int) and not isinstance(output, bool) else [output]
