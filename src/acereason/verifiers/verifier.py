"""The interface of verifiers: extract the answer from a response, then judge it; any input gives a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from acereason.problems.problem import Domain, Problem
from acereason.problems.prompts import THINK_END

NO_THINK_END = "no_think_end"
NOTHING_TO_JUDGE = frozenset({NO_THINK_END, "no_answer", "no_code", "empty", "unbalanced"})
"""Reasons for a response that holds no answer or program; its 0 is earned."""
JUDGED_REASONS: dict[Domain, frozenset[str]] = {
    "math": frozenset({"correct", "wrong", "no_think_end", "no_answer", "empty", "unbalanced"}),
    "code": frozenset({"passed", "wrong_answer", "runtime_error", "syntax_error", "output_limit"})
    | frozenset({"no_think_end", "no_code", "empty"}),
}
"""Reasons that are a judgement of the response, by domain."""
_JUDGED = frozenset[str]().union(*JUDGED_REASONS.values())


@dataclass(frozen=True)
class Extraction:
    """The part of a response that is judged.

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
        seconds: wall time of the judgement; 0 where none was made: there was nothing to judge, or an equal judgement
            gave the verdict.
        first_failing_test: index of the first test that a program failed; None where it failed none, and always for
            math.
    """

    reward: float
    extracted: str
    reason: str
    seconds: float
    first_failing_test: int | None = None

    @property
    def judged(self) -> bool:
        """Whether the verifier came to a judgement; otherwise the 0 says nothing about the response.

        A program that went over a limit in one of its tests (`timeout`, `memory`) was judged; the same reason without a
        test is the verifier's own limit.
        """
        return self.reason in _JUDGED or self.first_failing_test is not None


class Verifier(Protocol):
    """The judge of responses to the problems of one domain. Never raises: what it cannot judge is a 0 with a reason."""

    def extract(self, response: str, thinking_required: bool = True) -> Extraction:
        """Return the answer of a response; runs in the training process, so it takes only microseconds.

        Args:
            response: as the policy wrote it.
            thinking_required: see `after_thinking`.
        """
        ...

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Return the verdict on an extracted answer; runs in a worker process, which is killed past its limits."""
        ...

    def warm_up(self) -> None:
        """Import or start what judging needs; a worker calls it once, before its first judgement."""
        ...

    def close(self) -> None:
        """End what was started."""
        ...


def after_thinking(response: str, required: bool = True) -> str | None:
    """Return the text after the last `</think>`, all that is ever judged.

    Returns:
        Without `</think>`: None, thinking did not end; or, if it is not required, the whole response.
    """
    start = response.rfind(THINK_END)
    if start < 0:
        return None if required else response
    return response[start + len(THINK_END) :]
