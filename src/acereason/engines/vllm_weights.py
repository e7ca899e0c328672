"""Weight sync into a vLLM engine: weights are loaded in place and compared with what was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from acereason.engines.fingerprint import EMBEDDINGS, HEAD, EngineSum, Fingerprint, tensor_sums


def sync_weights(
    llm: Any,
    weights: Iterable[tuple[str, Tensor]],
    dtype: torch.dtype,
    summed: Callable[[Tensor], Tensor],
    dropped: bool = False,
) -> None:
    """Give an engine new weights, one tensor at a time; little more than one is held beside the engine's own.

    Args:
        llm: the `vllm.LLM`, with no request running.
        weights: (Hugging Face name, whole tensor).
        dtype: the engine's.
        summed: adds a CPU tensor up over the ranks of the engine.
        dropped: whether the engine has lost its weights in its sleep.

    Raises:
        WeightMismatchError: the engine does not have the weights it was sent.
    """
    fingerprint = Fingerprint(llm.apply_model(_fused_names)[0])
    in_place = llm.apply_model(_vocabulary_weights)[0]
    others = _without(fingerprint.watch(weights, dtype), in_place)
    llm.collective_rpc("reload_weights", kwargs={"weights_iterator": others})
    llm.apply_model(_repack_head)
    fingerprint.check(llm.apply_model(_weight_sums)[0], summed, dropped)


def _fused_names(model: Any) -> dict[str, str]:
    """Return the tensor that vLLM fuses `q_proj`, `k_proj` … into, by their names."""
    mapping: dict[str, list[str]] = getattr(model, "packed_modules_mapping", {})
    return {part: fused for fused, parts in mapping.items() for part in parts}


@torch.no_grad()
def _weight_sums(model: Any) -> dict[str, EngineSum]:
    """Return the sums over this rank's tensors, by vLLM's names; packed ones are added up by computing with them."""
    from vllm.distributed import get_tensor_model_parallel_world_size
    from vllm.model_executor.layers.linear import ColumnParallelLinear, RowParallelLinear
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead, VocabParallelEmbedding

    sums, ranks = {}, get_tensor_model_parallel_world_size()
    for path, module in model.named_modules():
        if getattr(module, "num_kv_head_replicas", 1) > 1:
            continue  # keys and values are on several ranks, queries on one: a sum over ranks would mean nothing
        for name, parameter in module.named_parameters(recurse=False):
            row_bias = isinstance(module, RowParallelLinear) and name == "bias"
            split = isinstance(module, ColumnParallelLinear | RowParallelLinear | VocabParallelEmbedding)
            replicas = 1 if split and not row_bias else ranks
            # Embeddings are looked up in the parameter itself, whatever other copies vLLM keeps of them.
            looked_up = isinstance(module, VocabParallelEmbedding) and not isinstance(module, ParallelLMHead)
            if name == "weight" and hasattr(module, "cpu_linear") and not looked_up:
                sums[f"{path}.{name}"] = EngineSum(_packed_sum(module), replicas, torch.finfo(parameter.dtype).eps)
            else:
                sums[f"{path}.{name}"] = EngineSum(tensor_sums(parameter)[0].item(), replicas, 0.0)
    return sums


def _packed_sum(module: Any) -> float:
    """Return the sum over a weight that only its kernel can read: the sum of its product with ones."""
    width = getattr(module, "input_size_per_partition", None) or module.embedding_dim
    dtype = module.weight.dtype
    return float(module.quant_method.apply(module, torch.ones(1, width, dtype=dtype), None).sum(dtype=torch.float64))


def _vocabulary_weights(model: Any) -> dict[str, Any]:
    """Return embeddings and head, by far the largest weights; `reload_weights` would hold a second copy of each."""
    return {name: p for name, p in model.named_parameters() if name in (EMBEDDINGS, HEAD)}


def _without(weights: Iterable[tuple[str, Tensor]], in_place: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Copy the weights that are `in_place` to where they belong, and yield the others."""
    for name, tensor in weights:
        if name in in_place:
            in_place[name].weight_loader(in_place[name], tensor)
        else:
            yield name, tensor


def _repack_head(model: Any) -> None:
    """Pack the head's new weights: on the CPU it computes with a packed copy."""
    model.lm_head.quant_method.process_weights_after_loading(model.lm_head)
