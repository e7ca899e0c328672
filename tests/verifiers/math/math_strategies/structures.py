"""Matrices, sets of numbers, tuples and sets of points."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from math_strategies.kind import Kind
from math_strategies.rationals import entries, other_entry, spell_entry

Row = tuple[Fraction, ...]
Matrix = tuple[Row, ...]

ENVIRONMENTS = [
    (r"\begin{pmatrix}", r"\end{pmatrix}"),
    (r"\begin{bmatrix}", r"\end{bmatrix}"),
    (r"\left(\begin{matrix}", r"\end{matrix}\right)"),
    (r"\left[\begin{array}{ccc}", r"\end{array}\right]"),
]


@st.composite
def spell_all(draw: DrawFn, numbers: list[Fraction]) -> list[str]:
    """Each in its own way."""
    return [draw(spell_entry(number)) for number in numbers]


# --- matrices


@st.composite
def matrices(draw: DrawFn) -> Matrix:
    """Up to three by three, with two entries or more."""
    rows, columns = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)).filter(lambda size: size != (1, 1)))
    row = st.lists(entries, min_size=columns, max_size=columns).map(tuple)
    return tuple(draw(st.lists(row, min_size=rows, max_size=rows)))


@st.composite
def spell_matrix(draw: DrawFn, matrix: Matrix) -> str:
    """In any environment, with a number taken out in front."""
    factors = [("", 1), ("", 1), ("-", -1), ("2", 2), (r"\frac{1}{3}", Fraction(1, 3)), (r"-\frac12", Fraction(-1, 2))]
    front, factor = draw(st.sampled_from(factors))
    rows = ["&".join(draw(spell_all([entry / factor for entry in row]))) for row in matrix]
    begin, end = draw(st.sampled_from(ENVIRONMENTS))
    return front + begin + r"\\".join(rows) + draw(st.sampled_from(("", "", r"\\"))) + end


@st.composite
def other_matrix(draw: DrawFn, matrix: Matrix) -> Matrix:
    """One entry, two rows or columns in each other's place, rows as columns, or one row less."""
    i, j = draw(st.integers(0, len(matrix) - 1)), draw(st.integers(0, len(matrix[0]) - 1))
    entry = draw(other_entry(matrix[i][j]))
    changed_row = (*matrix[i][:j], entry, *matrix[i][j + 1 :])
    changed = (*matrix[:i], changed_row, *matrix[i + 1 :])
    columns = tuple(zip(*matrix, strict=True))
    others = [changed, changed, matrix[::-1], tuple(row[::-1] for row in matrix), columns]
    other = draw(st.sampled_from([*others, matrix[1:]] if len(matrix) > 1 else others))
    assume(other != matrix)
    return other


# --- sets of numbers


def _pairs(numbers: frozenset[Fraction]) -> list[Fraction]:
    return sorted(number for number in numbers if number > 0 and -number in numbers)


@st.composite
def spell_set(draw: DrawFn, numbers: frozenset[Fraction]) -> str:
    r"""In any order: in braces, with commas, semicolons or words; `3` and `-3` perhaps as `\pm 3`."""
    left, parts = set(numbers), []
    for number in _pairs(numbers):
        if draw(st.booleans()):
            left -= {number, -number}
            parts.append(rf"\pm {draw(spell_entry(number))}")
    parts = draw(st.permutations(parts + draw(spell_all(sorted(left)))))
    inside = draw(st.sampled_from((", ", ",", "; "))).join(parts)
    forms = [rf"\{{{inside}\}}", inside]
    if len(parts) > 1:
        word = draw(st.sampled_from((r"\text{ and }", r" \text{ or } ", " and ", " or ", r",\text{ and }")))
        forms.append(", ".join(parts[:-1]) + word + parts[-1])
    return draw(st.sampled_from(forms))


@st.composite
def other_set(draw: DrawFn, numbers: frozenset[Fraction]) -> frozenset[Fraction]:
    """One number changed, left out or added."""
    number = draw(st.sampled_from(sorted(numbers)))
    rest = numbers - {number}
    others = [other_entry(number).map(lambda other: rest | {other}), entries.map(lambda new: numbers | {new})]
    other = draw(st.one_of(*others, st.just(rest)))
    assume(other != numbers)
    return other


# --- tuples, in order


@st.composite
def spell_tuple(draw: DrawFn, values: Row) -> str:
    """In round brackets, perhaps with the names of its parts."""
    inside = draw(st.sampled_from((", ", ","))).join(draw(spell_all(list(values))))
    names = "(x,y)" if len(values) == 2 else "(x,y,z)"
    return draw(st.sampled_from(("", "", f"{names}=", f"{names} = "))) + f"({inside})"


@st.composite
def other_tuple(draw: DrawFn, values: Row) -> Row:
    """One entry, the order, or one entry less."""
    place = draw(st.integers(0, len(values) - 1))
    changed = (*values[:place], draw(other_entry(values[place])), *values[place + 1 :])
    other = draw(st.sampled_from([changed, values[::-1]]))
    assume(other != values)
    return other


# --- sets of points: the points in any order, the coordinates in theirs


Points = frozenset[Row]


@st.composite
def spell_points(draw: DrawFn, points: Points) -> str:
    """With commas, in braces or with a word before the last."""
    parts = ["({},{})".format(*draw(spell_all(list(point)))) for point in draw(st.permutations(sorted(points)))]
    inside = ", ".join(parts)
    return draw(st.sampled_from((inside, rf"\{{{inside}\}}", ", ".join(parts[:-1]) + r"\text{ and }" + parts[-1])))


@st.composite
def other_points(draw: DrawFn, points: Points) -> Points:
    """One point changed or left out."""
    point = draw(st.sampled_from(sorted(points)))
    rest = points - {point}
    others = [other_tuple(point).map(lambda other: rest | {other})]
    return draw(st.one_of(*others, st.just(rest)).filter(lambda other: other != points and len(other) > 1))


def distinct(parts: SearchStrategy, at_least: int, at_most: int) -> SearchStrategy:
    """Sets of so many."""
    return st.lists(parts, min_size=at_least, max_size=at_most, unique=True).map(frozenset)


with_opposites = distinct(entries, 1, 3).map(lambda numbers: numbers | {-number for number in sorted(numbers)[:1]})
number_sets = (distinct(entries, 2, 4) | with_opposites).filter(lambda numbers: len(numbers) > 1)
tuples = st.lists(entries, min_size=2, max_size=3).map(tuple)

MATRICES = Kind("matrix", matrices(), spell_matrix, other_matrix)
SETS = Kind("set", number_sets, spell_set, other_set)
TUPLES = Kind("tuple", tuples, spell_tuple, other_tuple)
POINTS = Kind("points", distinct(st.tuples(entries, entries), 2, 3), spell_points, other_points)
