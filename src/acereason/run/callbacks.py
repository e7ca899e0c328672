"""What a run shows and writes while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from acereason.evaluation.evaluate import EvaluationResult
from acereason.rollout.data import RolloutDataModule
from acereason.rollout.rollout import Rollout, RolloutBatch
from acereason.run.checkpoints import is_due


class HeldOutEvaluation(Callback):
    """Evaluates before the first step, every `every_n_steps` rollout steps, and after the last.

    Attributes:
        results: what was found, by rollout step.
    """

    def __init__(self, every_n_steps: int) -> None:
        self.every_n_steps = every_n_steps
        self.results: dict[int, EvaluationResult] = {}

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """The policy before training, unless the run goes on from a checkpoint."""
        if module.curriculum.step == 0:
            self._evaluate(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: object) -> None:
        """The policy after a step, when it is due."""
        if is_due(trainer, module, self.every_n_steps):
            self._evaluate(trainer, module)

    def _evaluate(self, trainer: Trainer, module: Any) -> None:
        data: RolloutDataModule = trainer.datamodule  # type: ignore[attr-defined]
        result = data.validate()
        if result is None:
            return
        self.results[module.curriculum.step] = result
        trainer.callback_metrics.update({name: torch.tensor(v) for name, v in result.metrics().items()})
        if module.logger is not None:
            module.logger.log_metrics(result.metrics(), step=module.curriculum.step)


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
        if self.samples and isinstance(module.logger, TensorBoardLogger):
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
    pq.write_table(pa.Table.from_pylist(rows), path)


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
