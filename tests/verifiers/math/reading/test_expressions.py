import pytest

from acereason.verifiers.math.compare import read
from acereason.verifiers.math.reading.expressions import (
    Symbol,
    children,
    has_call,
    is_complex,
    is_infinite,
    number,
    variables,
    walk,
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (r"2x+\frac{y_1}{x}", {"x", "y_1"}),
        (r"e^{i\pi}+\infty", set()),
        (r"\sum_{k=1}^n k", {"n"}),
        ("f(x)=a", {"x", "a"}),
        (r"\begin{pmatrix}a&1\\b&2\end{pmatrix}", {"a", "b"}),
        (r"(u,\{v\})", {"u", "v"}),
        (r"5\text{ cm}", set()),
    ],
)
def test_the_variables_of_an_expression(text: str, names: set[str]) -> None:
    assert variables(read(text).node) == names


def test_all_that_an_expression_is_made_of() -> None:
    node = read("x<2y").node
    assert children(node) == (Symbol("x"), read("2y").node)
    assert set(walk(node)) == {node, read("2y").node, Symbol("x"), Symbol("y"), number(2)}


def test_infinity_has_two_signs() -> None:
    assert all(is_infinite(read(text).node) for text in (r"\infty", r"-\infty", r"+\infty"))
    assert not is_infinite(read(r"2\infty").node)


def test_operations_that_occur() -> None:
    node = read(r"x+\frac{\lfloor y\rfloor}{2}").node
    assert has_call(node, "floor")
    assert has_call(node, "ceil", "div")
    assert not has_call(node, "ceil", "sum")
    assert is_complex(read("2+3i").node)
    assert not is_complex(read(r"\sum_{i=1}^3 i").node)
