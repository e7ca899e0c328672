"""Lines of a file of answers: read, checked, and written again with their verdict."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from acereason.problems.formats.code_forms import BrokenForm, code_form
from acereason.problems.json_values import json_value, without_surrogates
from acereason.problems.problem import Domain, Problem
from acereason.verifiers.verifier import Verdict

LONGEST_LINE = 64 * 2**20
"""Bytes; a longer line is broken, since a file that is one line would have to be held whole."""
BROKEN = "broken_line"
TEST_KINDS = {
    "stdin": {"stdin"},
    "call": {"call"},
    "check": {"check"},
    "assert": {"check"},
    "functional": {"call", "check"},  # LiveCodeBench means calls, rllm a test source
}
"""What each `kind` of a line allows its tests to be; without a `kind`, their form decides."""
_CODE_FIELDS = ("code", "response")
_JSON_KINDS = {list: "a list", dict: "an object", bool: "true or false", int: "a number"}
_SPACE = re.compile(r"[ \t\n\r]*")


class _Number(str):
    """A JSON number as it is written: digits count, `0.10` is not `0.1`, and an int may have a million of them."""


_DECODER = json.JSONDecoder(parse_int=_Number, parse_float=_Number)


class BrokenLine(Exception):
    """Raised for a line that cannot be judged; says why."""


@dataclass(frozen=True)
class AnswerRow:
    """One line.

    Attributes:
        line: number of the line in the file, from 1.
        size: bytes of the line.
        problem: the problem that the text is judged by; empty, but for its domain, when the line cannot be judged.
        members: members of the line's JSON object, each as it is written, by name.
        text: the answer or program, or the response that contains it.
        is_response: whether the text is a response.
        error: why the line cannot be judged; "" when it can.
    """

    line: int
    size: int
    problem: Problem
    members: dict[str, str] = field(default_factory=dict)
    text: str = ""
    is_response: bool = False
    error: str = ""

    def with_verdict(self, verdict: Verdict) -> bytes:
        """Return the line to write: its own members, then the verdict, which replaces members of the same names."""
        added: dict[str, object] = {
            "reward": verdict.reward,
            "extracted": verdict.extracted,
            "reason": verdict.reason,
            "seconds": round(verdict.seconds, 6),
        }
        if self.problem.domain == "code":
            added["first_failing_test"] = verdict.first_failing_test
        if self.error:
            added |= {"line": self.line, "error": self.error}
        members = [written for name, written in self.members.items() if name not in added]
        members += [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in added.items()]
        return f"{{{', '.join(members)}}}\n".encode()


def read_rows(file: BinaryIO, domain: Domain = "math") -> Iterator[AnswerRow]:
    """Yield the lines of a file one at a time; blank ones are skipped, broken ones carry their error."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            size = len(line) + _skip_line(file, line)
            yield AnswerRow(number, size, _empty(domain, number), error=f"longer than {LONGEST_LINE} bytes")
        elif line.strip():
            yield _row(number, line, domain)


def _skip_line(file: BinaryIO, part: bytes) -> int:
    size = 0
    while not part.endswith(b"\n") and (part := file.readline(2**20)):
        size += len(part)
    return size


def _empty(domain: Domain, number: int) -> Problem:
    return Problem(f"line {number}", domain, "")


def _row(number: int, line: bytes, domain: Domain) -> AnswerRow:
    members: dict[str, str] = {}
    problem = _empty(domain, number)
    try:
        text = _decoded(line)
        fields = _object(text, domain)
        members = dict(_members(text))
        problem, text, is_response = (_math if domain == "math" else _code)(fields, problem)
    except (BrokenLine, BrokenForm) as error:
        return AnswerRow(number, len(line), problem, members, error=str(error))
    return AnswerRow(number, len(line), problem, members, text, is_response)


def _math(fields: dict[str, Any], empty: Problem) -> tuple[Problem, str, bool]:
    """Return the problem, the text to judge, and whether that is a response."""
    gold, answer, response = (_text_of(fields, name) for name in ("gold", "pred", "response"))
    if gold is None:
        raise BrokenLine("missing: gold")
    return replace(empty, answer=gold), *_one_of("pred", answer, response)


def _code(fields: dict[str, Any], empty: Problem) -> tuple[Problem, str, bool]:
    """Return the same as `_math` for a line of programs."""
    program, response = (_text_of(fields, name) for name in ("code", "response"))
    return code_problem(fields, empty), *_one_of("code", program, response)


def code_problem(fields: dict[str, Any], empty: Problem) -> Problem:
    """Return the problem of a line of programs, with its tests in any form of `problems/formats/code_forms.py`.

    Args:
        fields: members of the line.
        empty: a problem that only lacks its tests.

    Raises:
        BrokenForm: no tests, tests that cannot judge a program, or tests of another kind than `kind` says.
    """
    form = code_form({name: value for name, value in fields.items() if name not in _CODE_FIELDS})
    kind = fields.get("kind")
    if kind is not None:
        _check_kind(kind, "check" if form.check else "stdin" if form.entry_point is None else "call")
    return replace(empty, **vars(form))


def _check_kind(kind: Any, found: str) -> None:
    if not isinstance(kind, str) or kind not in TEST_KINDS:
        raise BrokenForm(f"kind must be one of {', '.join(TEST_KINDS)}")
    if found not in TEST_KINDS[kind]:
        hint = "; name the function in entry_point or fn_name" if kind == "call" and found == "stdin" else ""
        raise BrokenForm(f"kind is {kind}, but the tests are of kind {found}{hint}")


def _one_of(name: str, alone: str | None, response: str | None) -> tuple[str, bool]:
    if alone is not None and response is not None:
        raise BrokenLine(f"both {name} and response; give one")
    if alone is not None:
        return alone, False
    if response is not None:
        return response, True
    raise BrokenLine(f"neither {name} nor response")


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise BrokenLine(f"not UTF-8 at byte {error.start + 1}") from error


def _object(text: str, domain: Domain) -> dict[str, Any]:
    try:
        value = _DECODER.decode(text) if domain == "math" else without_surrogates(json_value(text), text)
    except json.JSONDecodeError as error:
        raise BrokenLine(f"not JSON at column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise BrokenLine("nested too deeply") from error
    except ValueError as error:
        raise BrokenLine(str(error)) from error
    if not isinstance(value, dict):
        raise BrokenLine("not a JSON object")
    return value


def _text_of(fields: dict[str, Any], name: str) -> str | None:
    """Return a field's text, or a number as it is written; None where it is missing or null."""
    value = fields.get(name)
    if value is None:
        return None
    if name == "response" and isinstance(value, _Number):
        raise BrokenLine("response is a number; it must be text")
    if not isinstance(value, str):
        is_number = isinstance(value, float) and math.isfinite(value)
        kind = "a number" if is_number else _JSON_KINDS.get(type(value), "not a number")  # NaN, Infinity
        raise BrokenLine(f"{name} is {kind}; it must be text")
    return str(value)


def _members(text: str) -> Iterator[tuple[str, str]]:
    """Yield the names of a JSON object and its members as they are written, name included."""
    at = _after_space(text, 1)
    while text[at] != "}":
        start = at
        name, at = _DECODER.raw_decode(text, at)
        at = _after_space(text, _after_space(text, at) + 1)
        _, at = _DECODER.raw_decode(text, at)
        yield name, text[start:at]
        at = _after_space(text, at)
        if text[at] == ",":
            at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match
    return match.end()
