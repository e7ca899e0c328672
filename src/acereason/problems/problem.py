"""What the policy is asked and what its answer is judged by."""

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
        id: unique in its data set; seeds and the curriculum's pool are keyed by it.
        domain: `math` (judged by `answer`) or `code` (judged by `tests` or by `check`).
        question: the bare question, before any prompt template.
        answer: gold answer of a math problem.
        tests: tests of a code problem; all must pass.
        check: test source of a code problem, which calls the program's function as `candidate` or by its name and
            raises where it is wrong; "" for none.
        prelude: source that program and `check` may take as given, such as imports; "" for none.
        entry_point: function the tests call, `f` or `Solution().f`; None means standard input and output. A plain
            name may also be that of a method of the program's `Solution`.
        starter_code: function header shown to the policy, "" for none.
        time_limit_seconds: wall time of one test; None leaves it to the settings.
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
