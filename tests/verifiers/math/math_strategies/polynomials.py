"""Polynomials in one to three letters, and equations between them; multiplied out here with exact coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from math_strategies.kind import Kind
from math_strategies.rationals import other_entry
from math_strategies.sums import Term, coefficients, over_common_denominator, some, spell_sum

LETTERS = "abknpqrtuvwxyz"

Monomial = tuple[tuple[str, int], ...]
Terms = dict[Monomial, Fraction]


def total(*parts: Terms) -> Terms:
    """The sum; terms that cancel are gone."""
    result: Terms = {}
    for part in parts:
        for monomial, coefficient in part.items():
            result[monomial] = result.get(monomial, Fraction(0)) + coefficient
    return {monomial: coefficient for monomial, coefficient in result.items() if coefficient}


def scaled(terms: Terms, factor: Fraction | int) -> Terms:
    """All coefficients times a number that is not 0."""
    return {monomial: coefficient * factor for monomial, coefficient in terms.items()}


def product(left: Terms, right: Terms) -> Terms:
    """Multiplied out."""
    parts = []
    for one, a in left.items():
        for other, b in right.items():
            exponents = dict(one)
            for letter, exponent in other:
                exponents[letter] = exponents.get(letter, 0) + exponent
            parts.append({tuple(sorted(exponents.items())): a * b})
    return total(*parts)


@dataclass(frozen=True)
class Polynomial:
    """A product of factors plus a rest."""

    factors: tuple[Terms, ...]
    rest: Terms

    @property
    def terms(self) -> Terms:
        """Multiplied out."""
        result: Terms = {(): Fraction(1)}
        for factor in self.factors:
            result = product(result, factor)
        return total(result, self.rest)


def letters_of(terms: Terms) -> list[str]:
    """The letters that occur."""
    return sorted({letter for monomial in terms for letter, _ in monomial})


@st.composite
def linear_forms(draw: DrawFn, letters: list[str]) -> Terms:
    """One letter or more, and often a constant."""
    used = draw(st.lists(st.sampled_from(letters), min_size=1, max_size=2, unique=True))
    constant = {(): draw(coefficients)} if len(used) == 1 or draw(st.booleans()) else {}
    return total(*({((letter, 1),): Fraction(draw(some))} for letter in used), constant)


@st.composite
def polynomials(draw: DrawFn) -> Polynomial:
    """Degree 1 to 3, with two terms or more."""
    letters = draw(st.lists(st.sampled_from(LETTERS), min_size=1, max_size=3, unique=True))
    factors = draw(st.lists(linear_forms(letters), min_size=1, max_size=3))
    if draw(st.integers(0, 3)) == 0:
        factors[-1] = factors[0]
    value = Polynomial(tuple(factors), draw(st.just({}) | linear_forms(letters)))
    assume(len(value.terms) > 1 and letters_of(value.terms))
    return value


# --- spelling


@st.composite
def _symbol(draw: DrawFn, monomial: Monomial) -> str:
    powers = []
    for letter, exponent in draw(st.permutations(monomial)):
        forms = [f"{letter}^{exponent}", f"{letter}^{{{exponent}}}"] if exponent > 1 else [letter]
        powers.append(draw(st.sampled_from(forms)))
    return draw(st.sampled_from(("", "", r"\cdot ", "*"))).join(powers)


@st.composite
def sum_terms(draw: DrawFn, terms: Terms) -> list[Term]:
    """The terms with their monomials written out."""
    return [(coefficient, draw(_symbol(monomial))) for monomial, coefficient in terms.items()]


@st.composite
def expanded(draw: DrawFn, terms: Terms) -> str:
    """The sum of all terms."""
    return draw(spell_sum(draw(sum_terms(terms))))


def signed(text: str) -> str:
    """With a plus in front unless there is a minus."""
    return text if text.startswith("-") else f"+{text}"


@st.composite
def _factored(draw: DrawFn, value: Polynomial) -> str:
    """The factors in any order, each times a number that is taken back in front."""
    front, parts = Fraction(1), {}
    for factor in draw(st.permutations(value.factors)):
        scale = draw(st.sampled_from((1, 1, 1, -1, 2, Fraction(1, 2), 3)))
        front /= scale
        text = f"({draw(expanded(scaled(factor, scale)))})"
        parts[text] = parts.get(text, 0) + 1
    product_text = "".join(text if count == 1 else f"{text}^{count}" for text, count in parts.items())
    number = rf"\frac{{{abs(front.numerator)}}}{{{front.denominator}}}" if front.denominator > 1 else abs(front)
    text = ("-" if front < 0 else "") + (f"{number}" if abs(front) != 1 else "") + product_text
    return text + signed(draw(expanded(value.rest))) if value.rest else text


@st.composite
def _nested(draw: DrawFn, terms: Terms) -> str:
    """Horner's form in one letter."""
    letter = draw(st.sampled_from(letters_of(terms)))
    by_power: list[Terms] = [{} for _ in range(1 + max(dict(monomial).get(letter, 0) for monomial in terms))]
    for monomial, coefficient in terms.items():
        rest = tuple(pair for pair in monomial if pair[0] != letter)
        by_power[dict(monomial).get(letter, 0)][rest] = coefficient
    text = draw(expanded(by_power.pop()))
    for part in reversed(by_power):
        text = f"({text}){letter}" if text.isdigit() or draw(st.booleans()) else f"{letter}({text})"
        text += signed(draw(expanded(part))) if part else ""
    return text


