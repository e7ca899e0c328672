"""Solve rates: how often a policy solves each problem, counted in attempts or rollouts, and read from files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from acereason.config.fields import shown
from acereason.distributed.collectives import gather
from acereason.engines.rollout import Rollout
from acereason.errors import UserError
from acereason.evaluation.attempts import ProblemScores
from acereason.tables import SOLVE_RATES, write_table


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

    @classmethod
    def of(cls, scores: ProblemScores) -> SolveRate:
        """Return the rate of a problem's attempts."""
        n = len(scores.rewards)
        counted = (n, scores.solved, scores.solve_rate, sum(scores.tokens) / n, sum(scores.truncated) / n)
        return cls(scores.problem, scores.domain, scores.level, *counted)


def count(groups: Sequence[Sequence[Rollout]]) -> dict[str, SolveRate]:
    """Return the solve rate of each group of rollouts by problem id: of all ranks' groups, and on all ranks."""
    mine = {group[0].problem.id: SolveRate.of(ProblemScores.of_rollouts(group)) for group in groups}
    return {problem_id: rate for each in gather(mine) for problem_id, rate in each.items()}


def write_rates(path: Path, rates: Iterable[SolveRate], kept: Collection[str]) -> None:
    """Write solve rates as Parquet, and which problems were kept."""
    write_table(path, SOLVE_RATES, ({**asdict(rate), "kept": rate.problem in kept} for rate in rates))


def read_rates(path: Path, setting: str) -> dict[str, float]:
    """Return solve rates by problem id from a Parquet file with the columns `problem` (or `id`) and `solve_rate`.

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
