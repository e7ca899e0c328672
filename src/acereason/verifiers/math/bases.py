r"""Numbers written in another base: `204_5`, `1010_{2}`, `1A3_{16}`, `(1010)_2`, `1010_{\text{two}}`."""

from __future__ import annotations

import re
from fractions import Fraction

from acereason.verifiers.math.reading.vocabulary import NUMBER_WORDS

_WRAPPERS = re.compile(r"\\(?:text|mathrm|mbox|textrm)\s*(?=\{)|[\s~]|\\[ ,;:!]|base")
_BASED = re.compile(r"(-?)[({]?([0-9A-Za-z]+(?:\.[0-9A-Za-z]+)?)[)}]?_\{*(\w+)\}*")
_DIGITS = re.compile(r"-?[0-9A-Z]+(?:\.[0-9A-Z]+)?")


def same_base(gold: str, answer: str) -> bool | None:
    """Whether two numbers are the same when one of them names its base; None where none does.

    Two that name a base have to name the same. A gold without one is compared by value; an answer without one has
    to have the gold's digits.
    """
    gold, answer = _WRAPPERS.sub("", gold), _WRAPPERS.sub("", answer)
    if "_" not in gold + answer:
        return None
    first, second = _based(gold), _based(answer)
    if first is not None and second is not None:
        return first == second
    if first is not None and _DIGITS.fullmatch(answer.strip("{}")):
        return _based(f"{answer.strip('{}')}_{first[0]}") == first
    if second is not None and re.fullmatch(r"-?\d+(?:\.\d+)?", gold):
        return second[1] == Fraction(gold)
    return None


def _based(text: str) -> tuple[int, Fraction] | None:
    """The base and the value of a text; None when it is no such number."""
    match = _BASED.fullmatch(text)
    if match is None or len(text) > 1000:
        return None
    base = int(match[3]) if match[3].isdigit() and len(match[3]) < 4 else NUMBER_WORDS.get(match[3].lower(), 0)
    whole, _, part = match[2].partition(".")
    if not 2 <= base <= 36 or not any(letter.isdigit() for letter in match[2]):
        return None
    try:
        value = Fraction(int(whole + part, base), base ** len(part))
    except ValueError:  # a digit that the base does not have
        return None
    return base, -value if match[1] else value
