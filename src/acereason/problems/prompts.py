"""Problems as the text that a policy continues: the paper's prompts (Appendix A.1, the model cards), or one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from acereason.config.schema.prompts import PAPER
from acereason.errors import UserError
from acereason.problems.problem import Domain, Problem

MATH_INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
CODE_PLACEMENT = "Please place the solution code in the following format:\n```python\n# Your solution code here\n```"
CODE_INSTRUCTION = "Write Python code to solve the problem. " + CODE_PLACEMENT
CODE_HEADER_INTRO = "Solve the problem starting with the provided function header.\n\nFunction header:\n```\n"
_BOX_REQUEST = re.compile(
    r"\\boxed(?!\s*\{\s*[^\s}])|\\boxed\s*\{(?:[\w ]*answer|\.\.\.|…|\\[lc]?dots)\s*\}", re.IGNORECASE
)
QUESTION = "{question}"
THINK_START, THINK_END = "<think>", "</think>"

R1_TEMPLATE = (
    "{% for message in messages %}{% if message.role == 'user' %}{{ '<｜User｜>' + message.content }}"
    "{% elif message.role == 'assistant' %}{{ '<｜Assistant｜>' + message.content + '<｜end▁of▁sentence｜>' }}"
    "{% else %}{{ message.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}"
)
"""Chat template of the distilled DeepSeek-R1 models, which opens a think block."""
PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message.content }}{{ '\\n' if message.role == 'user' else '\\n\\n' }}{% endfor %}"
)
"""Chat template for a model that knows no chat: the messages as they are."""
TEMPLATES = {"r1": R1_TEMPLATE, "plain": PLAIN_TEMPLATE}
"""Chat templates by name. None writes the token that begins a text: the tokenizer adds it."""


@dataclass(frozen=True)
class PromptStyle:
    """How problems are put to a policy; by default as in the paper.

    Attributes:
        template: `r1` or `plain`, or a Jinja chat template; empty: the model's own, else `r1` where the vocabulary has
            `</think>`, else `plain`.
        system: system prompt; empty for none.
        instructions: by domain: `paper`, or a text that follows the question or has it where it says {question}.
        examples: problems with responses, by domain, that come before the question.
        chat_template_kwargs: variables for the chat template.
    """

    template: str = ""
    system: str = ""
    instructions: Mapping[Domain, str] = field(default_factory=dict)
    examples: Mapping[Domain, Sequence[tuple[Problem, str]]] = field(default_factory=dict)
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def messages(self, problem: Problem) -> list[dict[str, str]]:
        """Return the messages that put a problem, each with `role` and `content`."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        instruction = self.instructions.get(problem.domain, PAPER)
        for example, response in self.examples.get(problem.domain, ()):
            messages.append({"role": "user", "content": user_message(example, instruction)})
            messages.append({"role": "assistant", "content": response})
        return [*messages, {"role": "user", "content": user_message(problem, instruction)}]

    def template_name(self, tokenizer: Any) -> str:
        """Return `r1` or `plain` if such a template is taken, "" if it is the model's or the user's own."""
        if self.template in TEMPLATES:
            return self.template
        if self.template or tokenizer.chat_template:
            return ""
        return "r1" if knows_thinking(tokenizer) else "plain"


PAPER_STYLE = PromptStyle()


@lru_cache(maxsize=8)
def knows_thinking(tokenizer: Any) -> bool:
    """Return whether a token of the vocabulary holds `</think>`; asked for each prompt, looked up once a tokenizer."""
    return any(THINK_END in token for token in tokenizer.get_vocab())


def asks_for_box(question: str) -> bool:
    r"""Return whether the question asks for a boxed answer: `\boxed`, `\boxed{}`, `\boxed{answer}` or `\boxed{...}`.

    A box around anything else is part of the question's own notation.
    """
    return _BOX_REQUEST.search(question) is not None


def user_message(problem: Problem, instruction: str = PAPER) -> str:
    """Write the user message: the question with an instruction, by default the paper's for its domain.

    The paper's is not added to a math question that already asks for a box, as in veRL's rows.
    """
    header = f"{CODE_HEADER_INTRO}{problem.starter_code}\n```" if problem.starter_code else ""
    if instruction != PAPER:
        question = "\n\n".join(filter(None, [problem.question, header]))
        if QUESTION in instruction:
            return instruction.replace(QUESTION, question)
        return "\n".join(filter(None, [question, instruction]))
    if problem.domain == "math":
        if asks_for_box(problem.question):
            return problem.question
        return f"{problem.question}\n{MATH_INSTRUCTION}"
    if header:
        return f"{problem.question}\n\n{header}\n\n{CODE_PLACEMENT}"
    return f"{problem.question}\n\n{CODE_INSTRUCTION}"


def prompt_text(problem: Problem, tokenizer: Any, style: PromptStyle = PAPER_STYLE) -> str:
    """Write the text that the policy continues.

    Raises:
        UserError: the chat template fails on the messages, as some do on a system prompt.
    """
    from jinja2.exceptions import TemplateError

    template = TEMPLATES.get(style.template_name(tokenizer), style.template) or tokenizer.chat_template
    try:
        text: str = tokenizer.apply_chat_template(
            style.messages(problem),
            chat_template=template,
            tokenize=False,
            add_generation_prompt=True,
            **style.chat_template_kwargs,
        )
    except TemplateError as error:
        raise UserError(f"prompts: the chat template refuses the messages: {error}") from error
    return text
