"""Prompts as engines take them, and whether they leave room for a response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from acereason.errors import UserError
from acereason.problems.problem import Problem
from acereason.problems.prompts import prompt_text


@dataclass(frozen=True)
class Prompt:
    """A problem as the policy sees it, as text and as tokens."""

    problem: Problem
    text: str
    ids: tuple[int, ...]


def make_prompt(problem: Problem, tokenizer: Any) -> Prompt:
    """Return the prompt of a problem; a chat template writes its own special tokens, a bare text gets the tokenizer's.

    Args:
        problem: what is asked.
        tokenizer: of the policy.
    """
    text = prompt_text(problem, tokenizer)
    return Prompt(problem, text, tuple(tokenizer.encode(text, add_special_tokens=not tokenizer.chat_template)))


def check_lengths(prompts: Sequence[Prompt], max_response_tokens: int, context: int) -> None:
    """Check that every prompt and the longest response fit into the context together.

    Raises:
        UserError: they do not; the longest prompt is named.
    """
    longest = max(prompts, key=lambda prompt: len(prompt.ids))
    if len(longest.ids) + max_response_tokens > context:
        raise UserError(
            f"responses of {max_response_tokens} tokens after the prompt of problem '{longest.problem.id}' "
            f"({len(longest.ids)} tokens) do not fit into the context of {context} tokens: lower "
            "curriculum.max_response_tokens or evaluation.max_response_tokens"
        )
