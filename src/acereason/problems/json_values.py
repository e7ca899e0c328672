"""JSON with what files of problems contain: integers longer than Python converts by default, and lone surrogates."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

LONGEST_INTEGER = 100_000
"""Digits. The time to convert an integer grows with the square of its digits; this many take a fifth of a second."""
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_AT_ONCE = 4000  # digits that `int` accepts whatever limit the interpreter was started with


def json_value(text: str) -> Any:
    """Parse JSON text.

    Raises:
        ValueError: the text is not JSON (`json.JSONDecodeError`), or an integer has more than `LONGEST_INTEGER` digits.
        RecursionError: the value is nested too deeply.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> int:
    natural = digits.removeprefix("-")
    if len(natural) > LONGEST_INTEGER:
        raise ValueError(f"an integer of {len(natural)} digits; the limit is {LONGEST_INTEGER}")
    return -_natural(natural) if digits.startswith("-") else _natural(natural)


def _natural(digits: str) -> int:
    if len(digits) <= _AT_ONCE:
        return int(digits)
    half = len(digits) // 2
    return _natural(digits[:-half]) * 10**half + _natural(digits[-half:])


def json_text(value: Any, ensure_ascii: bool = True) -> str:
    """Write a value as JSON on one line.

    Raises:
        TypeError: JSON cannot hold the value.
        RecursionError: the value is nested too deeply.
    """
    try:
        return json.dumps(value, ensure_ascii=ensure_ascii)
    except ValueError:
        return _written(value, ensure_ascii)


def _written(value: Any, ensure_ascii: bool) -> str:
    """Do what `json_text` does, with integers of any length."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(Decimal(value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(_written(item, ensure_ascii) for item in value)}]"
    if isinstance(value, dict):
        names = [json.dumps({key: 0}, ensure_ascii=ensure_ascii)[1:-4] for key in value]
        items = zip(names, value.values(), strict=True)
        return f"{{{', '.join(f'{name}: {_written(item, ensure_ascii)}' for name, item in items)}}}"
    return json.dumps(value, ensure_ascii=ensure_ascii)


def without_surrogates(value: Any, text: str) -> Any:
    """Replace lone surrogates, which no tokenizer and no UTF-8 file can hold, by U+FFFD; `text` is the value's JSON."""
    return _replaced(value) if _SURROGATE_ESCAPE.search(text) else value


def _replaced(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_replaced(item) for item in value]
    if isinstance(value, dict):
        return {key: _replaced(item) for key, item in value.items()}
    return value
