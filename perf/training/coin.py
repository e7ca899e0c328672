"""The reward rule and the size of the step that `step_time.py` compares; needs nothing but Python."""

from __future__ import annotations

import hashlib

PROMPTS_PER_STEP = 16
ROLLOUTS_PER_PROMPT = 16
RESPONSE_TOKENS = 64
LEARNING_RATE = 1e-4


def hash_reward(response: str) -> float:
    """1.0 or 0.0 by a coin that depends on the response's text alone, so that groups stay mixed."""
    return float(hashlib.sha256(response.encode("utf-8", "replace")).digest()[0] & 1)


def mixed_share(rewards: list[float]) -> float:
    """Share of the groups, in order, that hold both rewards; the others have no advantage and teach nothing."""
    groups = [rewards[i : i + ROLLOUTS_PER_PROMPT] for i in range(0, len(rewards), ROLLOUTS_PER_PROMPT)]
    return sum(len(set(group)) > 1 for group in groups) / len(groups)
