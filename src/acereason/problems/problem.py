"""What the policy is asked and what its answer is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Domain = Literal["math", "code"]
DOMAINS: tuple[Domain, ...] = ("math", "code")


@dataclass(frozen=True)
class CodeTest:
    """One test of a code problem.

    Attributes:
        input: text for standard input, or the list of call arguments.
        output: text expected on standard output, or the expected return value.
    """

    input: Any
    output: Any


@dataclass(frozen=True)
class Problem:
    """A question with a verifiable answer.

    Attributes:
        id: unique in its data set; seeds and the curriculum's pool are keyed by it.
        domain: `math` (judged by `answer`) or `code` (judged by `tests`).
        question: the bare question, before any prompt template.
        answer: gold answer of a math problem.
        tests: tests of a code problem; all must pass.
        entry_point: function the tests call; None means standard input and output.
        starter_code: function header shown to the policy, "" for none.
        level: difficulty, larger is harder; None when unknown.
        source, url, date: provenance, used by curation; "" when unknown.
    """

    id: str
    domain: Domain
    question: str
    answer: str = ""
    tests: tuple[CodeTest, ...] = ()
    entry_point: str | None = None
    starter_code: str = ""
    level: int | None = None
    source: str = ""
    url: str = ""
    date: str = ""
