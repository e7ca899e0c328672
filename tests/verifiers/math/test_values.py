import pytest

from acereason.verifiers.math.compare import read
from acereason.verifiers.math.exact import TooLarge
from acereason.verifiers.math.values import points, proportional, same_shape, same_value, whole_points


def same(left: str, right: str) -> bool | None:
    forwards, backwards = (
        same_value(read(one).node, read(other).node) for one, other in ((left, right), (right, left))
    )
    assert forwards is backwards
    return forwards


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\frac26", "1/3"),
        (r"\sqrt{12}", r"2\sqrt3"),
        (r"\frac1{\sqrt2-1}", r"1+\sqrt2"),
        (r"\sqrt{2+\sqrt3}", r"\frac{\sqrt6+\sqrt2}{2}"),
        (r"\sqrt[3]{2+\sqrt5}+\sqrt[3]{2-\sqrt5}", "1"),
        (r"\log_32", r"\frac{\ln2}{\ln3}"),
        (r"\log100", "2"),
        (r"\log e", "1"),
        (r"\ln8", r"3\ln2"),
        (r"\arctan1", r"\frac\pi4"),
        (r"\sin75^\circ", r"\frac{\sqrt6+\sqrt2}{4}"),
        (r"e^{i\pi}", "-1"),
        (r"\sqrt{-4}", "2i"),
        ("(1+i)^2", "2i"),
        (r"\frac{1}{1+i}", r"\frac{1-i}{2}"),
        (r"|3+4i|", "5"),
        (r"(1+\sqrt2)^{50}(1-\sqrt2)^{50}", "1"),
        (r"\sqrt{10^{200}+2\cdot10^{100}+1}", r"10^{100}+1"),
        (r"\frac{100!}{98!}", "9900"),
        (r"\sum_{k=0}^{9}\sqrt2^{2k}", "1023"),
    ],
)
def test_equal_constants(left: str, right: str) -> None:
    assert same(left, right) is True


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1/3", "0.333333333"),
        (r"\pi", r"\frac{355}{113}"),
        (r"\sqrt2+\sqrt3", r"\sqrt{10}"),
        (r"\sqrt{10^{20}+1}", "10^{10}"),
        (r"\sqrt{10^{200}+1}", "10^{100}"),
        (r"\pi+10^{-100}", r"\pi"),
        (r"e^{\pi\sqrt{163}}", "262537412640768744"),
        (r"\ln2", r"\log2+1"),
        ("2+3i", "3+2i"),
        (r"\sin30", "0.5"),
        ("5", "5.0000000001"),
    ],
)
def test_different_constants_however_close(left: str, right: str) -> None:
    assert same(left, right) is False


