import pytest

from acereason.verifiers.math.ambiguities import paired_readings, with_same_letters
from acereason.verifiers.math.approximation import Approximation
from acereason.verifiers.math.compare import read


def readings(gold: str, answer: str) -> set[tuple[float, float]]:
    """The pairs of values of which one has to be equal."""
    engine = Approximation(15)
    pairs = paired_readings(read(gold).node, read(answer).node)
    return {(round(float(engine.value(x, {})), 4), round(float(engine.value(y, {})), 4)) for x, y in pairs}


@pytest.mark.parametrize(
    ("gold", "answer", "pairs"),
    [
        ("28", "0.28", {(28, 0.28)}),
        (r"28\%", "28", {(0.28, 28), (28, 28)}),
        (r"28\%", r"28\%", {(0.28, 0.28), (28, 28)}),
        (r"-28\%", "0.28", {(-0.28, 0.28), (-28, 0.28)}),
        ("50", r"50\%", {(50, 0.5), (50, 50)}),
        ("0.5", r"50\%", {(0.5, 0.5)}),
        (r"2\cdot50\%", "1", {(1, 1)}),
    ],
)
def test_a_percent_sign_may_be_left_out_where_it_could_have_been(
    gold: str, answer: str, pairs: set[tuple[float, float]]
) -> None:
    assert readings(gold, answer) == pairs


@pytest.mark.parametrize(
    ("gold", "answer", "pairs"),
    [
        (r"90^\circ", "90", {(90, 90), (1.5708, 90)}),
        ("90", r"90^\circ", {(90, 90), (90, 1.5708)}),
        (r"90^\circ", r"\frac{\pi}{2}", {(90, 1.5708), (1.5708, 1.5708)}),
        (r"90^\circ", r"90^\circ", {(90, 90)}),
        (r"30^\circ+60^\circ", "90", {(90, 90), (1.5708, 90)}),
        (r"\sin90^\circ", "1", {(1, 1)}),
        ("90", r"\frac{\pi}{2}", {(90, 1.5708)}),
    ],
)
def test_degrees_are_a_unit_or_a_number_but_in_functions(
    gold: str, answer: str, pairs: set[tuple[float, float]]
) -> None:
    assert readings(gold, answer) == pairs


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
