"""Callbacks that export the policy in Hugging Face format: at the end of a run, and of each of its stages."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning.pytorch import Callback, Trainer

from acereason.policy.module import PolicyModule
from acereason.training.export import export_weights


class FinalExport(Callback):
    """A callback that writes the trained policy to `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer: Trainer, module: PolicyModule) -> None:
        """Write the policy after the last step."""
        write_policy(trainer, module, self.folder)


class StageExport(Callback):
    """A callback that writes the policy to `folder/STAGE` when the curriculum moves from that stage to the next."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stage = ""

    def on_train_batch_start(self, trainer: Trainer, module: PolicyModule, *_: object) -> None:
        """Note which stage the step belongs to."""
        self.stage = module.curriculum.stage

    def on_train_batch_end(self, trainer: Trainer, module: PolicyModule, *_: object) -> None:
        """Write the policy if another stage begins after this step."""
        if module.curriculum.stage_since == module.curriculum.step:
            write_policy(trainer, module, self.folder / self.stage)


def write_policy(trainer: Trainer, module: PolicyModule, folder: Path) -> None:
    """Gather each weight on all ranks and write it on rank 0."""
    dtype = getattr(torch, module.config.checkpoint.export_dtype.value)
    weights = module.weights(dtype)
    if trainer.is_global_zero:
        export_weights(weights, module.config.model.path, folder, dtype)
    for _ in weights:  # the other ranks take part; rank 0 takes what the export left
        pass
