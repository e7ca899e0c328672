"""Answers in words, and the letters of multiple-choice questions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from acereason.verifiers.math.reading.tokens import COMMAND, LETTER, MARK, NUMBER, WORD, Token
from acereason.verifiers.math.reading.vocabulary import SHORT_WORDS

_NOTHING = "\\emptyset"
_SAME_WORDS = {
    "doesnotexist": "dne",
    **dict.fromkeys(("nosolution", "nosolutions", "norealsolution", "norealsolutions", "emptyset"), _NOTHING),
    **dict.fromkeys(("theemptyset", "\\varnothing", "\\{\\}", "nosuchsolution"), _NOTHING),
    **dict.fromkeys(("allreals", "allrealnumbers", "realnumbers", "anyrealnumber", "allrealx"), "\\mathbb{R}"),
}
_MEANINGS = frozenset(_SAME_WORDS.values())
_ARTICLES = frozenset({"a", "an", "the"})
_CHOICES = "ABCDEFGHIJ"
_CHOICE = re.compile(rf"\(?([{_CHOICES}])\)?")
_TAGGED_CHOICE = re.compile(rf"\(([{_CHOICES}])\)|([{_CHOICES}])(?=[.:)])")
_HEDGE = re.compile(rf"\([{_CHOICES}]\)|[{_CHOICES}](?=[.:)]|$)|or|and|[,:;]|not|wrong")
"""Text after a chosen letter that takes the choice back."""
_WRAPPERS = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|textrm)\s*(?=\{)|[{}\s~$]|\\[ ,;:!]")


def spelling(tokens: Sequence[Token]) -> str:
    """Return the tokens as one text, without spaces; letters keep their case, words do not."""
    parts: list[str] = []
    for place, token in enumerate(tokens):
        if token.kind == NUMBER and place and tokens[place - 1].kind == NUMBER:
            parts.append(" ")
        mark = "\\" if token.kind == COMMAND else ""
        text = "≠" if token.text == "!=" else token.text  # `x!=6` is not `x! = 6`
        folded = token.kind == WORD and (len(text) > 3 or text.lower() in SHORT_WORDS)
        parts.append(text.lower() if folded else mark + text)
    text = "".join(parts)
    return _SAME_WORDS.get(text, text)


def same_words(gold: Sequence[Token], answer: Sequence[Token]) -> bool:
    """Return whether two texts are the same words; spaces do not count, nor does letter case where both are words."""
    first, second = _plain(gold), _plain(answer)
    if first == second and first in _MEANINGS:
        return True
    if not (_is_worded(gold) and _is_worded(answer)):
        return False
    worded = [any(token.kind == WORD for token in tokens) for tokens in (gold, answer)]
    if all(worded) or (any(worded) and (len(first) > 3 or first in SHORT_WORDS)):
        return first == second
    return any(worded) and "".join(token.text for token in gold) == "".join(token.text for token in answer)


def _is_worded(tokens: Sequence[Token]) -> bool:
    """Return whether a text consists of words, letters and numbers after words, as `Type 2`."""
    for place, token in enumerate(tokens):
        if token.kind == NUMBER and (place == 0 or tokens[place - 1].kind != WORD or place + 1 < len(tokens)):
            return False
        if token.kind == COMMAND or (token.kind == MARK and token.text not in ",;-{}()"):
            return False
    return True


def _plain(tokens: Sequence[Token]) -> str:
    if len(tokens) > 1 and tokens[0].kind in (WORD, LETTER) and tokens[0].text.lower() in _ARTICLES:
        tokens = tokens[1:]
    text = "".join(token.text.lower() for token in tokens if token.text not in "{}").strip(",;")
    return _SAME_WORDS.get(text, text)


def same_letters(gold: Sequence[Token], answer: Sequence[Token]) -> bool | None:
    """Return whether two rows of three or more capitals, as vertices of a figure, are equal; None where one is none."""
    runs = [[token for token in tokens if token.text not in "()*"] for tokens in (gold, answer)]
    if min(map(len, runs)) < 3 or any(token.kind != LETTER or token.text.islower() for run in runs for token in run):
        return None
    return [token.text for token in runs[0]] == [token.text for token in runs[1]]


def is_prose(tokens: Sequence[Token]) -> bool:
    """Return whether a text is nothing but words."""
    return any(token.kind == WORD for token in tokens) and all(
        token.kind in (WORD, LETTER) or token.text in "{}-" for token in tokens
    )


def same_choice(gold: str, answer: str) -> bool | None:
    """Return whether the answer chooses the gold letter, alone or before its content; None without a choice."""
    letter, bare = _choice(gold), _WRAPPERS.sub("", answer)
    if letter is None:
        return _gold_has_content(gold, bare)
    if chosen := _CHOICE.fullmatch(bare):
        return chosen[1] == letter
    tagged = _TAGGED_CHOICE.match(bare)
    if tagged is None or _is_expression(bare[tagged.end() :]):
        return None
    return (tagged[1] or tagged[2]) == letter and not _HEDGE.search(bare, tagged.end() + 1)


def _gold_has_content(gold: str, answer: str) -> bool | None:
    bare = _WRAPPERS.sub("", gold)
    tagged, chosen = _TAGGED_CHOICE.match(bare), _CHOICE.fullmatch(answer)
    if tagged is None or chosen is None or _is_expression(bare[tagged.end() :]):
        return None
    return (tagged[1] or tagged[2]) == chosen[1]


def _choice(text: str) -> str | None:
    match = _CHOICE.fullmatch(_WRAPPERS.sub("", text))
    return match[1] if match else None


def _is_expression(rest: str) -> bool:
    """Return whether a sign follows a letter in brackets, so that the letter is a variable."""
    return rest.lstrip(")").startswith(("+", "-", "*", "/", "^", "=", "_", "!", "<", ">", ",", "\\"))
