"""What a verifier is: a total function from a problem and a response to a verdict, in two steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from acereason.problems.problem import Domain, Problem

NOTHING_TO_JUDGE = frozenset({"no_think_end", "no_answer", "no_code", "empty", "unbalanced"})
"""Reasons of a response that holds no answer or program; its 0 is earned."""
JUDGED_REASONS: dict[Domain, frozenset[str]] = {
    "math": frozenset({"correct", "wrong", "no_think_end", "no_answer", "empty", "unbalanced"}),
    "code": frozenset({"passed", "wrong_answer", "runtime_error", "syntax_error", "output_limit"})
    | frozenset({"no_think_end", "no_code", "empty"}),
}
"""Reasons that say something about the response, whatever test they come from."""
_JUDGED = frozenset[str]().union(*JUDGED_REASONS.values())


@dataclass(frozen=True)
class Extraction:
    """What is to be judged of a response.

    Attributes:
        answer: the answer or program; "" when there is none.
        reason: why there is none, such as `no_think_end`, `no_answer`; "" when there is one.
    """

    answer: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """The outcome of one judgement.

    Attributes:
        reward: 1.0 or 0.0 (§3.1).
        extracted: the answer or program found in the response; "" when there is none.
        reason: short machine-readable cause, such as `correct`, `wrong`, `no_answer`, `timeout`, `memory`; for a
            program `passed`, `wrong_answer`, `runtime_error` and others.
        seconds: wall time of the judgement; 0 where none was made: there was nothing to judge, or the verdict is that
            of an equal judgement.
        first_failing_test: number, from 0, of the first test that a program failed; None where it failed none, and
            always for math.
    """

    reward: float
    extracted: str
    reason: str
    seconds: float
    first_failing_test: int | None = None

    @property
    def judged(self) -> bool:
        """Whether the verifier came to a judgement; otherwise the 0 says nothing about the response.

        A limit that a program passed in one of its tests (`timeout`, `memory`) is a judgement of that program; the same
        reason without a test is the verifier's own limit.
        """
        return self.reason in _JUDGED or self.first_failing_test is not None


class Verifier(Protocol):
    """Judges responses to the problems of one domain. Never raises: what it cannot judge is a 0 with a reason."""

    def extract(self, response: str) -> Extraction:
        """What is to be judged; runs in the training process, so it costs microseconds whatever the response."""
        ...

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """The verdict on what was extracted; runs in a worker process, which is killed past its limits."""
        ...

    def warm_up(self) -> None:
        """Import or start what judging needs; a worker calls it once, before its first judgement."""
        ...

    def close(self) -> None:
        """End what was started."""
        ...
