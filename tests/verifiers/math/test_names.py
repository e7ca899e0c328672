import pytest

from acereason.verifiers.math.compare import read
from acereason.verifiers.math.names import is_of_letters, is_variable, name_of


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "x_1",
        "x'",
        r"\theta",
        "AB",
        "ABC",
        "|AB|",
        r"\overline{AB}",
        r"\angle ABC",
        "f(x)",
        "f(2)",
        "f'(x)",
        "P(A)",
        "V_1:V_2",
        r"\frac{a}{b}",
        "(x,y)",
        r"\sin x",
        r"\text{area}",
        r"\text{area of }ABC",
        r"[ABC]",
    ],
)
def test_what_is_a_name(text: str) -> None:
    assert name_of(read(text).node)


@pytest.mark.parametrize(
    "text",
    ["5", r"\pi", "e", r"\infty", r"\ldots", "x+1", "2x", "xy", "x^2", "f(x+1)", "(x,1)", "|x-1|", r"\frac{a}{2}"],
)
def test_what_is_more_than_a_name(text: str) -> None:
    assert name_of(read(text).node) is None


@pytest.mark.parametrize(
    ("one", "other"), [("x_1", "x_{1}"), (r"\text{Area}", r"\text{area}"), ("(x)", "x"), (r"\varphi", r"\phi")]
)
def test_one_name_in_two_spellings(one: str, other: str) -> None:
    names = [name_of(read(text).node) for text in (one, other)]
    assert names[0] is not None
    assert names[0].removeprefix("group").strip("()") == names[1]


@pytest.mark.parametrize(
    ("one", "other"), [("x", "X"), ("x_1", "x_2"), ("AB", "BA"), ("f(x)", "g(x)"), ("f(2)", "f(3)")]
)
def test_two_names(one: str, other: str) -> None:
    assert name_of(read(one).node) != name_of(read(other).node)


def test_a_variable_is_one_letter() -> None:
    assert all(is_variable(name) for name in ("x", "x_1", "x'", "theta", "x_max"))
    assert not any(is_variable(name) for name in ("area", "A B", "apply f(x)"))


@pytest.mark.parametrize(
    ("text", "verdict"), [("m+n", True), ("a+b+c", True), ("xy", True), ("m+m", False), ("3x+z", False), ("m-n", False)]
)
def test_a_sum_or_product_of_letters(text: str, verdict: bool) -> None:
    assert is_of_letters(read(text).node) == verdict
