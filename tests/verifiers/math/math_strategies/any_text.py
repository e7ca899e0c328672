"""Text that nobody means as an answer: Unicode, soups of LaTeX, very long and deeply nested text, damaged answers."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from math_strategies.kind import Kind
from math_strategies.typesetting import typeset


def _words(text: str) -> list[str]:
    return text.split()


TOKENS = _words(r"""
0 1 2 7 10 12 100 1,234 0.5 .5 1. 1e9 x y n R f e i A B % ! ? ' " : ; , . + - * / ^ _ = < > | & # @ ~ ( ) [ ] { }
^{ _{ ^2 ^{-1} _1 _{10} ** <= != \{ \} \( \) \[ \] \\ \, \! \; \| \$ $ \% \frac \frac12 \dfrac{ \sqrt \sqrt[3]{
\binom \cdot \times \div \pm \mp \le \ge \ne \lt \approx \in \cup \cap \setminus \mid \infty -\infty \emptyset \pi
\theta \alpha \sin \cos^2 \tan \arcsin \log \log_ \ln \exp \lim_{x\to0} \sum_{n=1}^{\infty} \int_0^1 \prod \left
\right \left( \right) \left\{ \right. \lfloor \rfloor \overline{ \overline{3} \vec{ \hat{ \text{ \text{cm} \text{or}
\mathrm{ \mathbb{R} \boxed{ \operatorname{ \displaystyle \begin{pmatrix} \end{pmatrix} \begin{cases} \end{cases}
\begin{array}{cc} \begin{ \end{ \quad \ldots ^\circ \circ ^\prime and or to cm degrees dollars o'clock P.M. March
π √ ∞ ≤ ° − × ² ½ ∈ 五 ٣ é 🙂
""")
REPEATED = [
    *_words(r"""
    ( ) [ { } {} x 1 9 1, - + 1+ x+ ^ ^2 ^{ _ _{ ! | \ \\ \left( \frac \frac1 \frac{ \sqrt \sqrt{ \sqrt[ \text \text{
    \pm \pm1, \cup [0,1]\cup \begin{pmatrix} \end{pmatrix} & = x= < x< : $ % . , ; \log_2 \sin \boxed{ \overline{ 9^
    9! 2^{ x_1+
    """),
    " ",
    "1 ",
    " or ",
    "\N{UNION}",
    "\x00",
]
# What opens and what closes, side by side.
NESTED = _words(r"""
( )   { }   [ ]   \{ \}   | |   \left( \right)   \sqrt{ }   \frac{1}{1+ }   \frac{ }{2}   x^{ }   \text{ }   \boxed{ }
\sin( )   -( )   2(x+ )   ( ,1)   (1+ )!   ( )^2   \log_{2}{ }   \begin{pmatrix} \end{pmatrix}
""")

lengths = st.integers(0, 40) | st.sampled_from((100, 1000, 20_000, 200_000))
unicode = st.text(st.characters(exclude_categories=()), max_size=60)
soups = st.builds(str.join, st.sampled_from(("", "", " ")), st.lists(st.sampled_from(TOKENS), max_size=25))


@st.composite
def repeated(draw: DrawFn) -> str:
    """One piece over and over."""
    piece = draw(st.sampled_from(REPEATED) | soups.map(lambda text: text[:20]))
    start, end = draw(st.sampled_from(("", "x", "5", "-"))), draw(st.sampled_from(("", "5", "x", "}", ")")))
    return start + piece * draw(lengths) + end


@st.composite
def nested(draw: DrawFn) -> str:
    """Brackets in brackets."""
    opening, closing = draw(st.sampled_from(list(zip(NESTED[::2], NESTED[1::2], strict=True))))
    depth = draw(lengths)
    return opening * depth + draw(st.sampled_from(("5", "x", "", "1,2"))) + closing * depth


@st.composite
def damaged(draw: DrawFn, kinds: list[Kind]) -> str:
    """An honest answer with a piece cut out or a token put in."""
    kind = draw(st.sampled_from(kinds))
    text = draw(typeset(draw(kind.spellings(draw(kind.values)))))
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    return text[:start] + draw(st.sampled_from(["", *TOKENS])) + text[draw(st.sampled_from((start, end))) :]


def any_text(kinds: list[Kind]) -> SearchStrategy[str]:
    """All of it, with answers of these kinds damaged."""
    return st.one_of(unicode, soups, soups, soups, damaged(kinds), damaged(kinds), repeated(), nested())
