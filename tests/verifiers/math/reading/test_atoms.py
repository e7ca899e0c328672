import pytest
from tree_text import tree_of

from acereason.verifiers.math.reading.expressions import Unreadable


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("x", "x"),
        ("x_1", "x_1"),
        ("x_{1}", "x_1"),
        ("x_{12}", "x_12"),
        ("x_{n+1}", "x_n+1"),
        ("x'", "x'"),
        ("x''", "x''"),
        (r"x^\prime", "x'"),
        (r"x^{\prime}", "x'"),
        (r"\alpha_1", "alpha_1"),
        (r"\varphi", "phi"),
        (r"\phi", "phi"),
        (r"\pi", "pi"),
        ("π", "pi"),
        ("pi", "pi"),
        (r"\infty", "infinity"),
        (r"+\infty", "infinity"),
        (r"\mathbb{R}", "set R"),
        (r"\mathbb R^+", "set R+"),
        (r"\mathbb{Z}", "set Z"),
        (r"\overline{AB}", "overline AB"),
        (r"\vec{v}", "vec v"),
        (r"\vec v_1", "vec v_1"),
        (r"\angle ABC", "angle ABC"),
        (r"\angle{A}", "angle A"),
        (r"\triangle ABC", "triangle ABC"),
        (r"\ldots", "…"),
    ],
)
def test_symbols(text: str, name: str) -> None:
    assert tree_of(text) == name


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("f(x)", "apply f(x)"),
        ("g(x,y)", "apply g(x, y)"),
        ("f_1(x)", "apply f_1(x)"),
        ("f^{-1}(x)", "apply f^-1(x)"),
        ("F(2x+1)", "apply F(add(mul(2, x), 1))"),
        ("f(g(x))", "apply f(apply g(x))"),
        ("f(x)(x+1)", "mul(apply f(x), add(x, 1))"),
        ("f", "f"),
        ("f+1", "add(f, 1)"),
        ("a(b+1)", "mul(a, add(b, 1))"),
        ("x(x+1)", "mul(x, add(x, 1))"),
        ("P(x)", "mul(P, group(x))"),
    ],
)
def test_f_g_and_h_are_applied_and_other_letters_multiplied(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (r"\frac{1}{2}", "div(1, 2)"),
        (r"\frac12", "div(1, 2)"),
        (r"\frac12y", "mul(div(1, 2), y)"),
        (r"\frac1{23}", "div(1, 23)"),
        (r"\frac{12}3", "div(12, 3)"),
        (r"\frac ab", "div(a, b)"),
        (r"\frac\pi2", "div(pi, 2)"),
        (r"\frac{x+1}{\sqrt2}", "div(add(x, 1), root(2, 2))"),
        (r"\frac{\frac12}{3}", "div(div(1, 2), 3)"),
        (r"\binom52", "binom(5, 2)"),
        (r"\binom{n}{k+1}", "binom(n, add(k, 1))"),
        (r"\frac{d}{x}", "div(d, x)"),
    ],
)
def test_what_is_above_and_what_is_below(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (r"5\text{ cm}", "mul(5, 'cm')"),
        (r"12\text{ cm}^2", "mul(12, pow('cm', 2))"),
        (r"5\text{ square feet}", "mul(5, 'square feet')"),
        ("8 apples", "mul(8, 'apples')"),
        (r"60\text{ km/h}", "div(mul(60, 'km'), 'h')"),
        (r"\$5", "mul(5, 'dollars')"),
        ("€5", "mul(5, 'euros')"),
        ("£5", "mul(5, 'GBP')"),
        (r"\$5x", "mul(mul(5, 'dollars'), x)"),
        ("20°C", "mul(20, 'degrees C')"),
        (r"\text{no solution}", "'no solution'"),
        (r"\text{area}=4", "'area' = 4"),
        (r"5\text{ million}", "mul(5, 1000000)"),
        ("2 dozen eggs", "mul(2, 12, 'eggs')"),
        (r"1\text{ and }2", "Severaland(1, 2)"),
        (r"\text{yes and no}", "Severaland('yes', 'no')"),
    ],
)
def test_words(text: str, tree: str) -> None:
    assert tree_of(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        r"\star",
        r"\frac{1}",
        r"\frac",
        r"\frac{dy}{dx}",
        r"\frac{d^2y}{dx^2}",
        r"\int_0^1 x dx",
        r"\lim_{x\to0}x",
        r"\angle",
        r"x_{1",
        "f(x",
        "+",
        "*2",
    ],
)
def test_what_the_reader_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        tree_of(text)
