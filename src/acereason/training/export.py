"""Export of a policy in Hugging Face format, from training or a checkpoint, with at most one file of it in memory."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from transformers import AutoTokenizer, GenerationConfig

from acereason.config.schema import ModelConfig
from acereason.engines.model_folder import model_folder
from acereason.errors import UserError
from acereason.policy.adapters import ADAPTER, adapted_layer, add_adapters, is_adapter, matrices_of, merged, plain_name
from acereason.policy.loading import INDEX_FILE, SINGLE_FILE, skeleton

MAX_SHARD_BYTES = 2 * 2**30
KEY_PREFIX = "state_dict.model.language_model."
SUFFIXES = {".json", ".safetensors", ".jinja", ".model", ".txt"}


def export_weights(
    weights: Iterable[tuple[str, Tensor]],
    base: str,
    folder: Path,
    dtype: torch.dtype = torch.float32,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Write weights with the configuration, tokenizer and generation settings of the model they started from.

    Everything is written beside `folder` and renamed when complete; an earlier export is replaced.

    Args:
        weights: (Hugging Face name, whole tensor); each tensor is copied at once, so it may change afterwards.
        base: folder or hub name of the initial policy.
        folder: to write to.
        dtype: type that the weights are written in.
        max_shard_bytes: most bytes of weights in one file; a larger tensor has a file of its own.

    Raises:
        RuntimeError: a weight is missing, unknown, given twice or of another shape than in `base`.
        UserError: `folder` holds something other than an export.
    """
    folder = folder.resolve()
    check_replaceable(folder)
    base_folder = model_folder(base)
    model = skeleton(base_folder)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    _write_weights(_checked(weights, model, base), partial, dtype, max_shard_bytes)
    _write_the_rest(model, base_folder, partial, dtype)
    _put_in_place(partial, folder)


def check_replaceable(folder: Path) -> None:
    """Raise UserError if the folder holds something other than an export."""
    entries = sorted(folder.iterdir()) if folder.exists() else []
    if entries and not (folder / "config.json").exists():
        raise UserError(f"output={folder}: holds files, but no export; choose another folder")
    for entry in entries:
        if entry.suffix not in SUFFIXES or entry.is_dir():
            raise UserError(f"output={folder}: holds {entry.name}, which no export wrote; choose another folder")


def _checked(weights: Iterable[tuple[str, Tensor]], model: Any, base: str) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights; raise RuntimeError unless they are those of the model, each exactly once."""
    expected = {name: parameter.shape for name, parameter in model.named_parameters()}
    missing = set(expected)
    for name, tensor in weights:
        if name not in missing:
            raise RuntimeError(f"the policy gives {name} twice" if name in expected else f"{base} has no weight {name}")
        if tensor.shape != expected[name]:
            raise RuntimeError(f"{name} is {list(tensor.shape)}, but {list(expected[name])} in {base}")
        missing.remove(name)
        yield name, tensor
    if missing:
        raise RuntimeError(f"the policy lacks weights of {base}: {', '.join(sorted(missing)[:3])}")


def _write_weights(
    weights: Iterable[tuple[str, Tensor]], folder: Path, dtype: torch.dtype, max_shard_bytes: int
) -> None:
    """Write `model.safetensors`, or several files and their index; how many, and so their names, shows at the end."""
    shards: list[list[str]] = []
    shard: dict[str, Tensor] = {}
    total = 0

    def flush() -> None:
        save_file(shard, folder / f"{len(shards)}.safetensors", {"format": "pt"})
        shards.append(list(shard))
        shard.clear()

    for name, tensor in weights:
        size = tensor.numel() * dtype.itemsize
        if shard and sum(held.nbytes for held in shard.values()) + size > max_shard_bytes:
            flush()
        shard[name] = tensor.detach().to("cpu", dtype, copy=True).contiguous()
        total += size
    flush()
    if len(shards) == 1:
        os.rename(folder / "0.safetensors", folder / SINGLE_FILE)
        return
    files: dict[str, str] = {}
    for number, names in enumerate(shards):
        file = f"model-{number + 1:05d}-of-{len(shards):05d}.safetensors"
        os.rename(folder / f"{number}.safetensors", folder / file)
        files |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(files.items()))}
    (folder / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n")


def _write_the_rest(model: Any, base: Path, folder: Path, dtype: torch.dtype) -> None:
    """Write the configuration, generation settings, and the tokenizer with its chat template."""
    config = model.config
    config.dtype = dtype
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    try:
        generation = GenerationConfig.from_pretrained(base)
    except OSError:
        generation = GenerationConfig.from_model_config(config)
    generation.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)


def _put_in_place(partial: Path, folder: Path) -> None:
    """Rename a complete export; one that it replaces is removed only after that."""
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.rename(folder, old)
    os.rename(partial, folder)
    shutil.rmtree(old, ignore_errors=True)


def export_checkpoint(
    checkpoint: Path, base: str, folder: Path, dtype: torch.dtype = torch.float32, config: ModelConfig | None = None
) -> None:
    """Write the policy of a sharded checkpoint in Hugging Face format, in one process; the optimizer is not read.

    Args:
        checkpoint: a complete checkpoint.
        base: folder or hub name of the initial policy.
        folder: to write to.
        dtype: type that the weights are written in.
        config: settings of the model, needed if it has adapters, which are merged.

    Raises:
        RuntimeError: the checkpoint is of another model than `base`.
        UserError: `folder` holds something other than an export.
    """
    model = skeleton(model_folder(base))
    if config is not None and config.lora.rank:
        add_adapters(model, config)
    saved = SavedWeights(checkpoint)
    others = sorted(saved.entries.keys() - model.state_dict().keys())
    if others:
        raise RuntimeError(f"{base} has no weight {others[0]}, which is in {checkpoint}")
    export_weights(_merged_weights(saved, model), base, folder, dtype)


class SavedWeights:
    """The policy's weights in a sharded checkpoint, read one at a time.

    Attributes:
        entries: their shapes and types by name; of tied weights only one is there.
    """

    def __init__(self, checkpoint: Path) -> None:
        self._reader = dcp.FileSystemReader(checkpoint)
        self.entries = {
            key.removeprefix(KEY_PREFIX): entry
            for key, entry in self._reader.read_metadata().state_dict_metadata.items()
            if key.startswith(KEY_PREFIX) and isinstance(entry, TensorStorageMetadata)
        }

    def __getitem__(self, name: str) -> Tensor:
        """Return a whole tensor."""
        entry = self.entries[name]
        tensor = torch.empty(entry.size, dtype=entry.properties.dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it warns that this is a single process
            dcp.load({KEY_PREFIX + name: tensor}, storage_reader=self._reader, no_dist=True)
        return tensor


def _merged_weights(saved: SavedWeights, model: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield (Hugging Face name, whole tensor), one at a time, with adapters merged."""
    for name, _ in model.named_parameters():
        if name not in saved.entries or is_adapter(name):
            continue
        weight = saved[name]
        if layer := adapted_layer(model, name):
            a, b = matrices_of(name)
            weight = merged(weight, saved[a], saved[b], layer.scaling[ADAPTER])
        yield plain_name(name), weight
