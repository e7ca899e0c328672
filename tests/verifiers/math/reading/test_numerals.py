from fractions import Fraction

import pytest
from tree_text import tree_of

from acereason.verifiers.math.reading.expressions import Number, Unreadable, number
from acereason.verifiers.math.reading.numerals import MAX_DIGITS, decimal, negated, product_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", "42"),
        ("042", "42"),
        ("1.5", "3/2"),
        (".5", "1/2"),
        ("5.", "5"),
        ("1,234", "1234"),
        ("1 234", "1234"),
        ("1{,}234.5", "2469/2"),
        ("1e3", "1000"),
        ("1.2e-3", "3/2500"),
        (r"1.2 \times 10^{-3}", "3/2500"),
        (r"2.5 \cdot 10^3", "2500"),
        ("-7", "-7"),
    ],
)
def test_a_number_is_exact(text: str, value: str) -> None:
    assert tree_of(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"2\frac12", "5/2"),
        (r"2\frac{1}{2}", "5/2"),
        (r"2 \tfrac{1}{2}", "5/2"),
        ("2½", "5/2"),
        ("2 1/2", "5/2"),
        (r"-2\frac12", "-5/2"),
        (r"7\frac23y", "mul(23/3, y)"),
    ],
)
def test_a_proper_fraction_behind_a_whole_number_is_added(text: str, value: str) -> None:
    assert tree_of(text) == value


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (r"2\frac{3}{2}", "mul(2, div(3, 2))"),
        (r"2\frac{x}{2}", "mul(2, div(x, 2))"),
        (r"2.5\frac{1}{2}", "mul(5/2, div(1, 2))"),
        (r"2\cdot\frac12", "mul(2, div(1, 2))"),
        (r"x\frac12", "mul(x, div(1, 2))"),
        (r"2\frac{1}{2}^2", "mul(2, pow(div(1, 2), 2))"),
        ("21/2", "div(21, 2)"),
    ],
)
def test_any_other_fraction_behind_a_factor_is_multiplied(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"0.\overline{3}", "1/3"),
        (r"0.1\overline{6}", "1/6"),
        (r"0.\overline{09}", "1/11"),
        (r"1.2\overline{34}", "611/495"),
        (r"0.\dot{3}", "1/3"),
        (r"0.\bar{9}", "1"),
        ("0.(3)", "1/3"),
        (r"2\cdot0.\overline{3}", "mul(2, 1/3)"),
    ],
)
def test_the_last_digits_of_a_decimal_may_repeat(text: str, value: str) -> None:
    assert tree_of(text) == value


@pytest.mark.parametrize("text", ["1 2", "1 23", "2 3/2", "1.5.2", r"0.333\ldots", "0.333..."])
def test_numbers_side_by_side_are_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        tree_of(text)


@pytest.mark.parametrize(
    ("text", "places"), [("5", 0), ("5.", 0), ("5.0", 1), ("0.250", 3), ("1.25e1", 1), ("1.25e-1", 3), ("5e3", 0)]
)
def test_a_decimal_knows_how_many_places_it_has(text: str, places: int) -> None:
    assert decimal(text).places == places


def test_longer_numbers_are_not_computed_with() -> None:
    assert decimal("7" * MAX_DIGITS).value == int("7" * MAX_DIGITS)
    for text in ("7" * (MAX_DIGITS + 1), "1e99999"):
        with pytest.raises(Unreadable, match="too long"):
            decimal(text)


def test_the_other_sign_of_a_number_is_a_number() -> None:
    assert negated(Number(Fraction(1, 4), places=2)) == Number(Fraction(-1, 4), places=2)


def test_one_factor_is_its_own_product() -> None:
    assert product_of([number(5)]) == number(5)
