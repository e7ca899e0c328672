"""The work that both sides of `step_time.py` do, and its reward rule; needs nothing but Python."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

LEVELS = (3, 10)
"""Of the laptop problems that both sides get."""
LEARNING_RATE = 1e-4


@dataclass(frozen=True)
class Work:
    """How much a side does, as it is told on its command line.

    Attributes:
        steps: warm-up included.
        prompts: of a step.
        rollouts: of a prompt.
        tokens: of every response, or of the longest where lengths are natural.
        natural: whether responses end where the policy ends them.
    """

    steps: int
    prompts: int
    rollouts: int
    tokens: int
    natural: bool = False

    @property
    def step_tokens(self) -> int:
        """Response tokens of a step; the most there can be where lengths are natural."""
        return self.prompts * self.rollouts * self.tokens

    def is_done(self, tokens: list[int]) -> bool:
        """Return whether steps of so many response tokens are this work."""
        if self.natural:
            return len(tokens) == self.steps and all(0 < count <= self.step_tokens for count in tokens)
        return tokens == [self.step_tokens] * self.steps

    def text(self) -> str:
        """Write it for a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> Work:
        """Read what `text` wrote."""
        return cls(**json.loads(text))

    def mixed_share(self, rewards: list[float]) -> float:
        """Return the share of the groups that hold both rewards; the others have no advantage and teach nothing."""
        groups = [rewards[i : i + self.rollouts] for i in range(0, len(rewards), self.rollouts)]
        return sum(len(set(group)) > 1 for group in groups) / len(groups)


def hash_reward(response: str) -> float:
    """Return 1.0 or 0.0 by a coin that depends on the response's text alone, so that groups stay mixed."""
    return float(hashlib.sha256(response.encode("utf-8", "replace")).digest()[0] & 1)
