"""The parts of any causal language model of `transformers`, and whether it does what packing relies on."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.conversion_mapping import WeightRenaming, get_model_conversion_mapping
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from acereason.config.model_families import refusal

PROBE = "acereason_probe"
KNOWN = {"dropout", "is_causal", "position_ids", "cache_position", "use_cache", "softcap", "sliding_window"}
"""What models pass to the attention function that either changes nothing here or is handled."""


def own_class(config: Any) -> Any:
    """Return the class of a configuration's causal language model, as a copy that only the policy uses.

    vLLM runs families that it does not implement itself with the classes of `transformers`, which it changes in place:
    a policy of the same class could then be neither built nor called.

    Raises:
        ValueError: `transformers` has no causal language model of this kind.
    """
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ValueError(f"it has no causal language model of type {config.model_type}")
    shared = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    if not shared._supports_attention_backend:
        raise ValueError(f"{shared.__name__} does not take its attention from AttentionInterface, which packing needs")
    spec = importlib.util.find_spec(shared.__module__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, shared.__name__)


def renaming_of(model: Any) -> Callable[[str], str]:
    """Return the function from a tensor's name in files of this kind of model to its name in the model."""
    steps = [step for step in get_model_conversion_mapping(model) if isinstance(step, WeightRenaming)]

    def renamed(name: str) -> str:
        for step in steps:
            name, _ = step.rename_source_key(name)
        return name

    return renamed


def layers_of(model: Any) -> nn.ModuleList:
    """Return the layers of a causal language model."""
    wanted = model.config.num_hidden_layers
    [layers] = [m for m in model.base_model.children() if isinstance(m, nn.ModuleList) and len(m) == wanted]
    return layers


@dataclass(frozen=True)
class _Call:
    """What a layer passed to its attention function."""

    window: int | None
    causal: bool
    masked: bool
    others: frozenset[str]


def _probe(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, **given: Any
) -> tuple[Tensor, None]:
    """Note a call in the list `probe_calls`, if the layer hands it on; return an empty result."""
    calls = given.pop("probe_calls", [])
    others = frozenset(name for name, value in given.items() if value is not None) - KNOWN - {"scaling"}
    causal = getattr(module, "is_causal", True) and given.get("is_causal") is not False
    calls.append(_Call(given.get("sliding_window"), causal, attention_mask is not None, others))
    return query.new_empty(1, query.shape[2], query.shape[1], value.shape[3]), None


AttentionInterface.register(PROBE, _probe)


@torch.no_grad()
def check_structure(model: Any, folder: Path) -> None:
    """Refuse a model that would compute something other than what `config.json` says when its rows are packed.

    Each layer has to call the attention function once, with its window and with nothing that the function does not
    know. Costs no memory: the model is on the meta device.

    Args:
        model: on the meta device.
        folder: of the model.

    Raises:
        UserError: with the family and the reason.
    """
    if reason := _unknown_parts(model) or _unknown_attention(model):
        raise refusal(folder, model.config.model_type, reason)


def _unknown_parts(model: Any) -> str:
    lists = [child for child in model.base_model.children() if isinstance(child, nn.ModuleList)]
    if [len(layers) for layers in lists].count(model.config.num_hidden_layers) != 1:
        return "its layers are not in one list"
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Linear) or head.bias is not None:
        return "its head is not one matrix without a bias"
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules()):
        return "it has dropout"
    return ""


def _unknown_attention(model: Any) -> str:
    calls: list[_Call] = []
    ids = torch.zeros(1, 4, dtype=torch.long, device="meta")
    chosen = model.config._attn_implementation
    model.config._attn_implementation = PROBE
    try:
        model.base_model(input_ids=ids, position_ids=ids, use_cache=False, probe_calls=calls)
    except (RuntimeError, NotImplementedError, TypeError) as error:
        return f"it cannot be run without weights, so nothing is known about it: {str(error).partition(chr(10))[0]}"
    finally:
        model.config._attn_implementation = chosen
    layers = model.config.num_hidden_layers
    if len(calls) != layers:
        return f"{len(calls)} of its {layers} layers hand on what packing needs to transformers' attention function"
    if not all(call.causal for call in calls) or any(call.masked for call in calls):
        return "its tokens attend to later ones, or have a mask of their own"
    if others := sorted(set().union(*(call.others for call in calls))):
        return f"its attention has {', '.join(others)}, which is not supported"
    if sum(call.window is not None for call in calls) != _layers_with_window(model.config):
        return "its sliding windows do not reach the attention function"
    return ""


def _layers_with_window(config: Any) -> int:
    if not getattr(config, "sliding_window", None):
        return 0
    kinds = getattr(config, "layer_types", None)
    return kinds.count("sliding_attention") if kinds else int(config.num_hidden_layers)
