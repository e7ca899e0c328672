"""What a verifier is: a total function from a problem and a response to a verdict, in two steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from acereason.problems.problem import Problem

JUDGED_REASONS = frozenset({"correct", "wrong", "no_think_end", "no_answer", "empty", "unbalanced"})


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
        reason: short machine-readable cause, such as `correct`, `wrong`, `no_answer`, `timeout`, `memory`.
        seconds: wall time of the judgement; 0 where none was made: there was nothing to judge, or the verdict is that
            of an equal judgement.
    """

    reward: float
    extracted: str
    reason: str
    seconds: float

    @property
    def judged(self) -> bool:
        """Whether the verifier came to a judgement; otherwise the 0 says nothing about the response."""
        return self.reason in JUDGED_REASONS


class Verifier(Protocol):
    """Judges responses to the problems of one domain. Never raises: what it cannot judge is a 0 with a reason."""

    def extract(self, response: str) -> Extraction:
        """What is to be judged; runs in the training process, so it costs microseconds whatever the response."""
        ...

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """The verdict on what was extracted; runs in a worker process, which is killed past its limits."""
        ...

    def warm_up(self) -> None:
        """Import what judging needs; a worker calls it once, before its first judgement."""
        ...
