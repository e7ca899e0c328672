"""The forms in which data sets write gold answers."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

_GROUPED_NUMBER = re.compile(r"[-+]?\$?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)  # an escaped brace is one token and does not count


def scalar_text(value: Any) -> str | None:
    """Write text or a number as text, without a zero fraction and without an exponent; None for anything else.

    `5.0` becomes `5`, `1e-7` becomes `0.0000001`, null becomes "".
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
    r"""Find the gold answer in a data set's answer text.

    It is the text after the last `####` (GSM8K), without the commas of a number, or the content of a `\boxed{}` that is
    the whole text. If the text may be a `worked` solution, it is the content of the last `\boxed{}` in it.
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
    r"""Return the text before, in and after the last `\boxed{}` if its braces match."""
    before, box, rest = text.rpartition("\\boxed{")
    if not box:
        return None
    depth = 1
    for brace in _BRACES.finditer(rest):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return before, rest[: brace.start()], rest[brace.end() :]
    return None
