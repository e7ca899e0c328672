"""The forms that gold answers are written in."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

_GROUPED_NUMBER = re.compile(r"[-+]?\$?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)  # an escaped brace is one token, so that it does not count


def scalar_text(value: Any) -> str | None:
    """Text of a text or number, integral floats without a fraction, never an exponent; None for anything else.

    `5.0` is `5`, `1e-7` is `0.0000001`, null is empty.
    """
    if value is None:
        return ""
    if isinstance(value, str | bool | int):
        return str(value)
    if not isinstance(value, float | Decimal):
        return None
    number = Decimal(str(value))
    if not number.is_finite():
        return None
    return str(int(number)) if number == number.to_integral_value() else f"{number:f}".rstrip("0")


def gold_answer(text: str, worked: bool = False) -> str:
    r"""The gold answer in a data set's answer text.

    What follows the last `####` (GSM8K), without the commas of a number; the content of a `\boxed{}` that is the whole
    text. A text that was named as the answer may be a `worked` solution: then its last `\boxed{}` counts.
    """
    if "####" in text:
        text = text.rpartition("####")[2].strip()
        return text.replace(",", "") if _GROUPED_NUMBER.fullmatch(text) else text
    box = _last_box(text)
    if box is None:
        return text.strip()
    before, content, after = box
    whole = not (before + after).strip(" \t\r\n$.")
    return content.strip() if whole or worked else text.strip()


def _last_box(text: str) -> tuple[str, str, str] | None:
    r"""What stands before, in and after the last `\boxed{}` whose braces match."""
    before, box, rest = text.rpartition("\\boxed{")
    if not box:
        return None
    depth = 1
    for brace in _BRACES.finditer(rest):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return before, rest[: brace.start()], rest[brace.end() :]
    return None
