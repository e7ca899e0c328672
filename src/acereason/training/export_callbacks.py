"""The policy in Hugging Face format: at the end of a run, and of each of its stages."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning.pytorch import Callback, Trainer

from acereason.policy.module import PolicyModule
from acereason.training.export import export_weights


class FinalExport(Callback):
    """Writes the trained policy to `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer: Trainer, module: PolicyModule) -> None:
        """After the last step."""
        write_policy(trainer, module, self.folder)


class StageExport(Callback):
    """Writes the policy to `folder/STAGE` when a stage of the curriculum has given way to another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stage = ""

    def on_train_batch_start(self, trainer: Trainer, module: PolicyModule, *_: object) -> None:
        """Which stage the step belongs to."""
        self.stage = module.curriculum.stage

    def on_train_batch_end(self, trainer: Trainer, module: PolicyModule, *_: object) -> None:
        """The stage that was, as it ended."""
        if module.curriculum.stage_since == module.curriculum.step:
            write_policy(trainer, module, self.folder / self.stage)


def write_policy(trainer: Trainer, module: PolicyModule, folder: Path) -> None:
    """All ranks gather each weight; rank 0 writes it."""
    weights = module.weights()
    if trainer.is_global_zero:
        dtype = getattr(torch, module.config.checkpoint.export_dtype.value)
        export_weights(weights, module.config.model.path, folder, dtype)
    for _ in weights:  # the other ranks' part, and what rank 0 has not asked for
        pass
