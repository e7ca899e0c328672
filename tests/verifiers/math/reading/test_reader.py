import pytest
from tree_text import tree_of

from acereason.verifiers.math.reading.cursor import MAX_DEPTH
from acereason.verifiers.math.reading.expressions import Unreadable


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a+b-c", "add(a, b, neg(c))"),
        ("a-(b-c)", "add(a, neg(add(b, neg(c))))"),
        ("2xy", "mul(2, x, y)"),
        (r"2\cdot x y", "mul(2, x, y)"),
        ("-x^2", "neg(pow(x, 2))"),
        ("(-x)^2", "pow(neg(x), 2)"),
        ("--3", "3"),
        ("2--3", "add(2, 3)"),
        (r"2\cdot-3", "mul(2, -3)"),
        ("2*-x", "mul(2, neg(x))"),
        ("+5", "5"),
        ("1/2x", "mul(div(1, 2), x)"),
        ("1/(2x)", "div(1, mul(2, x))"),
        ("2/3/4", "div(div(2, 3), 4)"),
        ("ab/cd", "mul(div(mul(a, b), c), d)"),
        ("6/-2", "div(6, -2)"),
        (r"6\div2", "div(6, 2)"),
        ("(x+1)(x-1)", "mul(add(x, 1), add(x, -1))"),
        ("2(3)", "mul(2, group(3))"),
        ("x4^2", "mul(x, pow(4, 2))"),
    ],
)
def test_precedence(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("2^10", "pow(2, 10)"),
        ("2^{10}x", "mul(pow(2, 10), x)"),
        ("x^2y", "mul(pow(x, 2), y)"),
        ("2^-3", "pow(2, -3)"),
        ("2^3^2", "pow(2, pow(3, 2))"),
        ("{2^3}^2", "pow(pow(2, 3), 2)"),
        ("2**3", "pow(2, 3)"),
        ("x²", "pow(x, 2)"),
        (r"e^\pi", "pow(e, pi)"),
        (r"2^\frac12", "pow(2, div(1, 2))"),
        ("x_1^2", "pow(x_1, 2)"),
        ("5!", "factorial(5)"),
        ("5!!", "double_factorial(5)"),
        ("(3!)!", "factorial(factorial(3))"),
        ("-3!", "neg(factorial(3))"),
        ("2n!", "mul(2, factorial(n))"),
        (r"28\%", "percent(28)"),
        ("28 percent", "percent(28)"),
        (r"90^\circ", "degrees(90)"),
        (r"90^{\circ}", "degrees(90)"),
        ("90°", "degrees(90)"),
        (r"90\text{ degrees}", "degrees(90)"),
        (r"March 5^{\text{th}}", "mul('March', 5)"),
    ],
)
def test_what_stands_behind(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (r"\pm3", "pm(0, 3)"),
        (r"1\pm\sqrt2", "pm(1, root(2, 2))"),
        (r"1+x\pm2-y", "add(pm(add(1, x), 2), neg(y))"),
        (r"\pm1\mp2", "mp(pm(0, 1), 2)"),
    ],
)
def test_two_signs_at_once(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("x=5", "x = 5"),
        ("1<x<=2", "1 < x <= 2"),
        (r"x\ne2", "x != 2"),
        (r"x\in[0,1)", "x in [0, 1)"),
        (r"x\text{ in }[0,1)", "x in [0, 1)"),
        (r"x\approx0.33", "x approx 33/100"),
        ("a=b=3", "a = b = 3"),
        ("1:2:3", "ratio(1, 2, 3)"),
        (r"1\text{ to }2", "ratio(1, 2)"),
        ("a:b=1:2", "ratio(a, b) = ratio(1, 2)"),
        (r"x\equiv3\pmod5", "x equiv residue(3, 5)"),
        (r"7\bmod5", "mod(7, 5)"),
        (r"[0,1]\cup(2,3]", "union([0, 1], (2, 3])"),
        (r"\mathbb{R}\setminus\{0\}", "minus(set R, {0})"),
        (r"A\cap B", "intersection(A, B)"),
    ],
)
def test_relations_ratios_and_sets(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("1,2", "Several,(1, 2)"),
        ("1;2", "Several;(1, 2)"),
        ("1 or 2", "Severalor(1, 2)"),
        ("1 and 2", "Severaland(1, 2)"),
        ("1,2, and 3", "Several,(1, 2, 3)"),
        ("x=1,y=2", "Several,(x = 1, y = 2)"),
        ("1,2;3,4", "Several;(Several,(1, 2), Several,(3, 4))"),
        ("1,2;3", "Several;(Several,(1, 2), 3)"),
        ("5;", "5"),
        (r"1,2,\ldots", "Several,(1, 2, …)"),
    ],
)
def test_answers_side_by_side(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize("text", ["", "5+", "x=", "=", "x4", "3x4", "a & b", "x ? y", "1|2", "<1,2>", "a->b"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        tree_of(text)


@pytest.mark.parametrize(("opening", "closing"), [("(", ")"), ("{", "}"), ("-", ""), ("|", "|"), ("x^{", "}")])
def test_what_is_nested_too_deeply_is_refused(opening: str, closing: str) -> None:
    tree_of(opening * 5 + "x" + closing * 5)
    with pytest.raises(Unreadable):
        tree_of(opening * MAX_DEPTH + "x" + closing * MAX_DEPTH)
