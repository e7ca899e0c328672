"""A policy in Hugging Face format, from training or from a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer


def export_weights(weights: Iterable[tuple[str, Tensor]], base: str, folder: Path) -> None:
    """Writes weights with the configuration, tokenizer and generation settings of the model they started from.

    Args:
        weights: (Hugging Face name, whole tensor).
        base: folder or hub name of the initial policy.
        folder: where to; made if it is not there.

    Raises:
        RuntimeError: the weights are not those of such a model.
    """
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    state = dict(weights)
    missing = set(dict(model.named_parameters())) - set(state)
    if missing:
        raise RuntimeError(f"the policy lacks weights of {base}: {', '.join(sorted(missing)[:3])}")
    model.load_state_dict(state, strict=False)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)


def export_checkpoint(checkpoint: Path, base: str, folder: Path) -> None:
    """Writes the policy of a sharded checkpoint in Hugging Face format, on one process."""
    from lightning.fabric.utilities.load import _load_distributed_checkpoint

    state = _load_distributed_checkpoint(checkpoint)["state_dict"]
    prefix = "model.language_model."
    weights = ((n.removeprefix(prefix), t) for n, t in state.items() if n.startswith(prefix))
    export_weights(weights, base, folder)
