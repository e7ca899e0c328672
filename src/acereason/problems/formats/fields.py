"""The field mapping: how a row becomes a problem.

`problems.question` and `problems.answer` name the fields; dots reach inside (`reward_model.ground_truth`,
`prompt.0.content`). If they are empty, the usual names and veRL's row form are tried. A worked `solution` is never used
as the answer unless the settings name it. `gold_answers.py` reads the forms of gold answers, `code_forms.py` those of
tests.
"""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

from acereason.config.schema import DomainName, ProblemsConfig
from acereason.errors import UserError
from acereason.problems.code_tests import CodeTests
from acereason.problems.formats.code_forms import (
    PRIVATE,
    PUBLIC,
    BrokenForm,
    CodeForm,
    NoTests,
    UnknownForm,
    code_form,
    pack_tests,
    time_limit,
)
from acereason.problems.formats.gold_answers import gold_answer, scalar_text
from acereason.problems.problem import Domain, Problem
from acereason.problems.rows import Row

# In order of preference: if a row has both, the final answer is the short one.
VERL_ANSWER = "reward_model.ground_truth"
ANSWER_FIELDS = (VERL_ANSWER, "final_answer", "expected_answer", "answer", "ground_truth", "gold", "target")
QUESTION_FIELDS = ("question", "problem", "prompt", "input", "query")
CODE_QUESTION_FIELDS = ("question", "question_content", "problem", "content", "query", "prompt", "text", "input")
"""`query` comes before `prompt`: where a row has both, `prompt` is source in front of the program (LeetCodeDataset)."""
SOLUTION_FIELDS = ("solution", "worked_solution", "response", "completion", "output")

_PROVENANCE = ("source", "url", "date")
_OWN_FIELDS = {field.name for field in fields(Problem)}
_LATER_FIELDS = {"check": "", "prelude": "", "time_limit_seconds": None}  # missing in files of version 0.1
_MISSING = object()
_INDEX = re.compile(r"-?\d{1,9}")
_LEVEL = re.compile(r"(?:level\s*)?([-+]?\d+)", re.IGNORECASE)


class EmptyField(UserError):
    """A row whose question, answer or list of tests is present but empty; `problems.skip_empty` leaves it out."""


def _field_at(value: Any, name: str) -> Any:
    """Return the value at a dotted name in objects and lists, or `_MISSING`; a key that contains dots comes first."""
    head, dot, rest = name.partition(".")
    if isinstance(value, dict):
        if name in value:
            return value[name]
        inner = value.get(head, _MISSING) if dot else _MISSING
    elif isinstance(value, list) and _INDEX.fullmatch(head) and -len(value) <= int(head) < len(value):
        inner = value[int(head)]
    else:
        return _MISSING
    return _field_at(inner, rest) if dot else inner


def _mapped(row: Row, setting: str, name: str, usual: tuple[str, ...]) -> Any:
    """Return the field called `name`, or if `name` is empty, the first of the usual fields that is not null."""
    names = (name,) if name else usual
    found = [value for field in names if (value := _field_at(row.values, field)) is not _MISSING]
    if not found:
        wanted = f"field {names[0]!r}" if len(names) == 1 else f"{setting} under the usual names ({', '.join(names)})"
        has = ", ".join(map(repr, list(row.values)[:20])) or "no fields"
        raise UserError(f"{row.place}: no {wanted}; the row has {has}; set problems.{setting}=NAME")
    return next((value for value in found if value is not None), None)


def domain_of(config: ProblemsConfig) -> Domain:
    """Return the domain of every problem of the source."""
    return "code" if config.domain == DomainName.code else "math"


def to_problem(row: Row, config: ProblemsConfig, stem: str) -> Problem:
    """Make the problem of a row: unchanged if `to_row` wrote the row and no field is named, else by the field mapping.

    Args:
        row: a row of the source.
        config: the field mapping and the domain; for code, `problems.answer` names the field of tests.
        stem: start of default ids; the row's number follows.

    Raises:
        UserError: a field is missing or has an invalid value; `EmptyField` if it is empty.
    """
    domain, named = domain_of(config), config.question or config.answer or config.id or config.level
    if row.values.keys() | _LATER_FIELDS.keys() == _OWN_FIELDS and not named:
        return _own_problem(row, domain)
    known: dict[str, Any] = {key: row.values[key] for key in _PROVENANCE if isinstance(row.values.get(key), str)}
    known["id"] = _id(row, config.id or _usual_id(row, domain), stem)
    known["question"] = _question(row, config.question, domain)
    if domain == "math":
        known["answer"] = _answer(row, config.answer)
    else:
        known = _live_code_bench(row) | known | vars(_code_form(row, config.answer))
    return Problem(domain=domain, level=_level(row, config.level), **known)


def _text(row: Row, name: str) -> str:
    value = row.values[name]
    if not isinstance(value, str):
        raise UserError(f"{row.place}: field {name!r} must be text, not {str(value)[:60]!r}")
    return value


