import pytest
from tree_text import tree_of

from acereason.verifiers.math.reading.expressions import Unreadable


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("(1,2)", "(1, 2)"),
        ("(1;2)", "(1, 2)"),
        ("[1,2)", "[1, 2)"),
        ("(1,2]", "(1, 2]"),
        ("(1,2,3)", "(1, 2, 3)"),
        ("((1,2),3)", "((1, 2), 3)"),
        (r"\langle1,2\rangle", "<1, 2>"),
        (r"(-\infty,\frac12]", "(neg(infinity), div(1, 2)]"),
        (r"\{1,2\}", "{1, 2}"),
        (r"\{5\}", "{5}"),
        (r"\{\{1,2\},\{3\}\}", "{{1, 2}, {3}}"),
        (r"\{\}", "{}"),
        (r"\emptyset", "{}"),
        (r"\varnothing", "{}"),
        ("{1,2}", "{1, 2}"),
    ],
)
def test_entries_in_brackets(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("(x)", "group(x)"),
        ("[5]", "group(5)"),
        ("(x+1)", "add(x, 1)"),
        ("[x+1](y+1)", "mul(add(x, 1), add(y, 1))"),
        ("{x+1}", "add(x, 1)"),
        ("{{{x}}}", "x"),
        (r"{1\over 2}", "div(1, 2)"),
        (r"{5\choose 2}", "binom(5, 2)"),
    ],
)
def test_one_expression_in_brackets_is_only_grouped(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("|x|", "abs(x)"),
        (r"\left|x-1\right|", "abs(add(x, -1))"),
        (r"\lvert x\rvert", "abs(x)"),
        ("|-x|", "abs(neg(x))"),
        ("|x|^2", "pow(abs(x), 2)"),
        ("2|x|", "mul(2, abs(x))"),
        ("|x||y|", "mul(abs(x), abs(y))"),
        ("|x|y|z|", "mul(abs(x), y, abs(z))"),
        ("|x-1|+|y|", "add(abs(add(x, -1)), abs(y))"),
        ("||x|-1|", "abs(add(abs(x), -1))"),
        ("|a|b||", "abs(mul(a, abs(b)))"),
        (r"|\frac{|x|}{2}|", "abs(div(abs(x), 2))"),
        (r"\frac{|x|}{|y|}", "div(abs(x), abs(y))"),
        ("(|x|,|y|)", "(abs(x), abs(y))"),
        (r"\{|x|,2\}", "{abs(x), 2}"),
        ("|x|<3", "abs(x) < 3"),
    ],
)
def test_bars_open_and_close_absolute_values(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize("text", [r"\{x\mid x>1\}", r"\{x|x>1\}", r"\{x:x>1\}", r"\{ x \colon x > 1 \}"])
def test_a_set_may_have_a_condition(text: str) -> None:
    assert tree_of(text) == "such_that(x, x > 1)"


def test_a_condition_may_hold_bars_and_ratios() -> None:
    assert tree_of(r"\{x : |x|<1\}") == "such_that(x, abs(x) < 1)"
    assert tree_of(r"\{x\in\mathbb{R} \mid x\ne0\}") == "such_that(x in set R, x != 0)"
    assert tree_of(r"\{(1:2), 3\}") == "{ratio(1, 2), 3}"


@pytest.mark.parametrize("name", ["pmatrix", "bmatrix", "Bmatrix", "matrix", "smallmatrix"])
def test_a_matrix_in_any_brackets(name: str) -> None:
    assert tree_of(rf"\begin{{{name}}}1 & x+1 \\ -3 & \frac12\end{{{name}}}") == "[1, add(x, 1); -3, div(1, 2)]"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (r"\begin{pmatrix}1\\2\\\end{pmatrix}", "[1; 2]"),
        (r"\left[\begin{array}{cc}1&2\\3&4\end{array}\right]", "[1, 2; 3, 4]"),
        (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", "det([1, 2; 3, 4])"),
        (r"-2\begin{pmatrix}1&2\end{pmatrix}", "neg(mul(2, [1, 2]))"),
        (r"\begin{cases}x=1\\y=2\end{cases}", "Several,(x = 1, y = 2)"),
        (r"\begin{cases}x=1,\\y=2\end{cases}", "Several,(x = 1, y = 2)"),
        (r"\begin{aligned}x=1\end{aligned}", "Several,(x = 1)"),
    ],
)
def test_environments(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        "(5",
        "5)",
        "(1,2}",
        "]1,2[",
        r"\{1,2)",
        r"\{1",
        "{1",
        "|x",
        "[5)",
        "()",
        r"\langle 5\rangle",
        r"\begin{pmatrix}1",
        r"\begin{pmatrix}1&2\end{bmatrix}",
        r"\begin{pmatrix}1&2\\3\end{pmatrix}",
        r"\begin{pmatrix}\end{pmatrix}",
        r"\begin{cases}x & x>0 \\ -x & x<0\end{cases}",
        r"\begin{itemize}1\end{itemize}",
    ],
)
def test_brackets_that_do_not_match_are_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        tree_of(text)
