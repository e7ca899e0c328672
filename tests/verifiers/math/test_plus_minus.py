from fractions import Fraction

import pytest

from acereason.verifiers.math.compare import read
from acereason.verifiers.math.exact import exact
from acereason.verifiers.math.plus_minus import MAX_SIGNS, alternatives
from acereason.verifiers.math.reading.expressions import children


def values(text: str) -> list[Fraction | None]:
    return [exact(node, {}) for node in alternatives(read(text).node)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", [5]),
        (r"\pm3", [3, -3]),
        (r"\mp3", [-3, 3]),
        (r"1\pm2", [3, -1]),
        (r"2(1\pm3)+1", [9, -3]),
        (r"\frac{1\pm3}{2}", [2, -1]),
        (r"\pm1\pm2", [3, 1, -1, -3]),
        (r"\pm1\mp2", [-1, 1]),
        (r"(1\pm2)(3\mp1)", [6, -4]),
    ],
)
def test_every_value_that_the_signs_can_give(text: str, expected: list[int]) -> None:
    assert sorted(values(text)) == sorted(expected)


def test_signs_in_brackets_vary_with_the_others() -> None:
    points = alternatives(read(r"(\pm1,\mp2)").node)
    assert [[exact(part, {}) for part in children(point)] for point in points] == [[1, -2], [-1, 2]]


def test_an_expression_of_more_signs_is_its_only_value() -> None:
    assert len(alternatives(read(r"\pm1" * MAX_SIGNS).node)) == 2**MAX_SIGNS
    many = read(r"\pm1" * (MAX_SIGNS + 1)).node
    assert alternatives(many) == [many]
