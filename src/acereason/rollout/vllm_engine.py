"""vLLM inside the training process. Every call to vLLM's API is in this file, because that API drifts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import find_free_network_port
from torch import Tensor

from acereason.config import EngineConfig
from acereason.rollout.engine import Generation, Request, Sampling


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


class VLLMEngine:
    """A vLLM engine that shares its process, and its device, with the policy.

    Requests are sampled one by one, each with its own seed, so that a response depends on nothing but the weights, its
    prompt and its seed: not on the batch, nor on what was generated before.
    """

    def __init__(self, model_path: str, config: EngineConfig, max_model_len: int, device: torch.device) -> None:
        _set_environment()
        from vllm import LLM

        options: dict[str, Any] = {
            "model": model_path,
            "dtype": config.dtype.value,
            "max_model_len": max_model_len,
            "max_num_seqs": config.max_num_seqs,
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
            options |= {"gpu_memory_utilization": config.gpu_memory_utilization}
        self._llm = LLM(**(options | config.options))
        self._engine = self._llm.llm_engine
        self._requests_made = 0

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Generation]:
        """See `Engine.generate`. Closing the iterator early aborts what is still running."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        numbers: dict[str, int] = {}
        for request in requests:
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
            numbers[name] = request.id
            self._engine.add_request(name, {"prompt_token_ids": list(request.prompt_ids)}, parameters)
        try:
            while self._engine.has_unfinished_requests():
                for output in self._engine.step():
                    if output.finished:
                        yield _generation(numbers.pop(output.request_id), output.outputs[0])
        finally:
            if numbers:
                self._engine.abort_request(list(numbers))

    def sync(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """See `Engine.sync`. One tensor at a time: the whole model never exists twice outside the engine."""
        self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(weights)})
        self._llm.apply_model(_repack_tied_head)
        if not self._llm.reset_prefix_cache():
            raise RuntimeError("vLLM kept its prefix cache across a weight sync; requests were still running")

    def close(self) -> None:
        """See `Engine.close`."""
        self._engine.engine_core.shutdown()


def _repack_tied_head(model: Any) -> None:
    """A tied head shares the new embeddings, but on the CPU it computes with a packed copy of the old ones."""
    if getattr(model.config, "tie_word_embeddings", False):
        model.lm_head.quant_method.process_weights_after_loading(model.lm_head)


def _generation(request_id: int, completion: Any) -> Generation:
    logprobs = tuple(completion.logprobs.logprobs)
    ids = tuple(completion.token_ids)
    if len(logprobs) != len(ids):
        raise RuntimeError(f"vLLM returned {len(logprobs)} log-probs for {len(ids)} tokens")
    return Generation(request_id, ids, logprobs, completion.finish_reason == "length")
