"""Solve rates on disk: a Parquet file a chunk while they are being measured, one for all when they are done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from acereason.config.fields import shown
from acereason.errors import UserError
from acereason.files import whole_file

FOLDER = "solve_rates"
_KEY = b"measurement"
_NUMBERS = {"level": pa.int64(), "attempts": pa.int64(), "solved": pa.int64(), "solve_rate": pa.float64()}
_MEANS = {"length_mean": pa.float64(), "truncated": pa.float64()}
_SCHEMA = pa.schema({"problem": pa.string(), "domain": pa.string(), **_NUMBERS, **_MEANS})


@dataclass(frozen=True)
class SolveRate:
    """How often a policy solves one problem; of a rate from elsewhere, no more than the rate may be known.

    Attributes:
        problem: its id.
        domain, level: its own.
        attempts: responses that were judged.
        solved: how many of them were right.
        solve_rate: their share.
        length_mean: mean length of the responses, tokens.
        truncated: share of them that hit the length limit.
    """

    problem: str
    domain: str
    level: int | None
    attempts: int | None
    solved: int | None
    solve_rate: float
    length_mean: float | None = None
    truncated: float | None = None


class SolveRateFiles:
    """The files of a run's `solve_rates` folder; rank 0 alone writes and reads them.

    `step-000123.parquet` has the solve rates of the policy after 123 rollout steps, and whether each problem was kept.
    `step-000123-part-0000.parquet` and so on are the chunks of a measurement that is not over. Files are written beside
    and renamed; one that cannot be read is none.
    """

    def __init__(self, run_folder: Path) -> None:
        self.folder = run_folder / FOLDER

    def begin(self, step: int, key: str) -> dict[str, SolveRate]:
        """What an earlier process found in the measurement `key`, by problem id; chunks of another one go."""
        found: dict[str, SolveRate] = {}
        for path in (*self._parts(step), self.table(step)):
            rows = _rows(path, key)
            if rows is None and path != self.table(step):
                path.unlink()
            found |= {row.problem: row for row in rows or ()}
        return found

    def add(self, step: int, key: str, rates: Iterable[SolveRate]) -> None:
        """Writes a chunk."""
        last = max((int(path.stem.rpartition("-")[2]) for path in self._parts(step)), default=-1)
        self._write(self.folder / f"step-{step:06d}-part-{last + 1:04d}.parquet", key, _SCHEMA, map(asdict, rates))

    def finish(self, step: int, key: str, rates: Iterable[SolveRate], kept: Collection[str]) -> None:
        """Writes the table of a step; its chunks go."""
        rows = ({**asdict(rate), "kept": rate.problem in kept} for rate in rates)
        self._write(self.table(step), key, _SCHEMA.append(pa.field("kept", pa.bool_())), rows)
        for path in self._parts(step):
            path.unlink()

    def table(self, step: int) -> Path:
        """The table of a step."""
        return self.folder / f"step-{step:06d}.parquet"

    def _parts(self, step: int) -> list[Path]:
        return sorted(self.folder.glob(f"step-{step:06d}-part-*.parquet"))

    def _write(self, path: Path, key: str, schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> None:
        with whole_file(path) as beside:
            pq.write_table(pa.Table.from_pylist(list(rows), schema.with_metadata({_KEY: key.encode()})), beside)


def _rows(path: Path, key: str) -> list[SolveRate] | None:
    """The rows of a file of the measurement `key`; None when it is of another, torn, or not there."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException):
        return None
    if (table.schema.metadata or {}).get(_KEY) != key.encode():
        return None
    return [SolveRate(**row) for row in table.select(_SCHEMA.names).to_pylist()]


def read_rates(path: Path, setting: str) -> dict[str, float]:
    """Solve rates by problem id from a Parquet file with the columns `problem` (or `id`) and `solve_rate`.

    Args:
        path: such as a `solve_rates/step-*.parquet` of a run.
        setting: what names it, for messages.

    Raises:
        UserError: there is no such file, or it has no such columns.
    """
    try:
        names = pq.read_schema(path).names
        ids = next((name for name in ("problem", "id") if name in names), None)
        if ids is None or "solve_rate" not in names:
            columns = ", ".join(names)
            raise UserError(f"{setting}={shown(str(path))}: needs the columns problem and solve_rate, has {columns}")
        columns = pq.read_table(path, columns=[ids, "solve_rate"]).to_pydict()
    except FileNotFoundError as error:
        raise UserError(f"{setting}={shown(str(path))}: no such file") from error
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{setting}={shown(str(path))}: cannot be read as Parquet: {reason}") from error
    pairs = zip(columns[ids], columns["solve_rate"], strict=True)
    return {problem_id: float(rate) for problem_id, rate in pairs if rate is not None}
