r"""The comparison of an answer with the gold one, by the cheapest way that gives a verdict (§3.1).

1. `text`: the same text without its typesetting; the same words, letter, date or time.
2. `number`: integers and decimals, compared exactly.
3. `structure`: both are read into trees by our own reader and compared part by part (`structures.py`), their values
   by evaluation (`values.py`).
4. `sympy`: what our reader does not know (integrals, sums, limits, derivatives) is parsed and compared by sympy.

Nothing here bounds time or memory; the worker processes of the pool do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from acereason.verifiers.math.ambiguities import with_same_letters
from acereason.verifiers.math.exact import TooLarge
from acereason.verifiers.math.notations import same_base, same_date, same_time
from acereason.verifiers.math.reading.expressions import Bracket, Node, Opaque, Several, Unreadable
from acereason.verifiers.math.reading.reader import read_tokens
from acereason.verifiers.math.reading.tokens import Token, tokenise
from acereason.verifiers.math.reading.typesetting import clean
from acereason.verifiers.math.structures import same_answer
from acereason.verifiers.math.symbolic import same_by_sympy
from acereason.verifiers.math.wording import is_prose, same_choice, same_letters, same_words, spelling

MAX_CHARS = 5000
"""Longest text that is read; longer ones are compared only as numbers or as text."""

REMEMBERED_CHARS = 300
"""Longest text whose reading is remembered."""
_GROUPED = re.compile(r"\d,\d{3}(?!\d)")


@dataclass(frozen=True)
class Reading:
    """A text and what was read in it.

    Attributes:
        text: the text without typesetting.
        tokens: tokens of that text; () when it cannot be cut into tokens.
        spelling: one canonical text of the tokens.
        node: tree of the text; `Opaque` when it cannot be read.
    """

    text: str
    tokens: tuple[Token, ...]
    spelling: str
    node: Node


def read(text: str, commas_group: bool = True) -> Reading:
    """Read an answer; short ones are remembered, so that the gold of many responses is read once."""
    return _remembered(text, commas_group) if len(text) <= REMEMBERED_CHARS else _read(text, commas_group)


@lru_cache(maxsize=4096)
def _remembered(text: str, commas_group: bool) -> Reading:
    return _read(text, commas_group)


def _read(text: str, commas_group: bool) -> Reading:
    cleaned = clean(text)
    try:
        tokens = tokenise(cleaned, commas_group)
    except (Unreadable, RecursionError):
        return Reading(cleaned, (), cleaned, Opaque(cleaned))
    spelled = spelling(tokens)
    try:
        node = read_tokens(tokens)
    except (Unreadable, RecursionError):
        node = Opaque(spelled)
    return Reading(cleaned, tuple(tokens), spelled, node)


def compare(gold: str, answer: str) -> str:
    """Compare an answer with the gold one.

    Returns:
        `correct`, `wrong`, or why neither could be shown. `unparsed`: one cannot be read, or the two cannot be
        compared. `too_long`: beyond `MAX_CHARS`. `too_large`: a number beyond what is computed. `no_gold`: the problem
        has no answer.
    """
    return decide(gold, answer)[0]


def decide(gold: str, answer: str) -> tuple[str, str]:
    """Return the reason of `compare`, and the stage that gave it: `text`, `number`, `structure`, `sympy` or `none`."""
    gold, answer = gold.strip(), answer.strip()
    if not gold:
        return "no_gold", "none"
    if gold == answer:
        return "correct", "text"
    quick = _same_plain_number(gold, answer)
    if quick is not None:
        return _reason(quick), "number"
    if max(len(gold), len(answer)) > MAX_CHARS:
        return "too_long", "none"
    return _decide(gold, answer)


def _reason(verdict: bool) -> str:
    return "correct" if verdict else "wrong"


def _decide(gold: str, answer: str) -> tuple[str, str]:
    first, second = read(gold), read(answer)
    if not first.text:
        return "no_gold", "none"
    by_text = _same_text(first, second)
    if by_text is not None:
        return _reason(by_text), "text"
    verdict, too_large = _same_structure(first, second)
    if verdict is not True and _reads_as_list(first, second):
        again, _ = _same_structure(read(gold, False), read(answer, False))
        verdict = again or verdict
    if verdict is not None:
        return _reason(verdict), "structure"
    if too_large:
        return "too_large", "structure"
    by_sympy = same_by_sympy(first.text, second.text)
    if by_sympy is not None:
        return _reason(by_sympy), "sympy"
    return "unparsed", "none"


def _reads_as_list(gold: Reading, answer: Reading) -> bool:
    """Return whether `100,200` may be two numbers, because the other side is a list."""
    grouped = [bool(_GROUPED.search(side.text)) for side in (gold, answer)]
    listed = [isinstance(side.node, (Several, Bracket)) for side in (gold, answer)]
    return (grouped[0] and listed[1]) or (grouped[1] and listed[0])


def _same_text(gold: Reading, answer: Reading) -> bool | None:
    """Return the verdict by the texts alone, or None."""
    if not answer.text:
        return False
    if gold.spelling == answer.spelling or same_words(gold.tokens, answer.tokens):
        return True
    by_letters = same_letters(gold.tokens, answer.tokens)
    if by_letters is not None:
        return by_letters
    for verdict in (same_time, same_date, same_base, same_choice):
        found = verdict(gold.text, answer.text)
        if found is not None:
            return found
    if is_prose(gold.tokens) and is_prose(answer.tokens):
        return False
    return None


def _same_structure(gold: Reading, answer: Reading) -> tuple[bool | None, bool]:
    """Return whether two trees are the same, or None; and whether a number was too large to tell."""
    try:
        return same_answer(*with_same_letters(gold.node, answer.node)), False
    except TooLarge:
        return None, True
    except RecursionError:  # deeper than any answer
        return None, False


# --- plain numbers ----------------------------------------------------------------------------------------------------

_UNSIGNED = r"(?:[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)"
_PLAIN = re.compile(rf"\$?([+-]?)({_UNSIGNED})\$?")


def _same_plain_number(gold: str, answer: str) -> bool | None:
    """Return whether two decimals of any length are the same number; None where one is no decimal."""
    first, second = _PLAIN.fullmatch(gold), _PLAIN.fullmatch(answer)
    if first is None or second is None:
        return None
    return _canonical(first) == _canonical(second)


def _canonical(match: re.Match[str]) -> str:
    whole, _, part = match[2].replace(",", "").partition(".")
    digits = f"{whole.lstrip('0') or '0'}.{part.rstrip('0')}"
    return f"-{digits}" if match[1] == "-" and digits != "0." else digits
