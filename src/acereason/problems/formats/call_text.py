"""Arguments and return values of function calls that a data set gives as text, as LiveCodeBench does."""

from __future__ import annotations

import ast
from typing import Any

from acereason.problems.json_values import json_value

LONGEST_LITERAL = 100_000
"""Characters of a Python literal; JSON may be longer."""


def arguments(text: str) -> list[Any]:
    """Read one argument from each line that is not blank; see `value`."""
    return [value(line) for line in text.split("\n") if line.strip()]


def value(text: str) -> Any:
    """Read JSON, or else a Python literal such as `(1, 'a', None)`.

    Raises:
        ValueError: the text is neither of them.
    """
    try:
        return json_value(text)
    except (ValueError, RecursionError):
        return _literal(text.strip())


def _literal(text: str) -> Any:
    shown = text if len(text) <= 40 else f"{text[:40]}…"
    if len(text) > LONGEST_LITERAL:
        raise ValueError(f"{shown!r} is not JSON, and too long for a Python literal")
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"{shown!r} is neither JSON nor a Python literal") from error
