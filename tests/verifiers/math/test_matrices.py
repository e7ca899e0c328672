from fractions import Fraction

import pytest

from acereason.verifiers.math.compare import read
from acereason.verifiers.math.exact import exact
from acereason.verifiers.math.matrices import as_matrix


def numbers(text: str) -> list[list[Fraction | None]] | None:
    matrix = as_matrix(read(text).node)
    return None if matrix is None else [[exact(entry, {}) for entry in row] for row in matrix.rows]


A, ROW, COLUMN = (rf"\begin{{pmatrix}}{inside}\end{{pmatrix}}" for inside in (r"1&2\\3&4", "1&2", r"1\\2"))


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (A, [[1, 2], [3, 4]]),
        (ROW, [[1, 2]]),
        (COLUMN, [[1], [2]]),
        (f"-{A}", [[-1, -2], [-3, -4]]),
        (f"2{A}", [[2, 4], [6, 8]]),
        (rf"-\frac12{A}", [[Fraction(-1, 2), -1], [Fraction(-3, 2), -2]]),
        (f"{A}/2", [[Fraction(1, 2), 1], [Fraction(3, 2), 2]]),
        (rf"\frac{{{A}}}{{2}}", [[Fraction(1, 2), 1], [Fraction(3, 2), 2]]),
        (f"{A}+{A}", [[2, 4], [6, 8]]),
        (f"{A}-2{A}", [[-1, -2], [-3, -4]]),
        (f"{A}^T", [[1, 3], [2, 4]]),
        (f"{ROW}^{{T}}", [[1], [2]]),
        (f"({A})", [[1, 2], [3, 4]]),
        (f"{A}{A}", [[7, 10], [15, 22]]),
    ],
)
def test_multiples_sums_and_transposes_are_carried_out(text: str, rows: list[list[Fraction]]) -> None:
    assert numbers(text) == rows


@pytest.mark.parametrize(
    "text", ["5", "(1,2)", f"{A}+1", f"{A}+{ROW}", f"{COLUMN}{A}", f"{A}^2", f"1/{A}", r"\emptyset"]
)
def test_what_is_no_matrix(text: str) -> None:
    assert numbers(text) is None
