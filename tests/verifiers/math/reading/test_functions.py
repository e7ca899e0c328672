import pytest
from tree_text import tree_of

from acereason.verifiers.math.reading.expressions import Unreadable


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (r"\sin x", "sin(x)"),
        ("sin x", "sin(x)"),
        (r"\sin 2x", "sin(mul(2, x))"),
        (r"\sin 2x\cos x", "mul(sin(mul(2, x)), cos(x))"),
        (r"2\sin x\cos x", "mul(2, sin(x), cos(x))"),
        (r"\sin x + 1", "add(sin(x), 1)"),
        (r"\sin(x)+1", "add(sin(group(x)), 1)"),
        (r"\sin(x+1)y", "mul(sin(add(x, 1)), y)"),
        (r"\sin{x}y", "mul(sin(x), y)"),
        (r"\sin -x", "sin(neg(x))"),
        (r"\sin x^2", "sin(pow(x, 2))"),
        (r"\sin(x)^2", "pow(sin(group(x)), 2)"),
        (r"\sin x/2", "div(sin(x), 2)"),
        (r"\sin\pi/6", "sin(div(pi, 6))"),
        (r"\sin\frac{\pi}{6}", "sin(div(pi, 6))"),
        (r"\sin 30^\circ", "sin(degrees(30))"),
        (r"\sin(30^\circ)", "sin(degrees(30))"),
        (r"\sin x\cdot y", "mul(sin(x), y)"),
        (r"\ln|x|", "ln(abs(x))"),
        (r"\ln 2\ln 3", "mul(ln(2), ln(3))"),
        (r"\exp(x)", "exp(group(x))"),
        (r"\sin\cos x", "sin(cos(x))"),
    ],
)
def test_the_argument_of_a_function_ends_at_the_next_sign_or_function(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (r"\sin^2 x", "pow(sin(x), 2)"),
        (r"\sin^{2}(x+1)", "pow(sin(add(x, 1)), 2)"),
        (r"\sin^{-1} x", "arcsin(x)"),
        (r"\tan^{-1}(1)", "arctan(group(1))"),
        (r"\cos^{-2} x", "pow(cos(x), -2)"),
        (r"\log^2 x", "pow(log(x), 2)"),
        (r"\ln^{-1} x", "pow(ln(x), -1)"),
    ],
)
def test_a_power_of_a_function_may_stand_before_its_argument(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (r"\log 5", "log(5)"),
        (r"\lg 5", "log(5)"),
        (r"\log_2 8", "log_base(8, 2)"),
        (r"\log_28", "log_base(8, 2)"),
        (r"\log_{10}5", "log_base(5, 10)"),
        (r"\log_10 5", "log_base(5, 10)"),
        (r"\log_{\frac12}x", "log_base(x, div(1, 2))"),
        (r"\log_2(x)", "log_base(group(x), 2)"),
        (r"\log_2^3 x", "pow(log_base(x, 2), 3)"),
    ],
)
def test_bases_of_logarithms(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (r"\operatorname{arctg} x", "arctan(x)"),
        (r"\tg x", "tan(x)"),
        (r"\arcsin x", "arcsin(x)"),
        ("asin(x)", "arcsin(group(x))"),
        (r"\cosec x", "csc(x)"),
        (r"\operatorname{arsinh} x", "arcsinh(x)"),
    ],
)
def test_a_function_of_several_names(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (r"\sqrt2", "root(2, 2)"),
        (r"\sqrt2x", "mul(root(2, 2), x)"),
        (r"\sqrt{2x}", "root(mul(2, x), 2)"),
        (r"x\sqrt y", "mul(x, root(y, 2))"),
        (r"\sqrt[3]{8}", "root(8, 3)"),
        (r"\sqrt[n+1]{x}", "root(x, add(n, 1))"),
        ("√(x+1)", "root(add(x, 1), 2)"),
        ("2sqrt(3)", "mul(2, root(group(3), 2))"),
        ("cbrt(8)", "root(8, 3)"),
    ],
)
def test_roots(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (r"\gcd(4,6)", "gcd(4, 6)"),
        ("lcm(4,6,10)", "lcm(4, 6, 10)"),
        (r"\max\{1,2\}", "max(1, 2)"),
        ("min(1,x)", "min(1, x)"),
        ("abs(x-1)", "abs(add(x, -1))"),
        (r"\lfloor 2.5\rfloor", "floor(5/2)"),
        ("⌈x⌉", "ceil(x)"),
        ("floor(x)", "floor(x)"),
    ],
)
def test_functions_of_a_list_and_of_brackets(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (r"\sum_{k=1}^{n} k", "sum(index k, 1, n, index k)"),
        (r"\sum_{k=1}^5 2k+1", "add(sum(index k, 1, 5, mul(2, index k)), 1)"),
        (r"\sum_{k=1}^5 (k+a)", "sum(index k, 1, 5, add(index k, a))"),
        (r"\prod_{i=1}^3 i", "product(index i, 1, 3, index i)"),
        (r"\sum_{i=1}^3\sum_{j=1}^i j", "sum(index i, 1, 3, sum(index j, 1, index i, index j))"),
        (r"\sum_{k=0}^n F_{n-k}", "sum(index k, 0, n, apply F_(add(n, neg(index k))))"),
        (r"\sum_{k=0}^n a_k", "sum(index k, 0, n, apply a_(index k))"),
    ],
)
def test_sums_and_products_over_whole_numbers(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        r"\sin",
        r"\sin(1,2)",
        r"\sin\{1\}",
        r"\log_",
        r"\sqrt",
        r"\sqrt[3",
        r"\max 3",
        r"\lfloor x\rceil",
        r"\sum_{k} k",
        r"\sum_{k=1} k",
        r"\sum_{k<5}^9 k",
        r"\sum_{3=k}^9 k",
    ],
)
def test_functions_without_what_they_need_are_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        tree_of(text)
