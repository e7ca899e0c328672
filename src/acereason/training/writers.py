"""What a run shows and writes while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from acereason.engines.rollout import Rollout, response_row
from acereason.policy.module import PolicyModule
from acereason.rollout.batch import RolloutBatch
from acereason.tables import RESPONSES, TRAINING, write_table


class ScalarWriter(Callback):
    """Writes the scalars of the step that is done, before its checkpoint is saved.

    Lightning writes what it is given to log only after `on_train_batch_end`: a run killed after its checkpoint and
    before that would lack a point for good. Callbacks that come before this one may add to `module.metrics`.
    """

    def on_train_batch_end(self, trainer: Trainer, module: PolicyModule, *_: object) -> None:
        """Writes `module.metrics` at the rollout step."""
        if trainer.is_global_zero and module.logger is not None:
            module.logger.log_metrics(module.metrics, step=module.curriculum.step)


class RolloutWriter(Callback):
    """Writes all rollouts of a step to Parquet, and a few of them to TensorBoard as text."""

    def __init__(self, folder: Path, samples: int, parquet: bool) -> None:
        self.folder = folder
        self.samples = samples
        self.parquet = parquet

    def on_train_batch_end(
        self, trainer: Trainer, module: PolicyModule, outputs: Any, batch: RolloutBatch, batch_idx: int
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
    """Write one row a rollout: what was sampled, its verdict, and what the policy learned from it."""
    rows = [
        {
            **response_row(rollout),
            "step": batch.step,
            "learned_reward": float(reward),
            "advantage": float(advantage),
            "prompt_ids": rollout.prompt_ids,
            "response_ids": rollout.generation.token_ids,
            "logprobs": rollout.generation.logprobs,
        }
        for rollout, reward, advantage in zip(
            batch.rollouts, batch.rewards.flatten(), batch.advantages.flatten(), strict=True
        )
    ]
    write_table(path, RESPONSES | TRAINING, rows)


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
