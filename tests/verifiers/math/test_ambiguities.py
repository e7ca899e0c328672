import pytest

from acereason.verifiers.math.ambiguities import variants
from acereason.verifiers.math.approximation import Approximation
from acereason.verifiers.math.compare import read


def readings(gold: str, answer: str) -> set[tuple[float, float]]:
    """The pairs of values of which one has to be equal."""
    engine = Approximation(15)
    pairs = variants(read(gold).node, read(answer).node)
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
