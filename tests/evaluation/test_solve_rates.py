"""Solve rates: a row a problem, and read from whatever file has them."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from acereason.errors import UserError
from acereason.evaluation.solve_rates import SolveRate, read_rates, write_rates


def test_the_table_has_a_row_a_problem(tmp_path: Path) -> None:
    table = tmp_path / "rates.parquet"
    rates = [SolveRate("p1", "math", 3, 4, 1, 0.25, 9.5, 0.5), SolveRate("p2", "code", None, None, None, 0.75)]
    write_rates(table, rates, {"p1"})
    assert pq.read_table(table).to_pylist() == [
        {
            "problem": "p1",
            "domain": "math",
            "level": 3,
            "attempts": 4,
            "solved": 1,
            "solve_rate": 0.25,
            "length_mean": 9.5,
            "truncated": 0.5,
            "kept": True,
        },
        {
            "problem": "p2",
            "domain": "code",
            "level": None,
            "attempts": None,
            "solved": None,
            "solve_rate": 0.75,
            "length_mean": None,
            "truncated": None,
            "kept": False,
        },
    ]
    assert read_rates(table, "rates") == {"p1": 0.25, "p2": 0.75}


def test_a_file_without_solve_rates_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^x\.rates=no\.parquet: no such file$"):
        read_rates(Path("no.parquet"), "x.rates")
    text = Path("text.parquet")
    text.write_text("problem,solve_rate\n")
    with pytest.raises(UserError, match=r"^x\.rates=text\.parquet: cannot be read as Parquet: .+$"):
        read_rates(text, "x.rates")
    other = Path("other.parquet")
    pq.write_table(pq.read_table(_table(tmp_path)).select(["problem", "level"]), other)
    with pytest.raises(UserError, match=r"needs the columns problem and solve_rate, has problem, level$"):
        read_rates(other, "x.rates")


def _table(root: Path) -> Path:
    write_rates(root / "rates.parquet", [SolveRate("p", "math", 1, 4, 1, 0.25)], set())
    return root / "rates.parquet"
