"""The parts of a hard-prompt refilter: the pool as it is, and its solve rates, measured or known."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from acereason.curricula.histograms import draw
from acereason.engines.collect import Prompt
from acereason.engines.engine import Sampling
from acereason.errors import UserError
from acereason.evaluation.attempt_files import SolveRate, SolveRateFiles, read_rates
from acereason.evaluation.attempts import Measurement, measure
from acereason.policy.module import PolicyModule
from acereason.progress import shown_progress
from acereason.rollout.data import RolloutDataModule, data_of


def of_levels(data: RolloutDataModule, ids: Sequence[str], domain: str, levels: Sequence[int] | None) -> list[str]:
    """Those from the lowest to the highest of `levels`; None leaves all, also those without a level."""
    among = set(data.problem_ids(domain, levels=levels))
    return [problem_id for problem_id in ids if levels is None or problem_id in among]


def measurement(module: PolicyModule, attempts: int) -> Measurement:
    """What decides solve rates that are measured now: responses are sampled as the next rollouts are to be."""
    config = module.config
    curriculum = module.curriculum
    sampling = Sampling(curriculum.max_response_tokens, curriculum.temperature, curriculum.top_p)
    # How many verifiers there are decides nothing, and a run that goes on may have others.
    engine = (config.engine.name, config.engine.dtype, config.engine.options)
    judging = repr((replace(config.rewards, workers=0), config.sandbox, *engine))
    data = data_of(module.trainer)
    problems = _digest([data.prompts[problem_id] for problem_id in data.problem_ids(curriculum.domain)])
    return Measurement(curriculum.step, config.seed, attempts, sampling, judging, _initial_policy(module), problems)


def _initial_policy(module: PolicyModule) -> str:
    """`model.path` with the size and the time of each file that decides a weight; empty once a step is done."""
    if module.curriculum.step:
        return ""
    assert module.model is not None
    paths = sorted(path for path in module.model.folder.iterdir() if path.suffix in (".json", ".safetensors"))
    files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return repr((module.config.model.path, files))


def _digest(prompts: Sequence[Prompt]) -> str:
    """Differs where a token of a prompt, a gold answer or a test does."""
    digest = hashlib.blake2b(digest_size=16)
    for prompt in prompts:
        digest.update(repr(prompt).encode())
        digest.update(prompt.problem.tests.packed)
    return digest.hexdigest()


def measure_now(trainer: Trainer, module: PolicyModule, ids: Sequence[str], attempts: int) -> dict[str, SolveRate]:
    """Solve rates of the policy as it is, by problem id, on all ranks; a collective.

    Raises:
        StopRequested: a rank was asked to leave; the run that goes on from there does what is left.
    """
    data = data_of(trainer)
    data.sync_engine()
    assert data.engines is not None
    prompts = [data.prompts[problem_id] for problem_id in ids]
    with shown_progress(trainer, f"Solve rates before step {data.curriculum.step}", len(ids)) as advance:
        return measure(data.engines, prompts, measurement(module, attempts), files(module), data.lengths, advance)


def known(trainer: Trainer, module: PolicyModule, ids: Sequence[str], path: str, setting: str) -> dict[str, SolveRate]:
    """Solve rates that are known already, by problem id: those of a file, or of the curriculum where `path` is empty.

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
    """Draws a refilter's histograms with the scalars of the first step after it.

    A run that goes on from a checkpoint has both or neither of them, wherever it was killed.
    """
    step = module.curriculum.step
    if filtered_at is None or step != filtered_at + 1 or not trainer.is_global_zero:
        return
    if isinstance(module.logger, TensorBoardLogger):
        draw(module.logger.experiment, files(module).table(filtered_at), step)


def files(module: PolicyModule) -> SolveRateFiles:
    """The run's files of solve rates."""
    return SolveRateFiles(module.config.run.folder)
