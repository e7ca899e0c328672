"""Export of LoRA adapters alone, in PEFT's format."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from acereason.config.schema import ModelConfig
from acereason.engines.model_folder import model_folder
from acereason.files import whole_file
from acereason.policy.adapters import ADAPTER, is_adapter, peft_settings
from acereason.policy.loading import skeleton
from acereason.training.export import SavedWeights


def export_adapter(weights: Iterable[tuple[str, Tensor]], config: ModelConfig, folder: Path) -> None:
    """Write adapters alone in PEFT's format, for `PeftModel.from_pretrained` or an engine that loads adapters.

    Args:
        weights: (name in the policy, whole tensor) of each matrix; written in float32.
        config: settings of the model.
        folder: to write to; an earlier adapter is replaced.
    """
    model = skeleton(model_folder(config.path))
    settings = peft_settings(model, config)
    settings.inference_mode = True
    tensors = {
        f"base_model.model.{name.replace(f'.{ADAPTER}.', '.')}": tensor.to("cpu", torch.float32).contiguous()
        for name, tensor in weights
    }
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / "adapter_model.safetensors") as path:
        save_file(tensors, path, {"format": "pt"})
    settings.save_pretrained(folder)


def export_saved_adapter(checkpoint: Path, config: ModelConfig, folder: Path) -> None:
    """Write the adapters of a sharded checkpoint in PEFT's format."""
    saved = SavedWeights(checkpoint)
    export_adapter(((name, saved[name]) for name in saved.entries if is_adapter(name)), config, folder)
