"""What a verifier is: a total function from a problem and a response to a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from acereason.problems.problem import Problem

JUDGED_REASONS = frozenset({"correct", "wrong", "no_think_end", "no_answer", "empty", "unbalanced"})


@dataclass(frozen=True)
class Verdict:
    """The outcome of one judgement.

    Attributes:
        reward: 1.0 or 0.0 (§3.1).
        extracted: the answer or program found in the response; "" when there is none.
        reason: short machine-readable cause, such as `correct`, `wrong`, `no_answer`, `timeout`, `memory`.
        seconds: wall time of the judgement.
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

    def verify(self, problem: Problem, response: str) -> Verdict:
        """The verdict on one response, in bounded time and memory."""
        ...
