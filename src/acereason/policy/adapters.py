"""LoRA (arXiv 2106.09685) by PEFT: which layers get adapters, their first values, and the weights with them merged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from acereason.config.fields import nearest
from acereason.config.schema import ModelConfig
from acereason.errors import UserError
from acereason.policy.structure import layers_of
from acereason.seeds import derived_seed

ADAPTER = "default"
GROUPS = ("all", "attention", "mlp")
"""What `model.lora.targets` may say besides names of layers."""
Gather = Callable[[Tensor], Tensor]
_BASE, _ADAPTERS = ".base_layer.", re.compile(r"\.lora_([AB])\.")


def add_adapters(model: Any, config: ModelConfig) -> None:
    """Give linear layers of a model on the meta device adapters, and freeze all else, in the compute type.

    Frozen weights lose nothing by that: sharding casts weights to the compute type whenever it gathers them.

    Raises:
        UserError: no layer has the name of a target.
    """
    from peft import inject_adapter_in_model

    inject_adapter_in_model(peft_settings(model, config), model, ADAPTER, low_cpu_mem_usage=True)
    dtype = getattr(torch, config.compute_dtype.value)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(is_adapter(name))
        if not is_adapter(name):
            parameter.data = parameter.data.to(dtype)


def peft_settings(model: Any, config: ModelConfig) -> Any:
    """Return PEFT's settings of the adapters.

    Raises:
        UserError: no layer has the name of a target.
    """
    from peft import LoraConfig

    lora = config.lora
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=targets_of(model, lora.targets),
        use_rslora=lora.by_root,
        task_type="CAUSAL_LM",
        base_model_name_or_path=config.path,
    )


def targets_of(model: Any, wanted: list[str]) -> list[str]:
    """Return the names, within a layer, of the linear modules that get adapters."""
    found = [name for name, module in layers_of(model)[0].named_modules() if isinstance(module, nn.Linear)]
    leaves = sorted({name.rpartition(".")[2] for name in found})
    in_attention = {name.rpartition(".")[2] for name in found if "attn" in name or "attention" in name}
    chosen: set[str] = set()
    for name in wanted:
        if name in GROUPS:
            groups = {"all": set(leaves), "attention": in_attention, "mlp": set(leaves) - in_attention}
            chosen |= groups[name]
        elif name in leaves:
            chosen.add(name)
        else:
            family = model.config.model_type
            raise UserError(f"model.lora.targets: no layer of {family} is {name}; {nearest(name, (*GROUPS, *leaves))}")
    return sorted(chosen)


def is_adapter(name: str) -> bool:
    """Return whether a parameter belongs to an adapter."""
    return _ADAPTERS.search(name) is not None


def plain_name(name: str) -> str:
    """Return the name that a weight has in a model without adapters."""
    return name.replace(_BASE, ".")


def adapted_layer(model: Any, name: str) -> Any:
    """Return the layer whose adapter changes the weight `name`; None if none does."""
    return model.get_submodule(name.rpartition(_BASE)[0]) if name.endswith(f"{_BASE}weight") else None


def matrices_of(name: str) -> tuple[str, str]:
    """Return the names of A and B beside the weight `name` of an adapted layer."""
    a, b = (name.replace(_BASE, f".lora_{part}.{ADAPTER}.") for part in "AB")
    return a, b


def first_value(name: str, shape: torch.Size, seed: int) -> Tensor:
    """Return the value that an adapter's matrix starts with: B zero, so that the policy starts as the base model.

    A is uniform within ±1/√inputs, as in PEFT, from the run's seed and its name: the same on any number of ranks.
    """
    if ".lora_B." in name:
        return torch.zeros(shape)
    generator = torch.Generator().manual_seed(derived_seed(seed, "lora", name))
    bound = float(shape[1] ** -0.5)
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def plain_weights(model: Any, device: torch.device, dtype: torch.dtype, gather: Gather) -> Iterator[tuple[str, Tensor]]:
    """Yield (name, tensor) of each weight that a model without adapters has, with adapters merged: W + s · B A.

    Sums are taken in float32, on each rank for its own rows.

    Args:
        model: sharded or not.
        device, dtype: of the tensors.
        gather: returns the whole of a sharded tensor; a collective.
    """
    for name, parameter in model.named_parameters():
        if is_adapter(name):
            continue
        weight = parameter.detach()
        if layer := adapted_layer(model, name):
            weight = _merged(weight.to(device), layer, device, gather)
        yield plain_name(name), weight.to(device, dtype)


def _merged(weight: Tensor, layer: Any, device: torch.device, gather: Gather) -> Tensor:
    a, b = (part[ADAPTER].weight.detach().to(device) for part in (layer.lora_A, layer.lora_B))
    a = gather(a)
    if not isinstance(weight, DTensor):
        return merged(weight, a, b, layer.scaling[ADAPTER])
    rows = merged(weight.to_local(), a, b.to_local(), layer.scaling[ADAPTER])
    mesh, places = weight.device_mesh, weight.placements
    return DTensor.from_local(rows, mesh, places, run_check=False, shape=weight.shape, stride=weight.stride())


def merged(weight: Tensor, a: Tensor, b: Tensor, scaling: float) -> Tensor:
    """Return W + s · B A in float32.

    Shapes: weight `[rows, inputs]`, a `[rank, inputs]`, b `[rows, rank]`.
    """
    return weight.float() + scaling * (b @ a)


def adapter_weights(model: Any, device: torch.device, gather: Gather) -> Iterator[tuple[str, Tensor]]:
    """Yield (name, whole tensor) of each matrix of the adapters; a collective.

    Args:
        model: sharded or not.
        device: where tensors are gathered: offloaded ones are on the CPU, where their group may have no collectives.
        gather: returns the whole of a sharded tensor.
    """
    for name, parameter in model.named_parameters():
        if is_adapter(name):
            yield name, gather(parameter.detach().to(device))
