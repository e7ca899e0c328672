"""A problem: the question for the policy, and the answer or tests that judge the response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from acereason.problems.code_tests import CodeTest as CodeTest
from acereason.problems.code_tests import CodeTests as CodeTests

Domain = Literal["math", "code"]
DOMAINS: tuple[Domain, ...] = ("math", "code")


@dataclass(frozen=True)
class Problem:
    """A question with a verifiable answer.

    Attributes:
        id: unique in its data set; the key of seeds and of the curriculum's pool.
        domain: `math` (judged by `answer`) or `code` (judged by `tests` or by `check`).
        question: the bare question, before any prompt template.
        answer: gold answer of a math problem.
        tests: tests of a code problem; a program has to pass all of them.
        check: test source of a code problem; it calls the program's function as `candidate` or by its name and raises
            if a result is wrong; "" for none.
        prelude: source that the program and `check` may rely on, such as imports; "" for none.
        entry_point: function that the tests call, `f` or `Solution().f`; None for tests of standard input and output. A
            plain name may also be a method of the program's class `Solution`.
        starter_code: function header shown to the policy; "" for none.
        time_limit_seconds: wall time limit of one test; None uses the settings' limit.
        level: difficulty, larger is harder; None when unknown.
        source, url, date: provenance, used by curation; "" when unknown.
    """

    id: str
    domain: Domain
    question: str
    answer: str = ""
    tests: CodeTests = CodeTests()  # noqa: RUF009 - immutable
    check: str = ""
    prelude: str = ""
    entry_point: str | None = None
    starter_code: str = ""
    time_limit_seconds: float | None = None
    level: int | None = None
    source: str = ""
    url: str = ""
    date: str = ""


@dataclass(frozen=True)
class WorkedProblem:
    """A problem with a solution to learn from: all that the policy is to write after the prompt, its box included."""

    problem: Problem
    solution: str
