import pytest

from acereason.verifiers.math.compare import read
from acereason.verifiers.math.letters import with_same_letters


@pytest.mark.parametrize(
    ("gold", "answer", "read_as"),
    [
        ("2+3i", "2+3j", "2+3i"),
        ("2+3i", "2+3I", "2+3i"),
        ("(i,1)", "(j,1)", "(i,1)"),
        ("i,-i", "j,-j", "i,-i"),
        ("2+3i", "2i+3j", "2i+3j"),
        ("i+j", "j+1", "j+1"),
        ("3x", "3j", "3j"),
    ],
)
def test_another_letter_for_the_imaginary_unit_of_the_gold(gold: str, answer: str, read_as: str) -> None:
    assert with_same_letters(read(gold).node, read(answer).node) == (read(gold).node, read(read_as).node)


@pytest.mark.parametrize(
    ("gold", "answer", "factor"),
    [("h(2R-h)", "2Rh-h^2", True), ("g(a+b)", "ga+gb", True), ("f(x)", "2x", False), ("f(x)=2x", "f(x)", False)],
)
def test_a_letter_that_stands_alone_is_no_function(gold: str, answer: str, factor: bool) -> None:
    read_gold, _ = with_same_letters(read(gold).node, read(answer).node)
    assert (read_gold != read(gold).node) == factor
