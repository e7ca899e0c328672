"""The settings `prompts` as a style of prompts: files read, and held against the chat template that will write them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from acereason.config.fields import nearest, shown
from acereason.config.model_files import nearest_path
from acereason.config.schema.prompts import PromptsConfig
from acereason.errors import UserError
from acereason.problems.problem import DOMAINS, Domain, Problem
from acereason.problems.prompts import TEMPLATES, THINK_END, PromptStyle, prompt_text
from acereason.problems.rows import parse_json

OWN_TEMPLATE = "model"
EXAMPLE_FIELDS = ("question", "response", "domain", "starter_code")


def read_style(settings: PromptsConfig) -> PromptStyle:
    """Return the style that the settings describe, with the contents of their files.

    Raises:
        UserError: a file is missing, broken or empty.
    """
    examples: dict[Domain, list[tuple[Problem, str]]] = {}
    for problem, response in _examples(settings.examples):
        examples.setdefault(problem.domain, []).append((problem, response))
    return PromptStyle(
        template=_template(settings.template),
        system=settings.system,
        instructions={"math": settings.instructions.math, "code": settings.instructions.code},
        examples=examples,
        chat_template_kwargs=settings.chat_template_kwargs,
    )


def _template(name: str) -> str:
    if name == OWN_TEMPLATE:
        return ""
    return name if name in TEMPLATES else _text(name, "prompts.template", OWN_TEMPLATE, *TEMPLATES)


def _text(location: str, key: str, *names: str) -> str:
    """Return what a file holds; `names` are what the setting `key` may be besides a file."""
    path = Path(location).expanduser()
    if not path.is_file():
        raise UserError(f"{key}={shown(location)}: no such file; {nearest_path(location, *names)}")
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{key}={shown(location)}: cannot be read: {error}") from error
    if not text.strip():
        raise UserError(f"{key}={shown(location)}: is empty")
    return text


def _examples(location: str) -> Iterator[tuple[Problem, str]]:
    if not location:
        return
    for number, line in enumerate(_text(location, "prompts.examples").splitlines(), 1):
        if line.strip():
            yield _example(parse_json(line.encode(), f"{location}:{number}"), f"{location}:{number}")


def _example(row: Any, place: str) -> tuple[Problem, str]:
    if not isinstance(row, dict):
        raise UserError(f"{place}: an example is an object with question and response")
    for name, value in row.items():
        if name not in EXAMPLE_FIELDS:
            raise UserError(f"{place}: an example has no {name!r}; {nearest(name, EXAMPLE_FIELDS)}")
        if not isinstance(value, str):
            raise UserError(f"{place}: {name} must be text, not {shown(value)}")
    for name in ("question", "response"):
        if not row.get(name, "").strip():
            raise UserError(f"{place}: an example needs {name}")
    domain = row.get("domain", "math")
    if domain not in DOMAINS:
        raise UserError(f"{place}: domain={shown(domain)}: there are {', '.join(DOMAINS)}")
    return Problem(place, domain, row["question"], starter_code=row.get("starter_code", "")), row["response"]


def check_style(style: PromptStyle, tokenizer: Any, problem: Problem) -> None:
    """Check that the chat template writes everything that the settings want to tell the policy.

    Args:
        style: to check.
        tokenizer: of the policy.
        problem: whose prompt is looked at.

    Raises:
        UserError: the template leaves a message out, or has no such variable.
    """
    template = style.template or tokenizer.chat_template or ""
    for name in style.chat_template_kwargs:
        if style.template in TEMPLATES or name not in template:
            raise UserError(f"prompts.chat_template_kwargs={{{name}: …}}: the chat template has no such variable")
    text = prompt_text(problem, tokenizer, style)
    for message in style.messages(problem):
        setting = {"system": "prompts.system", "assistant": "prompts.examples"}.get(message["role"])
        # Templates strip messages, and those of models that think leave the thoughts of earlier responses out.
        content = message["content"].rpartition(THINK_END)[2].strip()
        if setting and content not in text:
            raise UserError(f"{setting}: the chat template leaves it out; give another, prompts.template=FILE")