@st.composite
def _as_difference(draw: DrawFn, terms: Terms) -> str:
    """P as Q - (Q - P)."""
    other = draw(linear_forms(letters_of(terms)))
    return f"{draw(expanded(other))}-({draw(expanded(total(other, scaled(terms, -1))))})"


@st.composite
def spell_polynomial(draw: DrawFn, value: Polynomial) -> str:
    """Multiplied out, factored, nested, over a common denominator, or as a difference."""
    terms = value.terms
    forms = [expanded(terms), _nested(terms), _as_difference(terms), sum_terms(terms).flatmap(over_common_denominator)]
    return draw(st.one_of(*forms, _factored(value), _factored(value)))


# --- changes


@st.composite
def other_terms(draw: DrawFn, terms: Terms) -> Terms:
    """One coefficient's digit or sign, or one exponent."""
    monomial = draw(st.sampled_from(list(terms)))
    changed = dict(terms)
    coefficient = changed.pop(monomial)
    if monomial and draw(st.booleans()):
        letter, exponent = draw(st.sampled_from(monomial))
        powers = dict(monomial) | {letter: exponent + 1}
        return total(changed, {tuple(sorted(powers.items())): coefficient})
    return total(changed, {monomial: draw(other_entry(coefficient))})


def _renamed(terms: Terms, letter: str, name: str) -> Terms:
    rename = {letter: name}
    return {tuple(sorted((rename.get(x, x), n) for x, n in monomial)): c for monomial, c in terms.items()}


@st.composite
def other_polynomial(draw: DrawFn, value: Polynomial) -> Polynomial:
    """A number, an exponent, a letter, or a letter's case."""
    terms = value.terms
    letter = draw(st.sampled_from(letters_of(terms)))
    names = [name for name in LETTERS if name not in letters_of(terms)] + [letter.upper()] * 5
    renamed = st.sampled_from(names).map(lambda name: _renamed(terms, letter, name))
    changed = draw(other_terms(terms) | renamed)
    assume(letters_of(changed) and changed != terms)
    return Polynomial((changed,), {})


# --- equations: equal up to a factor, and with terms on either side


@st.composite
def equations(draw: DrawFn) -> Terms:
    """What is 0: two or three letters, degree 1 or 2."""
    letters = draw(st.lists(st.sampled_from(LETTERS), min_size=2, max_size=3, unique=True))
    lines = total(*({((letter, 1),): Fraction(draw(some))} for letter in letters), {(): Fraction(draw(some))})
    square = {((letters[0], 2),): Fraction(draw(some))} if draw(st.booleans()) else {}
    return total(lines, square)


@st.composite
def spell_equation(draw: DrawFn, terms: Terms) -> str:
    """Times a number, with each term on one side or the other."""
    terms = scaled(terms, draw(st.sampled_from((1, 1, -1, 2, -3, Fraction(1, 2)))))
    sides: tuple[Terms, Terms] = ({}, {})
    for monomial, coefficient in terms.items():
        right = draw(st.booleans())
        sides[right][monomial] = -coefficient if right else coefficient
    return "=".join(draw(expanded(side)) for side in sides)


def equation_as_one(terms: Terms) -> Terms:
    """The multiple with coefficient 1 at the first monomial."""
    return scaled(terms, 1 / terms[min(terms)])


POLYNOMIALS = Kind("polynomial", polynomials(), spell_polynomial, other_polynomial, lambda value: value.terms)
EQUATIONS = Kind("equation", equations(), spell_equation, other_terms, equation_as_one)
