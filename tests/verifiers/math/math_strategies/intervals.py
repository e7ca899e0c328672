r"""Intervals and unions of them: as brackets, as inequalities, as sets of x."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from math_strategies.kind import Kind
from math_strategies.rationals import entries, spell_entry


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`; None is infinity, which is never closed."""

    low: Fraction | None
    high: Fraction | None
    low_closed: bool = False
    high_closed: bool = False


Union = tuple[Interval, ...]
"""In order and apart from each other, so that equal sets are equal tuples."""


@st.composite
def unions(draw: DrawFn) -> Union:
    """One to three intervals between distinct points; the outermost may be infinite."""
    count = draw(st.sampled_from((1, 1, 2, 3)))
    points = sorted(draw(st.lists(entries, min_size=2 * count, max_size=2 * count, unique=True)))
    parts = [
        Interval(low, high, draw(st.booleans()), draw(st.booleans()))
        for low, high in zip(points[::2], points[1::2], strict=True)
    ]
    unbounded = draw(st.sampled_from(("no", "no", "low", "high")))
    if unbounded == "low" or (unbounded == "high" and count > 1):
        parts[0] = replace(parts[0], low=None, low_closed=False)
    if unbounded == "high":
        parts[-1] = replace(parts[-1], high=None, high_closed=False)
    return tuple(parts)


@st.composite
def _brackets(draw: DrawFn, part: Interval) -> str:
    low = r"-\infty" if part.low is None else draw(spell_entry(part.low))
    high = r"\infty" if part.high is None else draw(spell_entry(part.high))
    opening, closing = "[" if part.low_closed else "(", "]" if part.high_closed else ")"
    return f"{opening}{low}{draw(st.sampled_from((', ', ',')))}{high}{closing}"


@st.composite
def _split(draw: DrawFn, part: Interval) -> list[Interval]:
    """Now and then the interval in two pieces that touch or overlap."""
    if part.low is None or part.high is None or draw(st.integers(0, 3)):
        return [part]
    quarters = draw(st.sampled_from(((2, 2), (1, 3))))
    middle, later = (part.low + (part.high - part.low) * Fraction(quarter, 4) for quarter in quarters)
    left_closed = draw(st.booleans())
    right_closed = draw(st.booleans()) or not left_closed
    return [
        replace(part, high=later, high_closed=left_closed),
        replace(part, low=middle, low_closed=right_closed),
    ]


@st.composite
def _in_brackets(draw: DrawFn, union: Union) -> str:
    parts = draw(st.permutations([piece for part in union for piece in draw(_split(part))]))
    text = r"\cup ".join([draw(_brackets(part)) for part in parts])
    return draw(st.sampled_from(("", "", r"x\in "))) + text


@st.composite
def _half_line(draw: DrawFn, bound: Fraction, above: bool, closed: bool) -> str:
    """One bound on x, also from the other side and times a number."""
    factor = draw(st.sampled_from((1, 1, 1, -1, 2, -3)))
    sides = ["x" if factor == 1 else "-x" if factor == -1 else f"{factor}x", draw(spell_entry(bound * factor))]
    greater = above == (factor > 0)
    if draw(st.booleans()):
        sides.reverse()
        greater = not greater
    return draw(_sign(greater, closed)).join(sides)


@st.composite
def _sign(draw: DrawFn, greater: bool, closed: bool) -> str:
    if not closed:
        return ">" if greater else "<"
    return draw(st.sampled_from((r"\ge ", r"\geq ", ">=") if greater else (r"\le ", r"\leq ", "<=")))


@st.composite
def _bounds(draw: DrawFn, part: Interval) -> str:
    if part.low is None or part.high is None:
        bound, closed = (part.high, part.high_closed) if part.low is None else (part.low, part.low_closed)
        assert bound is not None
        return draw(_half_line(bound, part.high is None, closed))
    low, high = draw(spell_entry(part.low)), draw(spell_entry(part.high))
    if draw(st.booleans()):
        return f"{low}{draw(_sign(False, part.low_closed))}x{draw(_sign(False, part.high_closed))}{high}"
    return f"{high}{draw(_sign(True, part.high_closed))}x{draw(_sign(True, part.low_closed))}{low}"


@st.composite
def _as_inequality(draw: DrawFn, union: Union) -> str:
    word = draw(st.sampled_from((r" \text{ or } ", " or ", r"\text{ or }")))
    return word.join([draw(_bounds(part)) for part in draw(st.permutations(union))])


@st.composite
def _as_set(draw: DrawFn, union: Union) -> str:
    letter, such_that = draw(st.sampled_from(("x", r"x\in\mathbb{R}"))), draw(st.sampled_from((r"\mid ", ":", " | ")))
    return rf"\{{{letter}{such_that}{draw(_as_inequality(union))}\}}"


def spell_union(union: Union) -> st.SearchStrategy[str]:
    """Brackets, inequalities or a set of x."""
    return _in_brackets(union) | _in_brackets(union) | _as_inequality(union) | _as_set(union)


@st.composite
def other_union(draw: DrawFn, union: Union) -> Union:
    """One bracket turned, one end moved inwards or to infinity, or one interval left out."""
    place = draw(st.integers(0, len(union) - 1))
    part, choices = union[place], []
    if part.low is not None:
        choices.append(replace(part, low_closed=not part.low_closed))
    if part.high is not None:
        choices.append(replace(part, high_closed=not part.high_closed))
    if part.low is not None and part.high is not None:
        choices += [
            replace(part, low=(part.low + part.high) / 2),
            replace(part, high=(part.low + 3 * part.high) / 4),
        ]
        if place == len(union) - 1:
            choices.append(replace(part, high=None, high_closed=False))
    others = [(*union[:place], choice, *union[place + 1 :]) for choice in choices]
    if len(union) > 1:
        others.append(union[:place] + union[place + 1 :])
    return draw(st.sampled_from(others))


INTERVALS = Kind("interval", unions(), spell_union, other_union)
