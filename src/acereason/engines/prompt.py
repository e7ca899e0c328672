"""Prompts as engines take them, and a check that they leave room for a response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from acereason.errors import UserError
from acereason.problems.problem import Problem
from acereason.problems.prompts import PAPER_STYLE, PromptStyle, prompt_text


@dataclass(frozen=True)
class Prompt:
    """A problem as the policy sees it, as text and as tokens."""

    problem: Problem
    text: str
    ids: tuple[int, ...]


def make_prompt(problem: Problem, tokenizer: Any, style: PromptStyle = PAPER_STYLE) -> Prompt:
    """Return the prompt of a problem.

    A chat template writes its own special tokens; our `plain` and `r1` get the tokenizer's.

    Args:
        problem: to ask.
        tokenizer: of the policy.
        style: how problems are put.
    """
    text = prompt_text(problem, tokenizer, style)
    bare = bool(style.template_name(tokenizer))
    return Prompt(problem, text, tuple(tokenizer.encode(text, add_special_tokens=bare)))


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
