r"""The math verifier: the last `\boxed{}` after `</think>` against the gold answer (§3.1).

Three ways to be equal, cheapest first: the same normalised text, the same exact number, and sympy's word that the
difference simplifies to zero. sympy is imported by the third alone. Nothing here bounds time or memory; the
worker processes of `pool.py` do.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

MAX_DIGITS = 4000
"""Longest number computed with, in digits; Python refuses to convert above 4,300. Longer ones compare as text."""
MAX_SYMBOLIC_CHARS = 1000
"""Longest answer given to sympy."""

# --- normalised text --------------------------------------------------------------------------------------------------

_REWRITES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\\\", r"\\newline "),  # so that no backslash below is the second one of a pair
        (r"\\?\$", ""),
        (r"\\(?:left|right|big|Big|bigg|Bigg|displaystyle|limits)(?![a-zA-Z])", ""),
        (r"\\(?:boxed|fbox|mbox|text|text(?:normal|bf|it|rm)|mathrm|mathbf)\s*(?=\{)", ""),
        (r"\\[dtc](frac|binom)(?![a-zA-Z])", r"\\\1"),
        (r"\\(le|ge|ne)(?![a-zA-Z])", r"\\\1q"),
        ("<=", r"\\leq "),
        (">=", r"\\geq "),
        (r"\\lt(?![a-zA-Z])", "<"),
        (r"\\gt(?![a-zA-Z])", ">"),
        (r"\\lbrace(?![a-zA-Z])", r"\\{"),
        (r"\\rbrace(?![a-zA-Z])", r"\\}"),
        (r"\\%", "%"),
        (r"\\!\s*", ""),
        (r"\\[,;: ]|~|\\q?quad(?![a-zA-Z])", " "),
        ("[\N{MINUS SIGN}\N{EN DASH}]", "-"),
        (r"\{,\}", ","),
        (r"\\frac(?![a-zA-Z])\s*(\w)\s*(\w)", r"\\frac{\1}{\2}"),
        (r"\\frac(?![a-zA-Z])\s*(\w)\s*(?=\{)", r"\\frac{\1}"),
        (r"(\\frac\{[^{}]*\})\s*(\w)", r"\1{\2}"),
        (r"\\sqrt(?![a-zA-Z])\s*(\w)", r"\\sqrt{\1}"),
        (r"\^\s*(-?\d+(?:\.\d+)?|-?\w|\\circ)", r"^{\1}"),
        (r"_\s*(\w)", r"_{\1}"),
        (r"\s+", " "),
        # Spaces go, except where they end a command, keep two numbers apart, or show that `1, 234` is a list.
        (r"(\\[a-zA-Z]+ (?=[a-zA-Z])|(?<=\d) (?=\d)|(?<=\d,) (?=\d{3}(?!\d)))| ", r"\1"),
        (r"(?<!\.)\.$", ""),
    )
]


def normalise(text: str) -> str:
    """One spelling for answers that differ only in typesetting; linear in the length."""
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return _without_outer_braces(text)


def _without_outer_braces(text: str) -> str:
    if text.startswith("{") and text.endswith("}") and "{" not in text[1:-1] and "}" not in text[1:-1]:
        return text[1:-1]
    return text


# --- exact numbers ----------------------------------------------------------------------------------------------------

_UNSIGNED = r"(?:[1-9]\d{0,2}(?:[, ]\d{3})+(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)"
_DECIMAL = re.compile(rf"([+-]?)({_UNSIGNED})")
_SLASH = re.compile(rf"([+-]?)({_UNSIGNED})/({_UNSIGNED})")
_FRAC = re.compile(rf"([+-]?)(\d*)\\frac\{{([+-]?{_UNSIGNED})\}}\{{([+-]?{_UNSIGNED})\}}")


def exact_number(text: str) -> Fraction | str | None:
    r"""The rational number that a normalised text writes: integer, decimal, `a/b`, `\frac{a}{b}`, mixed number.

    Returns:
        A Fraction; for a decimal too long to compute with its digits in one canonical spelling; None when the text is
        no such number.
    """
    if match := _DECIMAL.fullmatch(text):
        return _decimal(match[1], match[2])
    if len(text) > MAX_DIGITS:
        return None
    if match := _SLASH.fullmatch(text):
        return _quotient(match[1], "", match[2], match[3])
    if match := _FRAC.fullmatch(text):
        return _quotient(match[1], match[2], match[3], match[4])
    return None


def _decimal(sign: str, digits: str) -> Fraction | str:
    whole, _, part = digits.replace(",", "").replace(" ", "").partition(".")
    whole, part = whole.lstrip("0") or "0", part.rstrip("0")
    minus = "-" if sign == "-" else ""
    spelling = f"{minus}{whole}.{part}" if part else f"{minus}{whole}"
    return spelling if len(spelling) > MAX_DIGITS else Fraction(spelling)


def _quotient(sign: str, whole: str, numerator: str, denominator: str) -> Fraction | None:
    above, below = (Fraction(part.replace(",", "").replace(" ", "")) for part in (numerator, denominator))
    if below == 0:
        return None
    value = int(whole or 0) + above / below
    return -value if sign == "-" else value


# --- sympy ------------------------------------------------------------------------------------------------------------

_GREEK = (
    "alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|vartheta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|phi"
    "|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Sigma|Phi|Psi|Omega"
)
_OPERATORS = (
    r"frac|sqrt(?:\[\d+\])?|cdot|times|div|binom|leq|geq|infty|lfloor|rfloor|lceil|rceil|ln|log|exp"
    "|sin|cos|tan|csc|sec|cot|arcsin|arccos|arctan|sinh|cosh|tanh"
)
# sympy reads any command it does not know as a symbol, `[1]` and `\{1\}` as 1, `3:4` as 3/4 and `2 3` as 23.
_KNOWN_COMMAND = re.compile(rf"\\(?:{_GREEK}|{_OPERATORS})(?![a-zA-Z])")
_KNOWN_CHARS = re.compile(r"[a-zA-Z0-9+\-*/^_=<>!|(){}. ]*")
_MISREAD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{4,}|\d \d|\.\d*\.|\\frac\{d\w?\}\{d\w")
_DECIMAL_POINT = re.compile(r"(\d*)\.(\d+)")
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
# A letter before a bracket multiplies it unless it is the usual name of a function; sympy would always call it.
_BEFORE_BRACKET = re.compile(r"(\\[a-zA-Z]+|[a-zA-Z])\(")
_FACTOR = re.compile(rf"\\(?:{_GREEK})|[a-eA-Ei-zI-Z]")


def _for_sympy(text: str) -> str | None:
    """A normalised text as sympy reads it rightly and exactly; None where it would misread it."""
    if len(text) > MAX_SYMBOLIC_CHARS or _MISREAD.search(text):
        return None
    if not _KNOWN_CHARS.fullmatch(_KNOWN_COMMAND.sub("", text)):
        return None
    text = _DECIMAL_POINT.sub(lambda m: rf"\frac{{{m[1]}{m[2]}}}{{1{'0' * len(m[2])}}}", text)
    text = _LEADING_ZEROS.sub("", text)
    return _BEFORE_BRACKET.sub(lambda m: rf"{m[1]}\cdot (" if _FACTOR.fullmatch(m[1]) else m[0], text)


@lru_cache(maxsize=1024)
def _parse(text: str) -> Any:
    """The sympy expression of a normalised text, or None when it has none."""
    source = _for_sympy(text)
    if source is None:
        return None
    import sympy
    from sympy.parsing.latex import LaTeXParsingError, parse_latex

    try:
        expression = parse_latex(source, strict=True)
    except (LaTeXParsingError, TypeError, ValueError, AttributeError, RecursionError):
        return None
    constants = {"pi": sympy.pi, "e": sympy.E, "i": sympy.I}
    value = expression.subs({sympy.Symbol(name): constant for name, constant in constants.items()}).doit()
    return value if isinstance(value, (sympy.Expr, sympy.Rel)) and not value.has(sympy.nan, sympy.zoo) else None


def _same_value(left: Any, right: Any) -> bool:
    """Whether sympy proves two expressions equal."""
    import sympy

    if left == right:
        return True
    if _clearly_apart(left, right):
        return False
    difference = sympy.simplify(left - right)
    return bool(difference == 0 or difference.equals(0))


def _clearly_apart(left: Any, right: Any) -> bool:
    """Whether values differ far beyond rounding where every symbol is some positive number; quicker than a proof."""
    import sympy

    symbols = sorted(left.free_symbols | right.free_symbols, key=str)
    point = {symbol: sympy.Rational(10 + 3 * i, 7) for i, symbol in enumerate(symbols)}
    x, y = (sympy.N(side.subs(point)) for side in (left, right))
    gap, size = abs(x - y), abs(x) + abs(y)
    return bool(gap.is_Float and size.is_Float and gap > 1e-9 * size)


@lru_cache(maxsize=4096)
def _compare_symbolically(gold: str, answer: str) -> str:
    import sympy

    left, right = _parse(gold), _parse(answer)
    if left is None or right is None:
        return "unparsed"
    if not isinstance(left, sympy.Rel) and not isinstance(right, sympy.Rel):
        return "correct" if _same_value(left, right) else "wrong"
    if not isinstance(left, sympy.Rel) or not isinstance(right, sympy.Rel):
        return "wrong"
    for other in (right, right.reversed):
        if left.rel_op == other.rel_op and _same_value(left.lhs, other.lhs) and _same_value(left.rhs, other.rhs):
            return "correct"
    return "wrong"


# --- equality ---------------------------------------------------------------------------------------------------------

_NAMED = re.compile(r"[a-zA-Z](?:_\{\w\})?=([^=<>]+)")


def compare(gold: str, answer: str) -> str:
    """How an answer relates to the gold one: `correct`, `wrong`, or why it is not known to be equal.

    `unparsed`: neither the same text nor both numbers or expressions that can be read. `too_long`: the same for an
    answer beyond what sympy is given. `no_gold`: the problem has no answer.
    """
    gold, answer = normalise(gold), normalise(answer)
    if not gold:
        return "no_gold"
    if ("=" in gold) != ("=" in answer):
        gold, answer = (match[1] if (match := _NAMED.fullmatch(side)) else side for side in (gold, answer))
    return _compare_normalised(gold, answer)


def _compare_normalised(gold: str, answer: str) -> str:
    if gold.replace(", ", ",") == answer.replace(", ", ","):
        return "correct"
    gold_number, number = exact_number(gold), exact_number(answer)
    if gold_number is not None and number is not None:
        return "correct" if gold_number == number else "wrong"
    if max(len(gold), len(answer)) > MAX_SYMBOLIC_CHARS:
        return "too_long"
    gold_list, parts = _list_parts(gold), _list_parts(answer)
    if gold_list or parts:
        return _compare_lists(gold_list, parts)
    return _compare_symbolically(gold, answer)


def _list_parts(text: str) -> list[str]:
    """Opening bracket, parts and closing bracket of a list that is written with commas; [] for anything else."""
    bracketed = re.fullmatch(r"(\\\{|[(\[])(.*)(\\\}|[)\]])", text)
    opening, inside, closing = bracketed.groups() if bracketed else ("", text, "")
    if "," not in inside or re.search(r"[()\[\]]", inside):
        return []
    return [opening, *inside.split(","), closing]


def _compare_lists(gold: list[str], answer: list[str]) -> str:
    """Part by part and in order, brackets included: `(0,9)` is not `[0,9)`."""
    if not gold or not answer:
        return "unparsed"
    if len(gold) != len(answer):
        return "wrong"
    brackets = gold[0] == answer[0] and gold[-1] == answer[-1]
    reasons = [_compare_normalised(*pair) for pair in zip(gold[1:-1], answer[1:-1], strict=True)] if brackets else []
    if not brackets or "wrong" in reasons:
        return "wrong"
    return next((reason for reason in reasons if reason != "correct"), "correct")
