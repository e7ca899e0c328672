"""Settings of how problems are put to the policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from acereason.config.setting import group, setting

PAPER = "paper"
"""Instruction that stands for the paper's."""


@dataclass
class InstructionsConfig:
    """What the policy is told to do, by domain: `paper`, nothing, or a text of one's own.

    The text follows the question; where it says {question}, the question stands there instead.
    """

    math: str = PAPER
    """For math problems."""
    code: str = PAPER
    """For code problems; a given function header comes first, after the question."""


@dataclass
class PromptsConfig:
    """How problems are put to the policy."""

    template: str = setting("model", not_empty=True)
    """`model`: the model's own chat template, else r1 or plain; `r1`, `plain`, or a file with a Jinja template."""
    system: str = ""
    """System prompt; the paper has none."""
    instructions: InstructionsConfig = group(InstructionsConfig)
    examples: str = ""
    """File of JSON lines, solved examples that come first: `question`, `response` and, for code, `domain`."""
    chat_template_kwargs: dict[str, Any] = setting({})
    """Variables for the chat template, such as {enable_thinking: false}."""
