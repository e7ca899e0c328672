r"""Typesetting that changes nothing: spaces, `\left \right`, `\dfrac`, `\displaystyle`, dollars, outer braces."""

from __future__ import annotations

import re

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

# What takes a word in braces is one token with it, so that nothing is put inside.
_WORD = r"\\(?:begin|end|text|mathbb)\{[^{}]*\}(?:\{c+\})?"
_TOKEN = re.compile(rf"{_WORD}|\\(?:left|right)\\?.|\\[a-zA-Z]+|\\.|[<>]=|.", re.DOTALL)
_SPACES = (" ", "  ", r"\,", r"\!", r"\;", r"\: ", r"\ ", "~", "\n", r"\quad ")
_OPERATORS = re.compile(r"[-+=()&]|[<>]=?|\\(?:cdot|times|le|ge|leq|geq|cup|in|mid|pm|begin.*|end.*)")
_OPENING, _CLOSING = ("(", "[", r"\{"), (")", "]", r"\}")
_WRAPPINGS = (
    "{}",
    "{}",
    "${}$",
    r"\({}\)",
    "{{{}}}",
    " {} ",
    "{}.",
    r"\displaystyle {}",
    r"\boxed{{{}}}",
    r"$\displaystyle {}$.",
)
UNICODE = {r"\times": "×", r"\le": "≤", r"\ge": "≥", r"\cup": "\N{UNION}", r"\infty": "∞", "-": "−", r"\pm": "±"}


@st.composite
def typeset(draw: DrawFn, text: str) -> str:
    """The text in another layout. Spaces only go beside operators and brackets: within `1{,}234` they could matter."""
    sized, unicode = draw(st.booleans()), draw(st.integers(0, 3)) == 0
    tokens = _TOKEN.findall(text)
    has_sizes = r"\left" in text
    places = draw(st.sets(st.integers(0, len(tokens)), max_size=6))
    pieces = []
    for place, token in enumerate(tokens):
        beside = _OPERATORS.fullmatch(token) or (place and _OPERATORS.fullmatch(tokens[place - 1]))
        if beside and place in places:
            pieces.append(draw(st.sampled_from(_SPACES)))
        if sized and not has_sizes and token in _OPENING + _CLOSING:
            token = (r"\left" if token in _OPENING else r"\right") + token
        elif token == r"\frac":
            token = draw(st.sampled_from((r"\frac", r"\frac", r"\dfrac", r"\tfrac", r"\cfrac")))
        elif unicode and token in UNICODE:
            token = UNICODE[token] + " "
        pieces.append(token)
    return draw(st.sampled_from(_WRAPPINGS)).format("".join(pieces))
