"""Rational numbers: integers of any size, fractions, mixed numbers, decimals, repeating ones, powers of ten."""

from __future__ import annotations

from fractions import Fraction
from math import factorial

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from sympy import perfect_power

from math_strategies.kind import Kind

SEPARATORS = (",", "{,}", r"\,", r"\ ", " ", r",\!")
FACTORIALS = {factorial(n): n for n in range(4, 30)}
LONGEST_PERIOD = 12

rationals = st.one_of(
    st.integers(-99, 99),
    st.integers(-(10**9), 10**9),
    st.integers(-(10**60), 10**60),
    st.builds(pow, st.integers(2, 12), st.integers(2, 9)),
    st.sampled_from(sorted(FACTORIALS)),
    st.builds(Fraction, st.integers(-(10**7), 10**7), st.sampled_from((10, 100, 1000, 10_000))),
    st.fractions(-20, 20, max_denominator=40),
    st.fractions(-1000, 1000, max_denominator=9999),
).map(Fraction)
entries = st.builds(Fraction, st.integers(-99, 99), st.sampled_from((1, 1, 1, 2, 3, 4, 5, 7, 10, 12)))


def decimal_text(size: Fraction) -> str | None:
    """The digits of a number of 0 or more whose decimal expansion ends soon; None for the others."""
    places = next((places for places in range(9) if 10**places % size.denominator == 0), None)
    if not places:
        return None if places is None else str(size.numerator)
    digits = str(size.numerator * 10**places // size.denominator).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}"


def repeating_text(size: Fraction) -> tuple[str, str] | None:
    """What comes before the period, and the period; None when there is none or it is long."""
    whole, remainder = divmod(size.numerator, size.denominator)
    digits, seen = "", {}
    while remainder not in seen and len(digits) <= LONGEST_PERIOD:
        seen[remainder] = len(digits)
        digit, remainder = divmod(remainder * 10, size.denominator)
        digits += str(digit)
    if remainder == 0 or remainder not in seen:
        return None
    start = seen[remainder]
    return f"{whole}.{digits[:start]}", digits[start:]


@st.composite
def _grouped(draw: DrawFn, whole: str) -> str:
    return f"{int(whole):,}".replace(",", draw(st.sampled_from(("", *SEPARATORS)))) if len(whole) > 3 else whole


@st.composite
def _decimal(draw: DrawFn, size: Fraction) -> str:
    text = decimal_text(size)
    assert text is not None
    whole, _, part = text.partition(".")
    part += draw(st.sampled_from(("", "", "0", "00")))
    if whole == "0" and part and draw(st.booleans()):
        return f".{part}"
    whole = draw(_grouped(whole))
    return f"{whole}.{part}" if part else whole


@st.composite
def _repeating(draw: DrawFn, size: Fraction) -> str:
    found = repeating_text(size)
    assert found is not None
    before, period = found
    shift = draw(st.integers(0, len(period)))
    period = (period[shift:] + period[:shift]) * draw(st.integers(1, 2))
    return rf"{before}{found[1][:shift]}\overline{{{period}}}"


@st.composite
def _scientific(draw: DrawFn, size: Fraction) -> str:
    exponent = draw(st.integers(-4, 9))
    mantissa = decimal_text(size / Fraction(10) ** exponent)
    # A decimal of ten digits may be read as a rounding.
    if mantissa is None or len(mantissa) > 10:
        return draw(_quotient(size))
    sign = draw(st.sampled_from((r" \times ", r"\cdot ")))
    return f"{mantissa}{sign}10^{{{exponent}}}"


@st.composite
def _quotient(draw: DrawFn, size: Fraction) -> str:
    scale = draw(st.sampled_from((2, 3, 10) if size.denominator == 1 else (1, 1, 2, 3, 10)))
    above, below = size.numerator * scale, size.denominator * scale
    forms = [rf"\frac{{{above}}}{{{below}}}", f"{above}/{below}"]
    if above < 10:
        forms.append(rf"\frac{above}{{{below}}}")
    if above < 10 and below < 10:
        forms.append(rf"\frac{above}{below}")
    return draw(st.sampled_from(forms))


@st.composite
def _mixed(draw: DrawFn, size: Fraction) -> str:
    whole, rest = divmod(size, 1)
    forms = [rf"{whole}\frac{{{rest.numerator}}}{{{rest.denominator}}}"]
    if rest.numerator < 100:  # 16 561/610 could be a fraction with a large numerator
        forms.append(f"{whole} {rest.numerator}/{rest.denominator}")
    return draw(st.sampled_from(forms))


@st.composite
def _product(draw: DrawFn, size: Fraction) -> str:
    factor = draw(st.integers(2, 12))
    sign = draw(st.sampled_from((r" \times ", r" \cdot ", "*")))
    return f"{factor}{sign}{draw(spell_entry(size / factor))}"


def _special_forms(size: Fraction) -> list[SearchStrategy[str]]:
    """Powers, factorials and logarithms that are just this number."""
    forms: list[SearchStrategy[str]] = []
    if size.denominator == 1 and 3 < size < 10**12 and (power := perfect_power(int(size))):
        forms += [st.just(f"{power[0]}^{{{power[1]}}}"), st.just(rf"\sqrt{{{size**2}}}")]
    if int(size) in FACTORIALS and size.denominator == 1:
        forms.append(st.just(f"{FACTORIALS[int(size)]}!"))
    if size in range(2, 12):
        forms.append(st.integers(2, 9).map(lambda base: rf"\log_{{{base}}} {base ** int(size)}"))
    return forms


@st.composite
def spell_rational(draw: DrawFn, value: Fraction) -> str:
    """A number on its own, in any notation."""
    size = abs(value)
    forms = [_quotient(size), _product(size), *_special_forms(size)]
    if decimal_text(size) is not None:
        forms += [_decimal(size), _decimal(size), _decimal(size), _scientific(size)]
    if repeating_text(size) is not None:
        forms.append(_repeating(size))
    if size > 1 and size.denominator > 1:
        forms.append(_mixed(size))
    return ("-" if value < 0 else "") + draw(st.one_of(forms))


@st.composite
def spell_entry(draw: DrawFn, value: Fraction) -> str:
    """A number among others: no thousands separators, no spaces, no operations but a fraction's."""
    sign, above, below = "-" if value < 0 else "", abs(value.numerator), value.denominator
    decimal = decimal_text(abs(value))
    forms = [f"{sign}{decimal}"] if decimal is not None and len(decimal) < 10 else []
    if below > 1:
        forms += [
            f"{sign}{above}/{below}",
            rf"{sign}\frac{{{above}}}{{{below}}}",
            rf"\frac{{{sign}{above}}}{{{below}}}",
        ]
    return draw(st.sampled_from(forms or [f"{sign}{above}"]))


@st.composite
def other_digit(draw: DrawFn, number: int) -> int:
    """The number with one digit changed; its sign stays."""
    digits = list(str(abs(number)))
    place = draw(st.integers(0, len(digits) - 1))
    digits[place] = draw(st.sampled_from("0123456789".replace(digits[place], "")))
    return int("".join(digits)) * (-1 if number < 0 else 1)


def clearly_apart(value: Fraction, other: Fraction) -> bool:
    """Whether no rounding to ten digits turns one into the other; integers are apart when they differ."""
    integers = value.denominator == other.denominator == 1
    return value != other and (integers or abs(value - other) > Fraction(1, 10**8) * max(abs(value), abs(other)))


@st.composite
def other_rational(draw: DrawFn, value: Fraction) -> Fraction:
    """One digit, the sign, the place of the decimal point, or what is above and what below."""
    above, below = value.numerator, value.denominator
    changes = [
        st.just(-value),
        st.just(value * 10),
        st.just(value / 100),
        other_digit(above).map(lambda digits: Fraction(digits, below)),
        other_digit(below).filter(bool).map(lambda digits: Fraction(above, digits)),
    ]
    other = draw(st.one_of(*changes, st.just(1 / value)) if value else st.one_of(changes))
    assume(clearly_apart(value, other))
    return other


@st.composite
def other_entry(draw: DrawFn, value: Fraction) -> Fraction:
    """One digit or the sign; still a number of two digits above and below."""
    digits = other_digit(value.numerator).map(lambda above: Fraction(above, value.denominator))
    return draw(digits | st.just(-value) if value else digits)


RATIONALS = Kind("rational", rationals, spell_rational, other_rational)
