"""Lines of a file of answers to be judged: read, checked, and written again with their verdict."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from acereason.rewards.verifier import Verdict

LONGEST_LINE = 64 * 2**20
"""Bytes; a longer line is broken, since a file that is one line would have to be held whole."""
BROKEN = "broken_line"
_KINDS = {list: "a list", dict: "an object", bool: "true or false", float: "not a number"}  # NaN, Infinity
_SPACE = re.compile(r"[ \t\n\r]*")


class _Number(str):
    """A JSON number as it is written: `0.10` is not 0.1 to a reader of digits, and an int may have a million."""


_DECODER = json.JSONDecoder(parse_int=_Number, parse_float=_Number)


class BrokenLine(Exception):
    """Why a line cannot be judged."""


@dataclass(frozen=True)
class AnswerRow:
    """One line.

    Attributes:
        line: its number in the file, from 1.
        size: its bytes.
        members: the members of its JSON object, each as it is written, by name.
        gold: the right answer.
        text: the answer, or the response that holds it.
        is_response: which of the two.
        error: why it cannot be judged; "" when it can.
    """

    line: int
    size: int
    members: dict[str, str] = field(default_factory=dict)
    gold: str = ""
    text: str = ""
    is_response: bool = False
    error: str = ""

    def with_verdict(self, verdict: Verdict) -> bytes:
        """The line to be written: what was read, then the verdict, which takes the place of members of its names."""
        added: dict[str, object] = {
            "reward": verdict.reward,
            "extracted": verdict.extracted,
            "reason": verdict.reason,
            "seconds": round(verdict.seconds, 6),
        }
        if self.error:
            added |= {"line": self.line, "error": self.error}
        members = [written for name, written in self.members.items() if name not in added]
        members += [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in added.items()]
        return f"{{{', '.join(members)}}}\n".encode()


def read_rows(file: BinaryIO) -> Iterator[AnswerRow]:
    """The lines of a file, one at a time; blank ones are left out, broken ones say why."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            yield AnswerRow(number, len(line) + _skip_line(file, line), error=f"longer than {LONGEST_LINE} bytes")
        elif line.strip():
            yield _row(number, line)


def _skip_line(file: BinaryIO, part: bytes) -> int:
    size = 0
    while not part.endswith(b"\n") and (part := file.readline(2**20)):
        size += len(part)
    return size


def _row(number: int, line: bytes) -> AnswerRow:
    members: dict[str, str] = {}
    try:
        text = _decoded(line)
        fields = _object(text)
        members = dict(_members(text))
        gold, text, is_response = _to_judge(fields)
    except BrokenLine as error:
        return AnswerRow(number, len(line), members, error=str(error))
    return AnswerRow(number, len(line), members, gold, text, is_response)


def _to_judge(fields: dict[str, Any]) -> tuple[str, str, bool]:
    """The gold answer, the answer or response, and whether it is a response."""
    gold, answer, response = (_text_of(fields, name) for name in ("gold", "pred", "response"))
    if gold is None:
        raise BrokenLine("no gold")
    if answer is not None and response is not None:
        raise BrokenLine("both pred and response; give one")
    if answer is not None:
        return gold, answer, False
    if response is not None:
        return gold, response, True
    raise BrokenLine("neither pred nor response")


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise BrokenLine(f"not UTF-8 at byte {error.start + 1}") from error


def _object(text: str) -> dict[str, Any]:
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BrokenLine(f"not JSON at column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise BrokenLine("nested too deeply") from error
    if not isinstance(value, dict):
        raise BrokenLine("not a JSON object")
    return value


def _text_of(fields: dict[str, Any], name: str) -> str | None:
    """A field's text, or a number as it is written; None where it is missing or null."""
    value = fields.get(name)
    if value is None:
        return None
    if name == "response" and isinstance(value, _Number):
        raise BrokenLine("response is a number; it has to be text")
    if not isinstance(value, str):
        raise BrokenLine(f"{name} is {_KINDS[type(value)]}; it has to be text")
    return str(value)


def _members(text: str) -> Iterator[tuple[str, str]]:
    """The names of a JSON object and its members as they are written, name included."""
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
