from fractions import Fraction

import pytest

from acereason.verifiers.math.compare import read
from acereason.verifiers.math.exact import (
    MAX_COSTLY_TERMS,
    MAX_TERMS,
    TooLarge,
    Undefined,
    Unevaluable,
    exact,
    series_range,
)
from acereason.verifiers.math.reading.expressions import Call, Symbol


def exactly(text: str, **point: int | Fraction) -> Fraction | None:
    return exact(read(text).node, {name: Fraction(value) for name, value in point.items()})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/3+1/6", "1/2"),
        ("0.1+0.2", "3/10"),
        ("2-3*4", "-10"),
        ("(2/3)^{-2}", "9/4"),
        ("2^{64}", "18446744073709551616"),
        ("0^0", "1"),
        ("(-1)^{1000001}", "-1"),
        ("4^{3/2}", "8"),
        ("(-8)^{1/3}", "-2"),
        ("(-8)^{2/3}", "4"),
        (r"\sqrt{\frac{9}{16}}", "3/4"),
        (r"\sqrt[3]{-27}", "-3"),
        (r"\sqrt[5]{32}", "2"),
        (r"\sqrt{10^{40}}", "100000000000000000000"),
        ("|-2.5|", "5/2"),
        ("5!", "120"),
        ("7!!", "105"),
        (r"\binom{6}{2}", "15"),
        (r"\binom{2}{6}", "0"),
        (r"\lfloor-2.5\rfloor", "-3"),
        (r"\lceil2.1\rceil", "3"),
        (r"\gcd(12,18)", "6"),
        (r"\operatorname{lcm}(4,6)", "12"),
        (r"\max(1,\frac32,-2)", "3/2"),
        (r"17\bmod5", "2"),
        (r"2^{1000000}\bmod7", "2"),
        (r"\sum_{k=1}^{100}k", "5050"),
        (r"\sum_{k=1}^{3}\frac1k", "11/6"),
        (r"\prod_{k=1}^{5}k", "120"),
        (r"\sum_{k=5}^{1}k", "0"),
        (r"\prod_{k=5}^{1}k", "1"),
        (r"\sum_{i=1}^{3}\sum_{j=1}^{i}j", "10"),
    ],
)
def test_rational_values_are_exact(text: str, value: str) -> None:
    assert exactly(text) == Fraction(value)


def test_variables_have_the_values_of_a_point() -> None:
    assert exactly("x^2-y", x=3, y=Fraction(1, 2)) == Fraction(17, 2)
    assert exactly(r"\sum_{k=1}^{n}k", n=4) == 10
    assert exactly(r"\frac{1}{k}+\sum_{k=1}^{3}k", k=2) == Fraction(13, 2)


@pytest.mark.parametrize("text", [r"\sqrt2", r"\sqrt{-4}", r"\pi", "e", "2^{1/2}", r"\sin1", r"\ln1", "i"])
def test_what_is_not_known_to_be_rational_has_no_exact_value(text: str) -> None:
    assert exactly(text) is None


@pytest.mark.parametrize("text", [r"\frac10", "0^{-1}", "(-3)!", r"7\bmod0", r"\gcd(\frac12,3)", r"\sum_{k=1}^{1/2}k"])
def test_undefined(text: str) -> None:
    with pytest.raises(Undefined):
        exactly(text)


@pytest.mark.parametrize(
    "text",
    [
        "9^{9^9}",
        "2^{10^6}",
        "2^{-10^6}",
        "(10^5)!",
        r"\binom{10^6}{3}",
        r"\sum_{k=1}^{10^6}k",
        r"\prod_{k=1}^{2000}2^{k}",
    ],
)
def test_numbers_beyond_the_bound_are_refused(text: str) -> None:
    with pytest.raises(TooLarge):
        exactly(text)


@pytest.mark.parametrize("text", ["x", r"\infty", r"5\text{ cm}", "(1,2)", "1=2", "f(2)"])
def test_what_has_no_value(text: str) -> None:
    with pytest.raises(Unevaluable):
        exactly(text)


def test_the_whole_numbers_of_a_series() -> None:
    term = Symbol("k")
    assert list(series_range(Fraction(2), Fraction(4), term)) == [2, 3, 4]
    assert list(series_range(Fraction(2), Fraction(1), term)) == []
    for low, high in ((Fraction(1, 2), Fraction(3)), (None, Fraction(3)), (Fraction(0), None)):
        with pytest.raises(Undefined):
            series_range(low, high, term)
    with pytest.raises(TooLarge):
        series_range(Fraction(0), Fraction(MAX_TERMS + 1), term)
    with pytest.raises(TooLarge):
        series_range(Fraction(0), Fraction(MAX_COSTLY_TERMS + 1), Call("factorial", (term,)))
