"""Weight sync into a vLLM engine: weights are loaded in place and compared with what was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from acereason.engines.fingerprint import UNKNOWN, EngineSum, Fingerprint, tensor_sums

PACKED = " (packed)"
"""End of the name of the copy that the CPU computes with."""


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
    name_of = llm.apply_model(_engine_names)[0]
    fingerprint = Fingerprint(name_of)
    vocabulary = llm.apply_model(_vocabulary_weights)[0]
    others = _without(fingerprint.watch(weights, dtype), vocabulary, name_of)
    llm.collective_rpc("reload_weights", kwargs={"weights_iterator": others})
    llm.apply_model(_repack_vocabulary)
    sums, copies = llm.apply_model(_weight_sums)[0]
    fingerprint.check(sums, summed, copies, dropped)


def _engine_names(model: Any) -> Callable[[str], str]:
    """Return the function that maps a Hugging Face name to vLLM's, of the tensor that `q_proj`, `k_proj` … are in."""
    mapper = getattr(model, "hf_to_vllm_mapper", None)
    fused: dict[str, list[str]] = getattr(model, "packed_modules_mapping", {})
    whole = {part: name for name, parts in fused.items() for part in parts}

    def engine_name(name: str) -> str:
        mapped: str = (mapper.map_name(name) if mapper else None) or name
        return ".".join(whole.get(part, part) for part in mapped.split("."))

    return engine_name


@torch.no_grad()
def _weight_sums(model: Any) -> tuple[dict[str, EngineSum], dict[str, str]]:
    """Return the sums over this rank's tensors, by vLLM's names, and which of them are copies of which others.

    A tensor that the CPU computes with in packed form is added up by computing with it, as a copy.
    """
    from vllm.distributed import get_tensor_model_parallel_world_size
    from vllm.model_executor.layers.linear import ColumnParallelLinear, RowParallelLinear
    from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding

    sums: dict[str, EngineSum] = {}
    copies, first, ranks = dict[str, str](), dict[int, str](), get_tensor_model_parallel_world_size()
    for path, module in model.named_modules():
        split = isinstance(module, ColumnParallelLinear | RowParallelLinear | VocabParallelEmbedding)
        in_vocabulary = isinstance(module, VocabParallelEmbedding)
        for name, parameter in module.named_parameters(recurse=False):
            full_name, row_bias = f"{path}.{name}", isinstance(module, RowParallelLinear) and name == "bias"
            replicas = 1 if split and not row_bias else ranks
            packed = name == "weight" and hasattr(module, "cpu_linear")
            if getattr(module, "num_kv_head_replicas", 1) > 1:
                sums[full_name] = UNKNOWN  # keys and values are on several ranks, queries on one
                continue
            if packed:
                eps = torch.finfo(parameter.dtype).eps
                sums[full_name + PACKED] = EngineSum(_packed_sum(module), replicas, eps)
            if in_vocabulary or not packed:  # embeddings are looked up in the parameter itself
                sums[full_name] = EngineSum(tensor_sums(parameter)[0].item(), replicas, 0.0)
            else:
                sums[full_name] = sums.pop(full_name + PACKED)
            if first.setdefault(id(parameter), full_name) != full_name:
                copies[full_name] = first[id(parameter)]
            if full_name + PACKED in sums:
                copies[full_name + PACKED] = first[id(parameter)]
    return sums, copies


def _packed_sum(module: Any) -> float:
    """Return the sum over a weight that only its kernel can read: the sum of its product with ones."""
    width = getattr(module, "input_size_per_partition", None) or module.embedding_dim
    dtype = module.weight.dtype
    return float(module.quant_method.apply(module, torch.ones(1, width, dtype=dtype), None).sum(dtype=torch.float64))


def _vocabulary_weights(model: Any) -> dict[str, Any]:
    """Return embeddings and head, by far the largest weights; `reload_weights` would hold a second copy of each."""
    from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding

    found = [(path, module) for path, module in model.named_modules() if isinstance(module, VocabParallelEmbedding)]
    return {f"{path}.weight": module.weight for path, module in found}


def _without(
    weights: Iterable[tuple[str, Tensor]], in_place: dict[str, Any], name_of: Callable[[str], str]
) -> Iterator[tuple[str, Tensor]]:
    """Copy the weights that are `in_place`, by vLLM's names, to where they belong, and yield the others."""
    for name, tensor in weights:
        if (parameter := in_place.get(name_of(name))) is not None:
            parameter.weight_loader(parameter, tensor)
        else:
            yield name, tensor


def _repack_vocabulary(model: Any) -> None:
    """Pack what was copied in place: on the CPU logits are computed with a packed copy of the head.

    The head may be a module of its own, one that shares the embeddings' weight, or the embeddings' module (Gemma 2).
    """
    from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding

    for module in model.modules():
        if isinstance(module, VocabParallelEmbedding) and hasattr(module, "cpu_linear"):
            module.quant_method.process_weights_after_loading(module)
