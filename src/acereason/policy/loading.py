"""A model's weights, read straight from its files: every rank reads its own rows, and nothing is in memory twice."""

from __future__ import annotations

import json
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset
from transformers import AutoConfig

from acereason.config.model_families import check_family
from acereason.distributed.collectives import rank_and_world
from acereason.errors import UserError
from acereason.policy import attention
from acereason.policy.adapters import first_value, is_adapter, plain_name
from acereason.policy.structure import check_structure, own_class, renaming_of

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
CHUNK_BYTES = 64 * 2**20
DTYPES = {"F64", "F32", "F16", "BF16"}


def skeleton(folder: Path) -> Any:
    """Build the causal language model of a folder without its weights: float32 on the meta device, packed attention.

    Buffers that are in no file, such as rotary frequencies, are computed by transformers' own initialisation.

    Raises:
        UserError: transformers cannot build a causal language model from `config.json`, or packing would change what
            the model computes.
    """
    try:
        check_family(str(folder))
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        build = own_class(config)._from_config
        with torch.device("meta"):
            model = build(config, dtype=torch.float32, attn_implementation=attention.NAME)
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"model.path={folder}: transformers cannot build this model: {reason}") from error
    check_structure(model.train(), folder)
    saved = model.state_dict().keys()
    computed = [name for name, _ in model.named_buffers() if name not in saved]
    for name in computed:
        _set_buffer(model, name, torch.full_like(model.get_buffer(name), torch.nan, device="cpu"))
    model.initialize_weights()  # does nothing to tensors on the meta device
    for name in computed:
        if model.get_buffer(name).isnan().any():
            raise RuntimeError(f"transformers does not say how to compute the buffer {name} of {folder}")
    return model.eval()


def _set_buffer(model: nn.Module, name: str, value: Tensor) -> None:
    owner, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(owner), leaf, value)


