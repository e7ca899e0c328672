"""vLLM inside the training process. Every call to vLLM's API is in this file, because that API drifts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import find_free_network_port
from torch import Tensor

from acereason.config import EngineConfig
from acereason.ranks.collectives import gather
from acereason.rollout.engine import Generation, Request, Sampling, never
from acereason.rollout.fingerprint import EMBEDDINGS, HEAD, EngineSum, Fingerprint


def _set_environment() -> None:
    """What vLLM reads from the environment at import; the ranks are torchrun's where it set them."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    # On the CPU, attention that splits its keys by the load of the batch makes log-probs differ in their last bit.
    os.environ.setdefault("VLLM_CPU_ATTN_SPLIT_KV", "0")
    for name, value in {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(find_free_network_port()),
    }.items():
        os.environ.setdefault(name, value)


def _name_shared_memory() -> str:
    """Has vLLM name the memory that the ranks of an engine on the CPU exchange tensors in; returns a part of the name.

    Its own name is the same for all runs: two of them, or one after one that was killed, would meet.
    """
    from vllm.distributed.device_communicators.cpu_communicator import _CPUSHMDistributed

    name = f"acereason-{gather(secrets.token_hex(8))[0]}"

    def group_name(communicator: Any) -> str:
        return "-".join([name, communicator.unique_name, *map(str, communicator.ranks)])

    _CPUSHMDistributed.make_group_name = staticmethod(group_name)
    return name


def _unlink_shared_memory(name: str) -> None:
    """Takes the names away once all ranks have it mapped, so that a killed run leaves none of it behind."""
    gather(None)
    for path in Path("/dev/shm").glob(f"*{name}*"):
        path.unlink(missing_ok=True)


class VLLMEngine:
    """A vLLM engine that shares its process, and its device, with the policy.

    Requests are sampled one by one, each with its own seed, so that a response depends on nothing but the weights, its
    prompt and its seed: not on the batch, nor on what was generated before. The ranks of a tensor-parallel engine run
    the same requests in step; each of them calls every method alike.

    Args:
        model_path: folder or hub name of the initial policy.
        config: settings.
        max_model_len: longest prompt and response together, tokens.
        device: the policy's.
        summed: adds a CPU tensor up over the ranks of the engine.
    """

    def __init__(
        self,
        model_path: str,
        config: EngineConfig,
        max_model_len: int,
        device: torch.device,
        summed: Callable[[Tensor], Tensor] = torch.clone,
    ) -> None:
        _set_environment()
        from vllm import LLM

        options: dict[str, Any] = {
            "model": model_path,
            "dtype": config.dtype.value,
            "max_model_len": max_model_len,
            "max_num_seqs": config.max_num_seqs,
            "tensor_parallel_size": config.tensor_parallel_size,
            "distributed_executor_backend": "external_launcher",
            "logprobs_mode": "processed_logprobs",
            "enable_prefix_caching": True,
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
            "seed": 0,
        }
        if device.type == "cpu":
            # A seeded request whose prefill is split fails on the CPU (its generator cannot be wound back), so prompts
            # are never split there; eager mode spares a compilation that does not pay for itself at this size.
            options |= {
                "kv_cache_memory_bytes": int(config.kv_cache_gib * 2**30),
                "enforce_eager": True,
                "enable_chunked_prefill": False,
                "max_num_batched_tokens": max(8192, max_model_len),
            }
        else:
            options |= {"gpu_memory_utilization": config.gpu_memory_utilization, "enable_sleep_mode": True}
        shared_memory = _name_shared_memory() if config.tensor_parallel_size > 1 and device.type == "cpu" else None
        self._llm = LLM(**(options | config.options))
        if shared_memory:
            _unlink_shared_memory(shared_memory)
        self._engine = self._llm.llm_engine
        self._dtype = getattr(torch, config.dtype.value)
        self._max_num_seqs = config.max_num_seqs
        self._summed = summed
        self._can_sleep, self._asleep = device.type == "cuda", False
        self._requests_made = 0

    def generate(
        self,
        requests: Iterable[Request],
        sampling: Sampling,
        concurrency: int | None = None,
        should_stop: Callable[[], bool] = never,
    ) -> Iterator[Generation]:
        """See `Engine.generate`. Closing the iterator early aborts what is still running."""
        self._wake()
        waiting, numbers = iter(requests), dict[str, int]()
        room = min(concurrency or self._max_num_seqs, self._max_num_seqs)
        try:
            while not should_stop():
                while len(numbers) < room and (request := next(waiting, None)) is not None:
                    numbers[self._add(request, sampling)] = request.id
                if not numbers:
                    return
                for output in self._engine.step():
                    if output.finished:
                        yield _generation(numbers.pop(output.request_id), output.outputs[0])
        finally:
            if numbers:
                self._engine.abort_request(list(numbers))

    def _add(self, request: Request, sampling: Sampling) -> str:
        """Hands a request to vLLM; returns the name it goes by there."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        name = str(self._requests_made)
        self._requests_made += 1
        parameters = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            ignore_eos=sampling.ignore_eos,
            seed=request.seed,
            logprobs=0,
            flat_logprobs=True,
            detokenize=False,
            skip_clone=True,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        self._engine.add_request(name, {"prompt_token_ids": list(request.prompt_ids)}, parameters)
        return name

    def sync(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """See `Engine.sync`. One tensor at a time: the whole model never exists twice outside the engine.

        A sleeping engine gets its weights' memory back first and that of the cache only after the sync.

        Raises:
            WeightMismatchError: the engine does not have the weights it was sent.
        """
        if self._asleep:
            self._llm.wake_up(tags=["weights"])
        fingerprint = Fingerprint(self._llm.apply_model(_fused_names)[0])
        watched = fingerprint.watch(weights, self._dtype)
        in_place = self._llm.apply_model(_vocabulary_weights)[0]
        others = _without(watched, in_place)
        self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": others})
        self._llm.apply_model(_repack_head)
        fingerprint.check(self._llm.apply_model(_weight_sums)[0], self._summed)
        if self._asleep:
            torch.cuda.empty_cache()
            self._llm.wake_up(tags=["kv_cache"])
            self._asleep = False
        if not self._llm.reset_prefix_cache():
            raise RuntimeError("vLLM kept its prefix cache across a weight sync; requests were still running")

    def sleep(self) -> None:
        """See `Engine.sleep`: weights go to host memory, the cache is dropped. On the CPU nothing would be gained."""
        if self._can_sleep and not self._asleep:
            self._llm.sleep(level=1)
            self._asleep = True

    def _wake(self) -> None:
        if self._asleep:
            self._llm.wake_up()
            self._asleep = False

    def close(self) -> None:
        """See `Engine.close`."""
        self._engine.engine_core.shutdown()


def _vocabulary_weights(model: Any) -> dict[str, Any]:
    """Embeddings and head, the largest weights by far; `reload_weights` would hold each a second time."""
    return {name: p for name, p in model.named_parameters() if name in (EMBEDDINGS, HEAD)}


def _without(weights: Iterable[tuple[str, Tensor]], in_place: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Copies some weights to where they belong at once and passes the others on."""
    for name, tensor in weights:
        if name in in_place:
            in_place[name].weight_loader(in_place[name], tensor)
        else:
            yield name, tensor


