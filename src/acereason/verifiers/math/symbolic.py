r"""The comparison by sympy of what our own reader does not know: integrals, sums, products, limits, derivatives.

`parse_latex(strict=True)` reads every command it does not know as a symbol, `[1]` as 1, `3:4` as 3/4 and `2 3` as 23,
so it is given only texts that it reads correctly.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from acereason.verifiers.math.reading.vocabulary import FUNCTIONS, GREEK

MAX_CHARS = 1000
"""Longest text given to sympy."""

_OPERATORS = (
    r"frac|sqrt(?:\[\d+\])?|cdot|times|div|binom|infty|lfloor|rfloor|lceil|rceil|leq|geq"
    "|int|sum|prod|lim|to|rightarrow|longrightarrow|partial"
)
_KNOWN_COMMAND = re.compile(rf"\\(?:{'|'.join(sorted(GREEK | set(FUNCTIONS)))}|{_OPERATORS})(?![a-zA-Z])")
_KNOWN_CHARS = re.compile(r"[a-zA-Z0-9+\-*/^_=<>!|(){}., ]*")
_MISREAD = re.compile(
    r"(?<![\\a-zA-Z])[a-zA-Z]{4,}|\d \d|\.\d*\.|,|!!"
    # Sequences, functions and derivatives without a definition would be constants.
    r"|(?<![a-zA-Z])[a-zA-Z]_\{?[a-zA-Z0-9]*[a-z]|[fghFGH]\(|\d\^\{?\d+\^|\d{4}!|\\frac\{d[a-zA-Z]|\\partial"
)
_WORTHWHILE = re.compile(r"\\(?:int|sum|prod|lim)(?![a-zA-Z])|\\frac\s*\{\s*d\s*\}\s*\{\s*d")
_DECIMAL_POINT = re.compile(r"(\d*)\.(\d+)")
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
_SHORT_ARGUMENTS = (
    (re.compile(r"([_^])\s*(\w)"), r"\1{\2}"),
    (re.compile(r"\\frac\s*(\w)"), r"\\frac{\1}"),
    (re.compile(r"(\\frac\{[^{}]*\})\s*(\w)"), r"\1{\2}"),
)
_ARROWS = re.compile(r"\\(?:long)?rightarrow(?![a-zA-Z])")
_SPACES = re.compile(r"(\\[a-zA-Z]+ (?=[a-zA-Z])|(?<=\d) (?=\d))|\s+")
# A letter before a bracket multiplies it unless it is the usual name of a function; sympy would always call it.
_BEFORE_BRACKET = re.compile(r"(\\[a-zA-Z]+|[a-zA-Z])\(")
_FACTOR = re.compile(rf"\\(?:{'|'.join(sorted(GREEK))})|[a-eA-Ei-zI-Z]")


def same_by_sympy(gold: str, answer: str) -> bool | None:
    """Return whether sympy proves two cleaned texts equal; None where it cannot read or compare them."""
    if not (_WORTHWHILE.search(gold) or _WORTHWHILE.search(answer)):
        return None
    sides = _sides(gold), _sides(answer)
    if None in (*sides[0], *sides[1]) or len(sides[0]) != len(sides[1]):
        return None
    verdicts = [_same(left, right) for left, right in zip(*sides, strict=True)]
    return None if None in verdicts else all(verdicts)


def _sides(text: str) -> tuple[Any, ...]:
    """Return the parsed sides of the equals signs outside all braces."""
    depth, start, sides = 0, 0, []
    for place, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if character == "=" and depth == 0:
            sides.append(text[start:place])
            start = place + 1
    return tuple(_parse(side.strip()) for side in (*sides, text[start:]))


def _sympy_latex(text: str) -> str | None:
    """Return a text spelled so that sympy reads it correctly and exactly; None where it would misread it."""
    for pattern, replacement in _SHORT_ARGUMENTS:
        text = pattern.sub(replacement, text)
    if len(text) > MAX_CHARS or _MISREAD.search(text):
        return None
    if not _KNOWN_CHARS.fullmatch(_KNOWN_COMMAND.sub("", text)):
        return None
    text = _ARROWS.sub(r"\\to ", text)
    text = _SPACES.sub(r"\1", text)
    text = _DECIMAL_POINT.sub(lambda m: rf"\frac{{{m[1]}{m[2]}}}{{1{'0' * len(m[2])}}}", text)
    text = _LEADING_ZEROS.sub("", text)
    return _BEFORE_BRACKET.sub(lambda m: rf"{m[1]}\cdot (" if _FACTOR.fullmatch(m[1]) else m[0], text)


_SYMPY_FAILS = (TypeError, ValueError, AttributeError, RecursionError, NotImplementedError)
"""Exceptions that sympy raises where it fails."""


@lru_cache(maxsize=1024)
def _parse(text: str) -> Any:
    """Return the sympy expression of a text, evaluated; None when it has none."""
    latex = _sympy_latex(text)
    if not latex:
        return None
    import sympy
    from sympy.parsing.latex import LaTeXParsingError, parse_latex

    constants = {"pi": sympy.pi, "e": sympy.E, "i": sympy.I}
    try:
        expression = parse_latex(latex, strict=True)
        value = expression.subs({sympy.Symbol(name): constant for name, constant in constants.items()}).doit()
    except (LaTeXParsingError, *_SYMPY_FAILS):
        return None
    endless = (sympy.nan, sympy.zoo, sympy.oo, -sympy.oo)
    return value if isinstance(value, sympy.Expr) and not value.has(*endless) else None


def _same(left: Any, right: Any) -> bool | None:
    import sympy

    if left == right:
        return True
    try:
        difference = sympy.simplify(left - right)
        verdict = True if difference == 0 else difference.equals(0)
    except _SYMPY_FAILS:
        return None
    return None if verdict is None else bool(verdict)
