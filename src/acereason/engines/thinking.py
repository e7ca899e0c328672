"""The prompts of a run, and whether responses have to end their thoughts with `</think>` before they are judged."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from acereason.config.schema import Config, Thinking
from acereason.engines.prompt import Prompt, make_prompt
from acereason.problems.problem import Problem
from acereason.problems.prompt_style import check_style, read_style
from acereason.problems.prompts import THINK_END, THINK_START, PromptStyle, knows_thinking


@dataclass(frozen=True)
class ThinkingRule:
    """What is judged of a response, and whether that fits the model.

    Attributes:
        required: without `</think>` nothing is; otherwise the whole response is.
        why: in a few words, what decided it.
        warning: what does not fit, and what to do; empty if nothing was found.
    """

    required: bool
    why: str
    warning: str


def prompts_and_rule(
    config: Config, problems: Collection[Problem], tokenizer: Any
) -> tuple[dict[str, Prompt], ThinkingRule]:
    """Return the prompts by the ids of their problems, and what of the responses is judged.

    Args:
        config: settings.
        problems: at least one.
        tokenizer: of the policy.

    Raises:
        UserError: a file of the settings cannot be read, or the chat template does not write what they ask for.
    """
    style, one_of_each = read_style(config.prompts), {problem.domain: problem for problem in problems}.values()
    for problem in one_of_each:
        check_style(style, tokenizer, problem)
    prompts = {problem.id: make_prompt(problem, tokenizer, style) for problem in problems}
    looked_at = [prompts[problem.id] for problem in one_of_each]
    return prompts, thinking_rule(config.rewards.thinking, looked_at, style, tokenizer)


def thinking_rule(setting: Thinking, prompts: Sequence[Prompt], style: PromptStyle, tokenizer: Any) -> ThinkingRule:
    """Resolve `rewards.thinking` for a model and its prompts.

    `auto` requires the end of thinking where a prompt opens a think block, and where the chat template has such blocks
    and the prompt does not close one.

    Args:
        setting: its value.
        prompts: one of each domain; what follows the question does not depend on the problem.
        style: of the prompts.
        tokenizer: of the policy.
    """
    ends = [_end_of_prompt(prompt, style) for prompt in prompts]
    opened, closed = any(map(_opens, ends)), all(THINK_END in end and not _opens(end) for end in ends)
    template = "" if style.template_name(tokenizer) else style.template or tokenizer.chat_template
    if opened:
        found = "the prompt opens a think block"
    elif closed:
        found = "the prompt closes its think block"
    elif THINK_END in template:
        found = "the chat template has think blocks"
    else:
        found = "neither prompt nor chat template has a think block"
    required = opened or (THINK_END in template and not closed)
    if setting is not Thinking.auto:
        required = setting is Thinking.required
    told = [message["content"] for message in style.messages(replace(prompts[0].problem, question=""))]
    known = THINK_END in template or knows_thinking(tokenizer) or any(THINK_END in text for text in told)
    return ThinkingRule(required, found, _warning(required, opened, closed, known))


def _warning(required: bool, opened: bool, closed: bool, known: bool) -> str:
    if required and closed:
        found, advice = "the prompt closes its think block, so that no response will", "use optional"
    elif required and not known:
        found = (
            f"neither chat template nor vocabulary has {THINK_END}: responses without it earn nothing (no_think_end)"
        )
        advice = "use optional, or teach the model to write it by a warm start"
    elif opened and not required:
        found = "the prompt opens a think block"
        advice = "thoughts that are cut off are judged as answers"
    else:
        return ""
    return f"rewards.thinking is {'required' if required else 'optional'}, but {found}; {advice}"


def _end_of_prompt(prompt: Prompt, style: PromptStyle) -> str:
    """Return what the chat template wrote after the question."""
    return prompt.text.rpartition(style.messages(prompt.problem)[-1]["content"].strip())[2]


def _opens(end: str) -> bool:
    return end.rfind(THINK_START) > end.rfind(THINK_END)
