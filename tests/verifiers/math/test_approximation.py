from fractions import Fraction

import pytest

from acereason.verifiers.math.approximation import Approximation
from acereason.verifiers.math.compare import read
from acereason.verifiers.math.exact import TooLarge, Undefined


def about(text: str, complex_numbers: bool = False, logarithm: str = "10", **point: int | Fraction) -> complex:
    engine = Approximation(30, logarithm, complex_numbers)
    value = engine.value(read(text).node, {name: Fraction(value) for name, value in point.items()})
    return complex(value) if complex_numbers else float(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\sqrt2", 1.4142135623730951),
        (r"2\pi", 6.283185307179586),
        (r"\sin30^\circ", 0.5),
        (r"\sec60^\circ", 2),
        (r"\arctan1", 0.7853981633974483),
        (r"\log100", 2),
        (r"\ln e^3", 3),
        (r"\log_28", 3),
        (r"\exp0", 1),
        (r"28\%", 0.28),
        (r"\frac12!", 0.886226925452758),
        (r"\sqrt[3]{-8}", -2),
        ("(-8)^{0.2}", -1.515716566510398),
        ("(-2)^3", -8),
        (r"\lfloor\log_2 8\rfloor", 3),
        (r"\lfloor\pi\rfloor", 3),
        (r"\sum_{k=1}^{3}\sqrt k", 4.146264369941973),
        (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", -2),
    ],
)
def test_irrational_values(text: str, value: float) -> None:
    assert about(text) == pytest.approx(value, abs=1e-14)


@pytest.mark.parametrize(
    "text", [r"\sqrt{-1}", r"\ln(-1)", r"\log_10", r"\log_1 5", r"\arcsin2", "(-1)^{1/2}", r"\frac1{\sin0}", "i"]
)
def test_off_the_real_line_there_is_no_value(text: str) -> None:
    with pytest.raises(Undefined):
        about(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\sqrt{-4}", 2j),
        ("i^2", -1),
        (r"e^{i\pi}", -1),
        ("(1+i)(1-i)", 2),
        ("|3+4i|", 5),
        (r"\ln(-1)", 3.141592653589793j),
        ("(-8)^{1/3}", 1 + 1.7320508075688772j),
    ],
)
def test_complex_values(text: str, value: complex) -> None:
    assert about(text, complex_numbers=True) == pytest.approx(value, abs=1e-14)


def test_a_logarithm_without_a_base_is_decimal_or_natural() -> None:
    assert about(r"\log10") == 1
    assert about(r"\log10", logarithm="e") == pytest.approx(2.302585092994046)


def test_more_digits_tell_more() -> None:
    small = read(r"\sqrt{10^{40}+1}-10^{20}").node
    assert Approximation(15).value(small, {}) == 0
    assert float(Approximation(60).value(small, {})) == pytest.approx(5e-21)


def test_the_widest_number_on_the_way_is_remembered() -> None:
    engine = Approximation(30)
    engine.value(read(r"\frac{2^{200}\pi}{2^{200}}").node, {})
    assert 200 <= engine.widest <= 203


@pytest.mark.parametrize("text", [r"\pi^{10^9}", r"e^{e^{100}}", r"\sin(10^{10000})", r"(\pi\cdot10^5)!"])
def test_values_beyond_the_bound_are_refused(text: str) -> None:
    with pytest.raises(TooLarge):
        about(text)


def test_a_function_that_is_only_named_depends_on_its_name_and_arguments() -> None:
    assert about("f(2)") == about("f(1+1)")
    assert len({about(text) for text in ("f(2)", "f(3)", "g(2)", "f(2,3)", "f(3,2)")}) == 5