def _repack_head(model: Any) -> None:
    """On the CPU the head computes with a packed copy of its weights, which are new now."""
    model.lm_head.quant_method.process_weights_after_loading(model.lm_head)


def _fused_names(model: Any) -> dict[str, str]:
    """For `q_proj`, `k_proj` … the tensor that vLLM fuses them into."""
    mapping: dict[str, list[str]] = getattr(model, "packed_modules_mapping", {})
    return {part: fused for fused, parts in mapping.items() for part in parts}


@torch.no_grad()
def _weight_sums(model: Any) -> dict[str, EngineSum]:
    """What this rank's part of the engine holds, by vLLM's names; packed layers are added up by computing with them."""
    from vllm.distributed import get_tensor_model_parallel_world_size
    from vllm.model_executor.layers.linear import ColumnParallelLinear, RowParallelLinear
    from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding

    sums, ranks = {}, get_tensor_model_parallel_world_size()
    for path, module in model.named_modules():
        if getattr(module, "num_kv_head_replicas", 1) > 1:
            continue  # keys and values lie on several ranks, queries on one: no sum over ranks means anything
        for name, parameter in module.named_parameters(recurse=False):
            row_bias = isinstance(module, RowParallelLinear) and name == "bias"
            split = isinstance(module, ColumnParallelLinear | RowParallelLinear | VocabParallelEmbedding)
            replicas = 1 if split and not row_bias else ranks
            if name == "weight" and hasattr(module, "cpu_linear"):
                sums[f"{path}.{name}"] = EngineSum(_packed_sum(module), replicas, torch.finfo(parameter.dtype).eps)
            else:
                sums[f"{path}.{name}"] = EngineSum(parameter.sum(dtype=torch.float64).item(), replicas, 0.0)
    return sums


def _packed_sum(module: Any) -> float:
    """Sum over a weight that only its kernel can read: that of its product with ones."""
    width = getattr(module, "input_size_per_partition", None) or module.embedding_dim
    dtype = module.weight.dtype
    return float(module.quant_method.apply(module, torch.ones(1, width, dtype=dtype), None).sum(dtype=torch.float64))


def _generation(request_id: int, completion: Any) -> Generation:
    logprobs = tuple(completion.logprobs.logprobs)
    ids = tuple(completion.token_ids)
    if len(logprobs) != len(ids):
        raise RuntimeError(f"vLLM returned {len(logprobs)} log-probs for {len(ids)} tokens")
    return Generation(request_id, ids, logprobs, completion.finish_reason == "length")