def _own_problem(row: Row, domain: Domain) -> Problem:
    """Return the problem that `to_row` wrote, unchanged."""
    row = replace(row, values={**_LATER_FIELDS, **row.values})
    values = row.values
    if values["domain"] != domain:
        raise UserError(f"{row.place}: domain is {values['domain']!r}; set problems.domain={values['domain']}")
    for name in ("id", "question", "answer", "check", "prelude", "starter_code", *_PROVENANCE):
        _text(row, name)
    if values["entry_point"] is not None:
        _text(row, "entry_point")
    for name in ("id", "question", "answer" if domain == "math" else "tests"):
        if not values[name] and not (name == "tests" and values["check"]):
            raise _empty(row, name)
    try:
        tests = pack_tests(values["tests"], values["entry_point"]) if values["tests"] else CodeTests()
        limit = time_limit(values)
    except BrokenForm as error:
        raise _broken(row, error) from error
    return Problem(**{**values, "tests": tests, "time_limit_seconds": limit, "level": _level(row, "level")})


def _code_form(row: Row, name: str) -> CodeForm:
    """Read the tests from the field called `name`, or from the usual fields."""
    tests = _mapped(row, "answer", name, ()) if name else None
    try:
        return code_form(row.values, "" if name and tests is None else tests)
    except BrokenForm as error:
        raise _broken(row, error) from error


def _broken(row: Row, error: BrokenForm) -> UserError:
    if isinstance(error, NoTests):
        return _empty(row, "list of tests")
    hint = "; set problems.answer=NAME" if isinstance(error, UnknownForm) else ""
    return UserError(f"{row.place}: {error}{hint}")


def _is_live_code_bench(row: Row) -> bool:
    return PUBLIC in row.values or PRIVATE in row.values


def _usual_id(row: Row, domain: Domain) -> str:
    """Return the field of LiveCodeBench's ids; "" if rows are numbered."""
    return "question_id" if domain == "code" and _is_live_code_bench(row) and row.values.get("question_id") else ""


def _live_code_bench(row: Row) -> dict[str, str]:
    """Return the provenance that a row of LiveCodeBench gives under names of its own."""
    values: dict[str, Any] = row.values
    found: dict[str, str] = {}
    if not _is_live_code_bench(row):
        return {}
    if isinstance(values.get("platform"), str):
        found["source"] = values["platform"]
    if values.get("contest_date") is not None:  # text, or a datetime from Parquet
        found["date"] = str(values["contest_date"])[:10]
    return found


def _question(row: Row, name: str, domain: Domain) -> str:
    verl = _field_at(row.values, VERL_ANSWER) is not _MISSING
    usual = QUESTION_FIELDS if domain == "math" else CODE_QUESTION_FIELDS
    value = _mapped(row, "question", name, ("prompt", *usual) if verl else usual)
    if isinstance(value, list):  # a conversation: the last user message
        users = [message for message in value if isinstance(message, dict) and message.get("role") == "user"]
        value = users[-1].get("content") if users else value
    if value is not None and not isinstance(value, str):
        kind = type(value).__name__
        raise UserError(f"{row.place}: the question must be text or messages, not {kind}; set problems.question=NAME")
    if not value or not value.strip():
        raise _empty(row, "question")
    return value


def _answer(row: Row, name: str) -> str:
    value = _mapped(row, "answer", name, ANSWER_FIELDS)
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    text = scalar_text(value)
    if text is None:
        shown = repr(value)[:60]
        raise UserError(
            f"{row.place}: the answer must be text or a finite number, not {shown}; set problems.answer=NAME"
        )
    text = gold_answer(text, worked=bool(name))
    if not text:
        raise _empty(row, "answer")
    return text


def _empty(row: Row, name: str) -> EmptyField:
    return EmptyField(
        f"{row.place}: the {name} is empty; fix the row, or leave such rows out with problems.skip_empty=true"
    )


def _id(row: Row, name: str, stem: str) -> str:
    if not name:
        return f"{stem}:{row.number}"
    text = scalar_text(_mapped(row, "id", name, ()))
    if not text:
        raise UserError(f"{row.place}: field {name!r} must hold text or a number to be an id; set problems.id=NAME")
    return text


def _level(row: Row, name: str) -> int | None:
    """Read the level: an integer, a number with a zero fraction or text such as `Level 3`; null means unknown."""
    value = _mapped(row, "level", name, ()) if name else None
    if value is None:
        return None
    match = _LEVEL.fullmatch((scalar_text(value) or "").strip())
    if match is None:
        raise UserError(
            f"{row.place}: level {str(value)[:60]!r} is not an integer; set problems.level=NAME or leave it out"
        )
    return int(match[1])


def solution_of(row: Row, name: str) -> str:
    """Return the worked solution of a row from the field called `name`, or if it is empty from the first usual field.

    Raises:
        UserError: there is no such field, or it holds no text; `EmptyField` if it is empty.
    """
    names = (name,) if name else SOLUTION_FIELDS
    found = [value for field in names if (value := _field_at(row.values, field)) is not _MISSING]
    if not found or not isinstance(found[0], str | None):
        kind = f"is {type(found[0]).__name__}" if found else f"is not among {', '.join(map(repr, row.values))}"
        raise UserError(f"{row.place}: the solution ({', '.join(names)}) {kind}; set warm_start.solution=NAME")
    if not found[0] or not found[0].strip():
        raise _empty(row, "solution")
    return found[0]