@dataclass(frozen=True)
class WeightFiles:
    """The safetensors files of a folder, by tensor.

    Attributes:
        folder: the model's folder.
        files: file of each tensor, by the model's name of the tensor.
        stored: the name of each tensor in its file.
    """

    folder: Path
    files: dict[str, Path]
    stored: dict[str, str]

    @classmethod
    def of(cls, folder: Path, renamed: Callable[[str], str] = str) -> WeightFiles:
        """Find the files of a local folder.

        Args:
            folder: the folder.
            renamed: maps a name in the files to the model's.

        Raises:
            UserError: there are none, or one is missing or broken.
        """
        single, index = folder / SINGLE_FILE, folder / INDEX_FILE
        if single.exists():
            with _opened(single) as file:
                return cls._renamed(folder, dict.fromkeys(file.keys(), single), renamed)
        if not index.exists():
            raise UserError(_no_weights(folder))
        try:
            names = json.loads(index.read_bytes())["weight_map"]
            files = {name: folder / file for name, file in names.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{index}: broken index ({error!r}); copy or download it again") from error
        for path in sorted(set(files.values())):
            if not path.exists():
                raise UserError(f"{index}: names {path.name}, which is missing; copy or download it again")
        return cls._renamed(folder, files, renamed)

    @classmethod
    def _renamed(cls, folder: Path, files: dict[str, Path], renamed: Callable[[str], str]) -> WeightFiles:
        stored = {renamed(name): name for name in files}
        return cls(folder, {name: files[other] for name, other in stored.items()}, stored)

    def read_rows(self, name: str, shape: torch.Size, start: int, target: Tensor) -> None:
        """Copy rows from `start` on into `target`, cast to its type, a chunk at a time.

        The file is opened again for each chunk: the pages read from a mapped file count as this process's memory until
        the file is closed.

        Args:
            name: the tensor's name.
            shape: the shape that the whole tensor must have.
            start: the first row.
            target: the rows to fill.

        Raises:
            UserError: the file is broken, or the tensor has another shape.
        """
        path, name = self.files[name], self.stored[name]
        rows = max(1, CHUNK_BYTES * len(target) // max(1, target.nbytes)) if target.ndim else 1
        for first in range(0, len(target) if target.ndim else 1, rows):
            with _opened(path) as file:
                _check_tensor(path, name, file.get_slice(name), shape)
                if not target.ndim:
                    target.copy_(file.get_tensor(name))
                else:
                    part = target[first : first + rows]
                    part.copy_(file.get_slice(name)[start + first : start + first + len(part)])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise UserError(f"{path}: broken or cut short ({error}); copy or download it again") from error


def _check_tensor(path: Path, name: str, found: Any, shape: torch.Size) -> None:
    if found.get_dtype() not in DTYPES:
        raise UserError(f"{path}: {name} is of type {found.get_dtype()}; training needs weights that are not quantised")
    if found.get_shape() != list(shape):
        raise UserError(
            f"{path}: {name} is {found.get_shape()}, but config.json asks for {list(shape)}; they belong to two models"
        )


def _no_weights(folder: Path) -> str:
    if list(folder.glob("pytorch_model*.bin")):
        load = f"AutoModelForCausalLM.from_pretrained('{folder}', dtype='auto').save_pretrained('{folder}')"
        convert = f'python -c "from transformers import AutoModelForCausalLM; {load}"'
        return f"model.path={folder}: has only pytorch_model.bin, not {SINGLE_FILE}; convert it: {convert}"
    return f"model.path={folder}: has neither {SINGLE_FILE} nor {INDEX_FILE}; give a folder with the weights"


@torch.no_grad()
def fill(
    model: nn.Module, folder: Path, device: torch.device, buffers_to: torch.device | None = None, seed: int = 0
) -> None:
    """Load the weights of a model on the meta device: this rank's rows of sharded parameters, all rows of others.

    Parameters keep their identity, tied ones included.

    Args:
        model: a `skeleton` of the same folder, sharded (FSDP2) or not.
        folder: the model's folder.
        device: where the weights go.
        buffers_to: where buffers go, if not there.
        seed: what the first values of adapters are derived from.

    Raises:
        UserError: a file is broken, or a weight is missing or has another shape.
    """
    files = WeightFiles.of(folder, renaming_of(model))
    named: dict[int, list[str]] = defaultdict(list)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        named[id(parameter)].append(plain_name(name))
    for parameter in list(model.parameters()):
        _fill_parameter(parameter, named[id(parameter)], files, device, seed)
    buffers_to = buffers_to or device
    for name, buffer in list(model.named_buffers()):
        value = buffer.to(buffers_to) if not buffer.is_meta else torch.empty_like(buffer, device=buffers_to)
        if buffer.is_meta:
            files.read_rows(_present(files, [name])[0], buffer.shape, 0, value)
        _set_buffer(model, name, value)
    _warn_of_others(model, files)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_meta:
            raise RuntimeError(f"{name} got no weights")


def _fill_parameter(
    parameter: nn.Parameter, names: list[str], files: WeightFiles, device: torch.device, seed: int
) -> None:
    shape: tuple[int, ...] = parameter.shape
    offset = 0
    if isinstance(parameter, DTensor):
        mesh, placements = parameter.device_mesh, parameter.placements
        shape, (offset, *_) = compute_local_shape_and_global_offset(parameter.shape, mesh, placements)
        assert shape[1:] == tuple(parameter.shape)[1:], "only rows are sharded"
    local = torch.empty(shape, dtype=parameter.dtype, device=device)
    if is_adapter(names[0]):
        local.copy_(first_value(names[0], parameter.shape, seed)[offset : offset + len(local)])
    else:
        _read_rows(files, names, parameter.shape, offset, local)
    if isinstance(parameter, DTensor):
        local = DTensor.from_local(
            local, mesh, placements, run_check=False, shape=parameter.shape, stride=parameter.stride()
        )
    torch.utils.swap_tensors(parameter, nn.Parameter(local, requires_grad=parameter.requires_grad))


def _read_rows(files: WeightFiles, names: list[str], shape: torch.Size, offset: int, local: Tensor) -> None:
    """Fill this rank's rows of a weight, which has several names if it is tied."""
    present = _present(files, names)
    files.read_rows(present[0], shape, offset, local)
    for other in present[1:]:
        again = torch.empty_like(local)
        files.read_rows(other, shape, offset, again)
        if not torch.equal(local, again):
            raise UserError(
                f"model.path={files.folder}: {present[0]} and {other} differ, but config.json ties them "
                "(tie_word_embeddings: true); set it to false there"
            )


def _present(files: WeightFiles, names: list[str]) -> list[str]:
    present = [name for name in names if name in files.files]
    if not present:
        raise UserError(f"model.path={files.folder}: {names[0]} is missing in its files, but config.json asks for it")
    return present


def _warn_of_others(model: nn.Module, files: WeightFiles) -> None:
    known = set(map(plain_name, model.state_dict()))
    others = [name for name in files.files if name not in known and not name.endswith("rotary_emb.inv_freq")]
    if others and rank_and_world()[0] == 0:
        warnings.warn(f"{files.folder} has weights that its config.json does not use: {others[:3]} …", stacklevel=2)
