"""The parts of a hard-prompt refilter: the pool as it is, and its solve rates, measured or known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from acereason.curricula.histograms import draw
from acereason.engines.engine import Sampling
from acereason.errors import UserError
from acereason.evaluation.attempts import AttemptKey, attempt
from acereason.evaluation.solve_rates import SolveRate, read_rates
from acereason.progress import shown_progress
from acereason.rollout.data import RolloutDataModule, data_of

REFILTER, SOLVE_RATES = "refilter", "solve_rates"
"""Folders of a run: the responses of each refilter, without their texts, and the solve rates that they come to."""


def of_levels(data: RolloutDataModule, ids: Sequence[str], domain: str, levels: Sequence[int] | None) -> list[str]:
    """Those from the lowest to the highest of `levels`; None leaves all, also those without a level."""
    among = set(data.problem_ids(domain, levels=levels))
    return [problem_id for problem_id in ids if levels is None or problem_id in among]


def measure_now(trainer: Trainer, module: Any, ids: Sequence[str], attempts: int) -> dict[str, SolveRate]:
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


def known(trainer: Trainer, module: Any, ids: Sequence[str], path: str, setting: str) -> dict[str, SolveRate]:
    """Solve rates that are known already, by problem id: those of a file, or of the curriculum where `path` is empty.

    Raises:
        UserError: none of the problems has one.
    """
    data: RolloutDataModule = trainer.datamodule  # type: ignore[attr-defined]
    rates = read_rates(Path(path), setting) if path else module.curriculum.solve_rates
    problems = [data.problems[problem_id] for problem_id in ids if problem_id in rates]
    if not problems:
        where = path or "the curriculum, as no refilter has measured any yet"
        raise UserError(f"{setting}={path}: none of the {len(ids)} problems of the pool has a solve rate in {where}")
    return {p.id: SolveRate(p.id, p.domain, p.level, None, None, rates[p.id]) for p in problems}


def draw_once(trainer: Trainer, module: Any, filtered_at: int | None) -> None:
    """Draws a refilter's histograms with the scalars of the first step after it.

    A run that goes on from a checkpoint has both or neither of them, wherever it was killed.
    """
    step = module.curriculum.step
    if filtered_at is None or step != filtered_at + 1 or not trainer.is_global_zero:
        return
    if isinstance(module.logger, TensorBoardLogger):
        draw(module.logger.experiment, table_of(module, filtered_at), step)


def table_of(module: Any, step: int) -> Path:
    """Return where the solve rates before rollout step `step` are kept."""
    folder: Path = module.config.run.folder
    return folder / SOLVE_RATES / f"step-{step:06d}.parquet"
