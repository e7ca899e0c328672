"""What a run shows and writes while it goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from acereason.curricula.plateau import EVALUATED_AT
from acereason.evaluation.evaluate import HeldOutResults
from acereason.rollout.data import RolloutDataModule
from acereason.rollout.rollout import Rollout, RolloutBatch
from acereason.run.checkpoint_files import PARTIAL
from acereason.run.checkpoints import is_due


class ScalarWriter(Callback):
    """Writes the scalars of the step that is done, before its checkpoint is saved.

    Lightning writes what it is given to log only after `on_train_batch_end`: a run killed after its checkpoint and
    before that would lack a point for good. Callbacks that come before this one may add to `module.metrics`.
    """

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: object) -> None:
        """Writes `module.metrics` at the rollout step."""
        if trainer.is_global_zero and module.logger is not None:
            module.logger.log_metrics(module.metrics, step=module.curriculum.step)


class HeldOutEvaluation(Callback):
    """Evaluates before the first step, every `every_n_steps` rollout steps, and after the last.

    Attributes:
        results: what was found, by rollout step.
        due_step: the step whose evaluation has begun and not ended; a run that stops there does it when it goes on.
        metrics, step: the newest scalars, and the step that they are of; a resumed run has them for callbacks that look
            at them.
    """

    def __init__(self, every_n_steps: int) -> None:
        self.every_n_steps = every_n_steps
        self.results: dict[int, HeldOutResults] = {}
        self.due_step: int | None = None
        self.metrics: dict[str, float] = {}
        self.step = 0

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """The policy before training, or where a stop cut its evaluation short."""
        self._show(trainer)
        if module.curriculum.step in (0, self.due_step):
            self._evaluate(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: object) -> None:
        """The policy after a step, when it is due."""
        if is_due(trainer, module, self.every_n_steps):
            self._evaluate(trainer, module)

    def state_dict(self) -> dict[str, Any]:
        """The newest scalars, and the evaluation that is still to be made."""
        return {"due_step": self.due_step, "metrics": self.metrics, "step": self.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them back."""
        self.due_step, self.metrics, self.step = state_dict["due_step"], state_dict["metrics"], state_dict["step"]

    def _evaluate(self, trainer: Trainer, module: Any) -> None:
        data: RolloutDataModule = trainer.datamodule  # type: ignore[attr-defined]
        self.due_step = module.curriculum.step
        result = data.validate()
        self.due_step = None
        if result is None:
            return
        # Without the rollouts: those of long responses would fill the memory of a long run.
        domains = {domain: replace(each, groups=[]) for domain, each in result.domains.items()}
        self.results[module.curriculum.step] = HeldOutResults(domains)
        self.metrics, self.step = result.metrics(), module.curriculum.step
        self._show(trainer)
        if module.logger is not None:
            module.logger.log_metrics(self.metrics, step=module.curriculum.step)

    def _show(self, trainer: Trainer) -> None:
        shown = {**self.metrics, EVALUATED_AT: self.step} if self.metrics else {}
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in shown.items()})


class RolloutWriter(Callback):
    """Writes all rollouts of a step to Parquet, and a few of them to TensorBoard as text."""

    def __init__(self, folder: Path, samples: int, parquet: bool) -> None:
        self.folder = folder
        self.samples = samples
        self.parquet = parquet

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: RolloutBatch, batch_idx: int
    ) -> None:
        """Writes the step that is done."""
        if self.parquet:
            name = f"step-{batch.step:06d}" + (f"-rank-{trainer.global_rank}" if trainer.world_size > 1 else "")
            write_rollouts(self.folder / f"{name}.parquet", batch)
        if self.samples and trainer.is_global_zero and isinstance(module.logger, TensorBoardLogger):
            chosen = [group[0] for group in batch.groups[: self.samples]]
            text = "\n\n---\n\n".join(rollout_text(rollout) for rollout in chosen)
            module.logger.experiment.add_text("rollouts", text, module.curriculum.step)


def write_rollouts(path: Path, batch: RolloutBatch) -> None:
    """One row a rollout; what was sampled, what it was judged, and what it taught."""
    rows = [
        {
            "step": batch.step,
            "problem": rollout.problem.id,
            "level": rollout.problem.level,
            "sample": rollout.sample,
            "prompt": rollout.prompt,
            "response": rollout.response,
            "gold": rollout.problem.answer,
            "extracted": rollout.verdict.extracted,
            "reward": rollout.verdict.reward,
            "learned_reward": float(reward),
            "advantage": float(advantage),
            "reason": rollout.verdict.reason,
            "truncated": rollout.generation.truncated,
            "prompt_ids": rollout.prompt_ids,
            "response_ids": rollout.generation.token_ids,
            "logprobs": rollout.generation.logprobs,
        }
        for rollout, reward, advantage in zip(
            batch.rollouts, batch.rewards.flatten(), batch.advantages.flatten(), strict=True
        )
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    # Readers of the folder take a file only under its own name, when it is whole.
    beside = path.with_name(f".{path.name}{PARTIAL}")
    try:
        pq.write_table(pa.Table.from_pylist(rows), beside)
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def rollout_text(rollout: Rollout) -> str:
    """A rollout as Markdown: prompt, response, gold, extracted, reward."""

    def quoted(text: str) -> str:
        return "\n".join(f"    {line}" for line in text.splitlines())

    verdict = rollout.verdict
    return (
        f"**Prompt**\n\n{quoted(rollout.prompt)}\n\n**Response** ({len(rollout.generation.token_ids)} tokens)\n\n"
        f"{quoted(rollout.response)}\n\n**Gold** `{rollout.problem.answer}` · **extracted** `{verdict.extracted}` · "
        f"**reward** {verdict.reward:g} ({verdict.reason})"
    )


class Progress(RichProgressBar):
    """A bar of rollout steps with reward, length and tokens a second."""

    SHOWN = (
        ("reward/mean", "reward", ".2f"),
        ("response/length_mean", "length", ".0f"),
        ("throughput/tokens_per_second", "tokens/s", ".0f"),
        ("eval/pass@1", "held-out", ".2f"),
    )

    def get_metrics(self, trainer: Trainer, module: Any) -> dict[str, Any]:
        """The few numbers that tell how it goes."""
        metrics = trainer.callback_metrics
        return {label: format(metrics[tag].item(), form) for tag, label, form in self.SHOWN if tag in metrics}

    def _get_train_description(self, current_epoch: int) -> str:
        return "Rollout steps"

    @property
    def is_live(self) -> bool:
        """Whether somebody sees it move: not in a log file, where it is written once it is over."""
        return self.progress is not None and self.progress.console.is_terminal

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
        """A second bar for work between two steps; yields what moves it on by so many parts."""
        assert self.progress is not None
        progress, task = self.progress, self._add_task(total, description)

        def advance(count: int) -> None:
            progress.advance(task, count)
            self.refresh()

        try:
            yield advance
        finally:
            progress.remove_task(task)