@pytest.mark.parametrize(
    ("rounded", "value", "equal"),
    [
        ("0.3333333333", "1/3", True),
        ("0.333333333", "1/3", False),
        ("0.6666666667", "2/3", True),
        ("0.6666666666", "2/3", True),
        ("0.6666666668", "2/3", False),
        ("1.4142135624", r"\sqrt2", True),
        ("1.4142135626", r"\sqrt2", False),
        ("3.14159265358979323846", r"\pi", True),
        ("3.14159265358979323946", r"\pi", False),
        ("0.2500000000", "1/4", True),
        ("0.2500000001", "1/4", False),
        (r"1.4142135624\cdot10^{0}", r"\sqrt2", True),
    ],
)
def test_a_decimal_of_ten_places_is_the_number_it_is_the_rounding_of(rounded: str, value: str, equal: bool) -> None:
    assert same(rounded, value) is equal


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("(x+1)^2", "x^2+2x+1"),
        (r"\frac{x^2-1}{x-1}", "x+1"),
        (r"\frac{1}{x-1}-\frac{1}{x+1}", r"\frac{2}{x^2-1}"),
        ("x-x", "0"),
        ("x+y-y", "x"),
        (r"\sin2x", r"2\sin x\cos x"),
        (r"\arcsin x+\arccos x", r"\frac\pi2"),
        (r"\sqrt{x^2}", "|x|"),
        (r"\sqrt x\sqrt x", "x"),
        (r"\ln(xy)", r"\ln x+\ln y"),
        (r"\ln x^2", r"2\ln x"),
        ("x^{1/3}", r"\sqrt[3]{x}"),
        ("2^{2n}", "4^n"),
        ("e^{ix}", r"\cos x+i\sin x"),
        (r"\sqrt{-x^2-1}", r"i\sqrt{x^2+1}"),
        (r"\binom n2", r"\frac{n(n-1)}2"),
        (r"\frac{n!}{(n-2)!}", "n(n-1)"),
        (r"\max(a,b)", r"\frac{a+b+|a-b|}2"),
        (r"\sum_{k=1}^nk", r"\frac{n(n+1)}2"),
        (r"\sum_{k=1}^nk", r"\sum_{j=1}^nj"),
        (r"\sum_{k=0}^nF_{n-k}", r"\sum_{k=0}^nF_k"),
        (r"\prod_{k=1}^nk", "n!"),
        ("f(x+1)+1", "1+f(1+x)"),
        (r"\lfloor x+1\rfloor", r"\lfloor x\rfloor+1"),
        (r"\begin{vmatrix}a&b\\c&d\end{vmatrix}", "ad-bc"),
        ("abc", "cab"),
    ],
)
def test_equal_functions(left: str, right: str) -> None:
    assert same(left, right) is True


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("x", "y"),
        ("x", "X"),
        ("x_1", "x_2"),
        ("x^2", "x"),
        ("2^n", "2n"),
        (r"\sqrt{x^2}", "x"),
        ("|x|", "x"),
        (r"\arctan x+\arctan\frac1x", r"\frac\pi2"),
        (r"\sqrt{-x^2}", "ix"),
        (r"\lfloor x\rfloor", "x"),
        (r"\lceil x\rceil", r"\lfloor x\rfloor+1"),
        (r"x+10^{-100}", "x"),
        (r"10^{-40}x", "0"),
        ("f(x)", "g(x)"),
        ("f(2x)", "2f(x)"),
        (r"\sum_{k=1}^nk", r"\sum_{k=1}^{n+1}k"),
        ("a+bi", "a-bi"),
    ],
)
def test_different_functions(left: str, right: str) -> None:
    assert same(left, right) is False


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\frac10", "1"),
        (r"\arcsin2", "1"),
        (r"\infty", "1"),
        (r"\frac{x}{0}", "x"),
        ("(1,2)", "3"),
        (r"\lim", "1"),
    ],
)
def test_what_has_no_value_cannot_be_told(left: str, right: str) -> None:
    assert same(left, right) is None


def test_what_is_too_large_to_compute_is_equal_to_the_same_operation_on_the_same_numbers() -> None:
    assert same("9^{9^9}", r"9^{9^{\sqrt{81}}}") is True
    assert same("(10^9)!", "(1000000000)!") is True
    with pytest.raises(TooLarge):
        same("9^{9^9}", "9^{9^8}")
    with pytest.raises(TooLarge):
        same("9^{9^9}", "5")


def test_the_same_shape() -> None:
    assert same_shape(read(r"\frac{6}{4}+x").node, read(r"1.5+x").node)
    assert not same_shape(read("x+1").node, read("1+x").node)
    assert not same_shape(read("x").node, read("x").node)


@pytest.mark.parametrize(
    ("left", "right", "verdict"),
    [
        ("x+2y-4", "3x+6y-12", True),
        ("x+2y-4", "4-x-2y", True),
        ("x+2y-4", "x-2y-4", False),
        ("x", "x^2", False),
        ("x", "y", False),
        ("x", "0x", False),
        ("x-x", "0x", None),
        ("1", "2", None),
    ],
)
def test_a_constant_multiple(left: str, right: str, verdict: bool | None) -> None:
    assert proportional(read(left).node, read(right).node) is verdict


def test_points_are_the_same_every_time_and_lie_on_both_sides_of_zero() -> None:
    assert points(["x", "y"]) == points(["x", "y"])
    values = [point["x"] for point in points(["x"])]
    assert min(values) < -0.3 < 0 < max(values)
    assert any(0 < value < 1 for value in values)
    assert all(value.denominator == 1 for point in whole_points(["n", "m"]) for value in point.values())
