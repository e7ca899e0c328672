"""The paper's prompt templates (Appendix A.1 and the released model cards), and the model's own chat template."""

from __future__ import annotations

import re
from typing import Any

from acereason.problems.problem import Problem

MATH_INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
CODE_PLACEMENT = "Please place the solution code in the following format:\n```python\n# Your solution code here\n```"
CODE_INSTRUCTION = "Write Python code to solve the problem. " + CODE_PLACEMENT
CODE_HEADER_INTRO = "Solve the problem starting with the provided function header.\n\nFunction header:\n```\n"
_BOX_REQUEST = re.compile(
    r"\\boxed(?!\s*\{\s*[^\s}])|\\boxed\s*\{(?:[\w ]*answer|\.\.\.|…|\\[lc]?dots)\s*\}", re.IGNORECASE
)
R1_TEMPLATE = "<｜User｜>{message}<｜Assistant｜><think>\n"


def asks_for_box(question: str) -> bool:
    r"""Return whether the question asks for a boxed answer: `\boxed`, `\boxed{}`, `\boxed{answer}` or `\boxed{...}`.

    A box around anything else is part of the question's own notation.
    """
    return _BOX_REQUEST.search(question) is not None


def user_message(problem: Problem) -> str:
    """Write the user message: the question with the paper's instruction for its domain.

    A math question that already asks for a box, as in veRL's rows, stays as it is. There is no system prompt.
    """
    if problem.domain == "math":
        if asks_for_box(problem.question):
            return problem.question
        return f"{problem.question}\n{MATH_INSTRUCTION}"
    if problem.starter_code:
        header = f"{CODE_HEADER_INTRO}{problem.starter_code}\n```"
        return f"{problem.question}\n\n{header}\n\n{CODE_PLACEMENT}"
    return f"{problem.question}\n\n{CODE_INSTRUCTION}"


def prompt_text(problem: Problem, tokenizer: Any) -> str:
    """Write the text that the policy continues, by the tokenizer's chat template, or the R1 template if it has none."""
    message = user_message(problem)
    if not tokenizer.chat_template:
        return R1_TEMPLATE.format(message=message)
    text: str = tokenizer.apply_chat_template(
        [{"role": "user", "content": message}], tokenize=False, add_generation_prompt=True
    )
    return text
