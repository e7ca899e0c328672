"""Sums of numbers times symbols, and what is nothing but that: complex numbers, sums of square roots."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from math_strategies.kind import Kind
from math_strategies.rationals import decimal_text, other_entry, spell_entry

Term = tuple[Fraction, str]
SQUAREFREE = (1, 2, 3, 5, 6, 7, 10, 11, 13, 14, 15)

small = st.integers(-9, 9)
some = small.filter(bool)
coefficients = st.builds(Fraction, some, st.sampled_from((1, 1, 1, 2, 3, 4, 5)))


@st.composite
def spell_term(draw: DrawFn, size: Fraction, symbol: str) -> str:
    """A positive number times a symbol; the symbol "" is 1."""
    above, below, decimal = size.numerator, size.denominator, decimal_text(size)
    if not symbol:
        return draw(spell_entry(size))
    if size == 1:
        return symbol
    forms = [rf"\frac{{{above}}}{{{below}}}{symbol}", rf"\frac{{{above if above > 1 else ''}{symbol}}}{{{below}}}"]
    if decimal is not None and len(decimal) < 8:
        forms += [f"{decimal}{symbol}", rf"{decimal}\cdot {symbol}", f"{decimal}*{symbol}"]
    return draw(st.sampled_from(forms[2:] if below == 1 else forms))


@st.composite
def spell_sum(draw: DrawFn, terms: Sequence[Term]) -> str:
    """The terms in any order; 0 when there are none."""
    text = ""
    for coefficient, symbol in draw(st.permutations(terms)):
        text += ("-" if coefficient < 0 else "+") + draw(spell_term(abs(coefficient), symbol))
    return text.removeprefix("+") or "0"


@st.composite
def over_common_denominator(draw: DrawFn, terms: Sequence[Term]) -> str:
    """The whole sum as one fraction."""
    below = lcm(*(coefficient.denominator for coefficient, _ in terms))
    below *= draw(st.sampled_from((2, 3) if below == 1 else (1, 1, 2)))
    above = draw(spell_sum([(coefficient * below, symbol) for coefficient, symbol in terms]))
    return draw(st.sampled_from((rf"\frac{{{above}}}{{{below}}}", f"({above})/{below}")))


# --- complex numbers


Complex = tuple[Fraction, Fraction]


def complex_product(left: Complex, right: Complex) -> Complex:
    """The product, exactly."""
    return left[0] * right[0] - left[1] * right[1], left[0] * right[1] + left[1] * right[0]


def complex_quotient(above: Complex, below: Complex) -> Complex:
    """The quotient, exactly."""
    size = below[0] ** 2 + below[1] ** 2
    real, imaginary = complex_product(above, (below[0], -below[1]))
    return real / size, imaginary / size


def _complex_terms(value: Complex) -> list[Term]:
    return [(part, symbol) for part, symbol in zip(value, ("", "i"), strict=True) if part]


@st.composite
def spell_complex(draw: DrawFn, value: Complex) -> str:
    """A sum, a fraction, or a product of two complex numbers."""
    plain = spell_sum(_complex_terms(value))
    factor = (Fraction(draw(small)), Fraction(draw(some)))
    parts = [draw(spell_sum(_complex_terms(part))) for part in (factor, complex_quotient(value, factor))]
    return draw(st.one_of(plain, over_common_denominator(_complex_terms(value)), st.just("({})({})".format(*parts))))


@st.composite
def other_complex(draw: DrawFn, value: Complex) -> Complex:
    """A digit or a sign of one part, or the parts in each other's place."""
    real, imaginary = value
    other = draw(
        st.one_of(
            st.tuples(other_entry(real), st.just(imaginary)),
            st.tuples(st.just(real), other_entry(imaginary)),
            st.just((imaginary, real)),
        )
    )
    assume(other != value)
    return other


# --- sums of square roots; those of different squarefree numbers are independent over the rationals


Radicals = dict[int, Fraction]


@st.composite
def _root_term(draw: DrawFn, number: int, coefficient: Fraction) -> str:
    """The size of one term: a√b, √(a²b), a·b/√b, or a·b^(1/2)."""
    size = abs(coefficient)
    if number == 1:
        return draw(spell_entry(size))
    bare = rf"\sqrt{number}" if number < 10 else rf"\sqrt{{{number}}}"
    forms = [spell_term(size, rf"\sqrt{{{number}}}"), spell_term(size, bare)]
    square, below = size**2 * number, size.denominator
    forms += [
        spell_entry(size).map(lambda text: rf"{text}\cdot {number}^{{1/2}}"),
        st.just(rf"\sqrt{{{square}}}"),
        st.just(rf"\frac{{{size.numerator * number}}}{{{below if below > 1 else ''}{bare}}}"),
    ]
    if below > 1:
        forms.append(st.just(rf"\frac{{\sqrt{{{size.numerator**2 * number}}}}}{{{below}}}"))
    return draw(st.one_of(forms))


@st.composite
def spell_radicals(draw: DrawFn, value: Radicals) -> str:
    """The terms in any order, each in its own way."""
    text = ""
    for number, coefficient in draw(st.permutations(list(value.items()))):
        text += ("-" if coefficient < 0 else "+") + draw(_root_term(number, coefficient))
    return text.removeprefix("+")


@st.composite
def other_radicals(draw: DrawFn, value: Radicals) -> Radicals:
    """One coefficient's digit or sign, or one number under a root."""
    number = draw(st.sampled_from(list(value)))
    changed = dict(value)
    if draw(st.booleans()):
        changed[number] = draw(other_entry(value[number]).filter(bool))
    else:
        coefficient = changed.pop(number)
        changed[draw(st.sampled_from([n for n in SQUAREFREE if n not in value]))] = coefficient
    return changed


complex_numbers = st.tuples(coefficients | st.just(Fraction(0)), coefficients)
radicals = st.dictionaries(st.sampled_from(SQUAREFREE), coefficients, min_size=1, max_size=3).filter(
    lambda value: max(value) > 1
)

COMPLEX = Kind("complex", complex_numbers, spell_complex, other_complex)
RADICALS = Kind("radicals", radicals, spell_radicals, other_radicals)
