"""The plan's activations against what models of each family really keep, tiny ones: by their slope over layers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import prompts
from torch import Tensor
from transformers import AttentionInterface

from acereason.config.compose import compose
from acereason.config.schema import Config
from acereason.planning.memory import Shape, activation_bytes
from acereason.policy import attention
from acereason.policy.model import PolicyModel
from acereason.policy.packing import ResponseTokens, pack
from perf.training import families
from perf.training.families import FAMILIES, make_model

PLAIN = "keeps_no_scores"


class KeepsNoScores(torch.autograd.Function):
    """Attention that keeps what flex attention keeps: queries, keys, values and the result."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        batch, heads, tokens, _ = query.shape
        result = value.new_ones(batch, tokens, heads, value.shape[-1]).transpose(1, 2)
        ctx.save_for_backward(query, key, value, result)
        return result


def keeps_no_scores(module: Any, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
    return KeepsNoScores.apply(query, key, value).transpose(1, 2), None


AttentionInterface.register(PLAIN, keeps_no_scores)


def kept(config: Config) -> tuple[int, float]:
    """Return the bytes that a forward pass keeps beside weights, and those planned."""
    dtype = getattr(torch, config.model.compute_dtype.value)
    model = PolicyModel(config.model).load("cpu").train().to(dtype)
    model.language_model.config._attn_implementation = PLAIN
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    row = pack([ResponseTokens(i, i, prompt.ids, tuple(range(40, 70))) for i, prompt in enumerate(prompts(8))])
    storages: dict[int, tuple[int, Tensor]] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes(), tensor  # held, so that no address comes twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden = model.language_model.base_model(
            input_ids=row.input_ids[None],
            position_ids=row.positions[None],
            packing_plan=attention.plan_attention(row),
            use_cache=False,
        ).last_hidden_state
    assert hidden.requires_grad
    measured = sum(size for address, (size, _) in storages.items() if address not in weights)
    shape = Shape.of_model(config.model.path)
    assert shape is not None
    return measured, activation_bytes(config, shape, row.input_ids.numel())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_layer_keeps_what_the_plan_says(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {}
    for layers in (2, 4):
        monkeypatch.setitem(families.SIZES, "num_hidden_layers", layers)
        if "layer_types" in (values := FAMILIES[family].values):
            monkeypatch.setitem(values, "layer_types", ["sliding_attention", "full_attention"] * (layers // 2))
        folders[layers] = make_model(family, tmp_path / str(layers))
    for dtype in ("float32", "bfloat16"):
        for checkpointing in ("false", "true"):
            words = [f"model.compute_dtype={dtype}", f"model.activation_checkpointing={checkpointing}"]
            words += FAMILIES[family].settings
            few, many = (kept(compose([f"model.path={folder}", *words])) for folder in folders.values())
            ratio = (many[0] - few[0]) / (many[1] - few[1])
            # GPT-NeoX has no gate, of which the plan does not know.
            low = 0.6 if family == "GPT-NeoX" and checkpointing == "false" else 0.98
            assert low <= ratio <= 1.02, (dtype, checkpointing, ratio)
