"""Solve rates for a hard-prompt refilter: measured, counted in an epoch, or known; and how they are distributed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from math import ceil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter

from acereason.engines.engine import Sampling
from acereason.errors import UserError
from acereason.evaluation.attempts import AttemptKey, attempt
from acereason.evaluation.solve_rates import SolveRate, count, read_rates
from acereason.policy.module import PolicyModule
from acereason.progress import shown_progress
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.data import RolloutDataModule, data_of

REFILTER, SOLVE_RATES = "refilter", "solve_rates"
"""Folders of a run: the responses of each refilter, without their texts, and the solve rates that they come to."""
RANGES = 8
DEFAULT_ATTEMPTS = 16
BEFORE, AFTER = "curriculum/solve_rates_before", "curriculum/solve_rates_after"


def of_levels(data: RolloutDataModule, ids: Sequence[str], domain: str, levels: Sequence[int] | None) -> list[str]:
    """Return the problems from the lowest to the highest of `levels`; None: all, also those without a level."""
    among = set(data.problem_ids(domain, levels=levels))
    return [problem_id for problem_id in ids if levels is None or problem_id in among]


def measure_now(trainer: Trainer, module: PolicyModule, ids: Sequence[str], attempts: int) -> dict[str, SolveRate]:
    """Return solve rates of the policy as it is, by problem id, on all ranks; a collective.

    Responses are sampled as the next rollouts will be.

    Raises:
        StopRequested: a rank was asked to leave; the resumed run samples what is missing.
    """
    data, curriculum = data_of(trainer), module.curriculum
    data.sync_engine()
    sampling = Sampling(curriculum.max_response_tokens, curriculum.temperature, curriculum.top_p)
    decided_by = data.decided_by(data.problem_ids(curriculum.domain))
    key = AttemptKey((module.config.seed, "refilter", curriculum.step), decided_by)
    table = module.config.run.folder / REFILTER / f"step-{curriculum.step:06d}.parquet"
    prompts = [data.prompts[problem_id] for problem_id in ids]
    with shown_progress(trainer, f"Solve rates before step {curriculum.step}", len(ids)) as advance:
        found = attempt(
            *(data.engines, prompts, attempts, sampling, key, table),
            keep_texts=False,
            lengths=data.lengths,
            advance=advance,
        )
    return {scores.problem: SolveRate.of(scores) for scores in found}


def known(trainer: Trainer, module: PolicyModule, ids: Sequence[str], path: str, setting: str) -> dict[str, SolveRate]:
    """Return solve rates that are known already, by problem id: from a file, or if `path` is empty from the curriculum.

    Raises:
        UserError: none of the problems has one.
    """
    data = data_of(trainer)
    rates = read_rates(Path(path), setting) if path else module.curriculum.solve_rates
    problems = [data.problems[problem_id] for problem_id in ids if problem_id in rates]
    if not problems:
        where = path or "the curriculum, as no refilter has measured any yet"
        raise UserError(f"{setting}={path}: none of the {len(ids)} problems of the pool has a solve rate in {where}")
    return {p.id: SolveRate(p.id, p.domain, p.level, None, None, rates[p.id]) for p in problems}


def draw_once(trainer: Trainer, module: PolicyModule, filtered_at: int | None) -> None:
    """Draw a refilter's histograms with the scalars of the first step after it.

    A resumed run has both or neither of them, wherever it was killed.
    """
    step = module.curriculum.step
    if filtered_at is None or step != filtered_at + 1 or not trainer.is_global_zero:
        return
    if isinstance(module.logger, TensorBoardLogger):
        draw(module.logger.experiment, table_of(module, filtered_at), step)


def table_of(module: PolicyModule, step: int) -> Path:
    """Return where the solve rates before rollout step `step` are kept."""
    return module.config.run.folder / SOLVE_RATES / f"step-{step:06d}.parquet"


class EpochRates:
    """Solve rates from a whole epoch's own rollouts, the same on all ranks.

    Attributes:
        rates: by problem id, of the epoch so far.
        since: step from which epochs are counted (`Curriculum.pool_since`); a new one restarts the count.
        is_whole: whether the epoch is over.
    """

    def __init__(self) -> None:
        self.rates: dict[str, SolveRate] = {}
        self.since = 0
        self.is_whole = False

    def add(self, batch: RolloutBatch, since: int) -> None:
        """Count the rollouts of one step; a collective."""
        if self.is_whole or self.since != since:
            self.rates, self.since = {}, since
        self.rates |= count(batch.groups)
        self.is_whole = batch.ends_epoch

    def of(self, ids: Sequence[str]) -> dict[str, SolveRate]:
        """Return the rates of some problems; a problem that the epoch did not draw has none."""
        return {problem_id: self.rates[problem_id] for problem_id in ids if problem_id in self.rates}

    def state_dict(self) -> dict[str, Any]:
        """Return its memory as plain data."""
        rates = [astuple(rate) for rate in self.rates.values()]
        return {"rates": rates, "since": self.since, "is_whole": self.is_whole}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take its memory from a checkpoint."""
        rates = [SolveRate(*rate) for rate in state["rates"]]
        self.rates = {rate.problem: rate for rate in rates}
        self.since, self.is_whole = state["since"], state["is_whole"]


def histogram(rates: Iterable[float], attempts: int) -> str:
    """Say how many problems were solved how often, such as `solved 0: 12, 1-2: 30, 16: 4 (of 16)`.

    Args:
        rates: shares of right responses.
        attempts: number of responses that they are shares of; other rates are rounded to it.
    """
    numbers = Counter(_range(round(rate * attempts), attempts) for rate in rates)
    if not numbers:
        return "no problems"
    named = [
        f"{first}-{last}: {number}" if first < last else f"{last}: {number}"
        for (first, last), number in sorted(numbers.items())
    ]
    return f"solved {', '.join(named)} (of {attempts})"


def _range(solved: int, attempts: int) -> tuple[int, int]:
    """Return the range of numbers that is counted as one; none and all are ranges of their own."""
    if solved in (0, attempts):
        return solved, solved
    width = ceil(attempts / RANGES)
    first = (solved - 1) // width * width + 1
    return first, min(first + width, attempts) - 1


def draw(writer: SummaryWriter, table: Path, step: int) -> None:
    """Write the two histograms of a refilter to TensorBoard.

    Args:
        writer: of the run.
        table: solve rates and which problems were kept; without it there is nothing to draw.
        step: the x-axis.
    """
    if not table.exists():
        return
    columns = pq.read_table(table, columns=["attempts", "solve_rate", "kept"]).to_pydict()
    attempts = max((number for number in columns["attempts"] if number), default=DEFAULT_ATTEMPTS)
    before = columns["solve_rate"]
    after = [rate for rate, is_kept in zip(before, columns["kept"], strict=True) if is_kept]
    # One bin for each number of right responses.
    edges = [(solved - 0.5) / attempts for solved in range(attempts + 2)]
    for tag, rates in ((BEFORE, before), (AFTER, after)):
        if rates:
            writer.add_histogram(tag, torch.tensor(rates, dtype=torch.float64), step, bins=edges)
