"""Callbacks that export the policy in Hugging Face format: at the end of a run, and of each of its stages."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning.pytorch import Callback, Trainer

from acereason.policy.adapters import adapter_weights
from acereason.policy.model import whole
from acereason.policy.module import PolicyModule
from acereason.training.export import export_weights
from acereason.training.export_adapter import export_adapter

ADAPTER_FOLDER = "adapter"
"""Folder, beside the exported policy, with the adapters alone."""


class FinalExport(Callback):
    """A callback that writes the trained policy to `folder`, and adapters, if it has any, to `adapter` beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer: Trainer, module: PolicyModule) -> None:
        """Write the policy after the last step."""
        write_policy(trainer, module, self.folder)
        if module.config.model.lora.rank:
            write_adapter(trainer, module, self.folder.with_name(ADAPTER_FOLDER))


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


def write_adapter(trainer: Trainer, module: PolicyModule, folder: Path) -> None:
    """Gather the adapters on all ranks and write them on rank 0."""
    assert module.model is not None
    weights = [
        (name, tensor.cpu()) for name, tensor in adapter_weights(module.model.language_model, module.device, whole)
    ]
    if trainer.is_global_zero:
        export_adapter(weights, module.config.model, folder)
