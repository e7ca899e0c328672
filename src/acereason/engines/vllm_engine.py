"""vLLM inside the training process.

Its API changes often: every call to it is in this file or in `vllm_weights.py`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import find_free_network_port
from torch import Tensor

from acereason.config.schema import EngineConfig, Sleep
from acereason.distributed.collectives import gather
from acereason.engines.engine import Generation, Request, Sampling, never
from acereason.engines.vllm_weights import sync_weights
from acereason.errors import UserError


def _set_environment(batch_invariant: bool) -> None:
    """Set what vLLM reads from the environment at import; variables that are set already, as by torchrun, stay."""
    if batch_invariant:
        os.environ["VLLM_BATCH_INVARIANT"] = "1"
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    # On the CPU, attention that splits its keys depending on the batch makes log-probs differ in their last bit.
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
    """Give the memory in which an engine's ranks on the CPU exchange tensors a unique name; return a part of it.

    vLLM's own name is the same for all runs: two runs at once, or one after a killed one, would share the memory.
    """
    from vllm.distributed.device_communicators.cpu_communicator import _CPUSHMDistributed

    name = f"acereason-{gather(secrets.token_hex(8))[0]}"

    def group_name(communicator: Any) -> str:
        return "-".join([name, communicator.unique_name, *map(str, communicator.ranks)])

    _CPUSHMDistributed.make_group_name = staticmethod(group_name)
    return name


def _unlink_shared_memory(name: str) -> None:
    """Unlink the shared memory once all ranks have mapped it, so that a killed run leaves none behind."""
    gather(None)
    for path in Path("/dev/shm").glob(f"*{name}*"):
        path.unlink(missing_ok=True)


def _head_sizes(model: Any) -> set[int]:
    from vllm.model_executor.layers.attention import Attention

    return {module.head_size for module in model.modules() if isinstance(module, Attention)}


def _check_head_sizes(llm: Any, model_path: str) -> None:
    """Refuse heads that vLLM's attention on the CPU cannot compute, which it would say at the first token."""
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    sizes = CPUAttentionBackend.get_supported_head_sizes()
    if others := llm.apply_model(_head_sizes)[0] - set(sizes):
        raise UserError(
            f"model.path={model_path}: vLLM's attention on the CPU has no heads of size {min(others)}, only of "
            f"{', '.join(map(str, sizes))}; use engine.name=transformers or a GPU"
        )


class VLLMEngine:
    """A vLLM engine that shares its process, and its device, with the policy.

    Each request has its own seed, so that on the CPU, and on GPUs with `engine.batch_invariant`, a response depends on
    nothing but the weights, its prompt and its seed: not on the batch, nor on what was generated before. Other kernels
    of GPUs round differently in other batches. The ranks of a tensor-parallel engine run the same requests in step; all
    of them make the same calls.

    Args:
        model_path: folder or hub name of the initial policy.
        config: settings.
        max_model_len: longest prompt and response together, tokens.
        device: of the policy.
        summed: adds a CPU tensor up over the ranks of the engine.

    Attributes:
        llm: vLLM's own entry point to the engine.

    Raises:
        UserError: vLLM cannot run the model, or not on the CPU, or `engine.batch_invariant` is set there.
    """

    def __init__(
        self,
        model_path: str,
        config: EngineConfig,
        max_model_len: int,
        device: torch.device,
        summed: Callable[[Tensor], Tensor] = torch.clone,
    ) -> None:
        if config.batch_invariant and device.type == "cpu":
            message = "the kernels of the CPU are batch-invariant without it, and vLLM has others for GPUs alone"
            raise UserError(f"engine.batch_invariant=true: {message}; leave it out")
        _set_environment(config.batch_invariant)
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
            # A seeded request whose prefill is split fails on the CPU (its generator cannot be rewound), so prompts are
            # never split there; eager mode avoids a compilation that does not pay off at this size.
            options |= {
                "kv_cache_memory_bytes": int(config.kv_cache_gib * 2**30),
                "enforce_eager": True,
                "enable_chunked_prefill": False,
                "max_num_batched_tokens": max(8192, max_model_len),
            }
        else:
            options |= {"gpu_memory_utilization": config.gpu_memory_utilization, "enable_sleep_mode": True}
        shared_memory = _name_shared_memory() if config.tensor_parallel_size > 1 and device.type == "cpu" else None
        try:
            self.llm = LLM(**(options | config.options))
        except (ValueError, AssertionError, NotImplementedError) as error:
            raise UserError(f"model.path={model_path}: vLLM cannot run it: {' '.join(str(error).split())}") from error
        if device.type == "cpu":
            _check_head_sizes(self.llm, model_path)
        if shared_memory:
            _unlink_shared_memory(shared_memory)
        self._engine = self.llm.llm_engine
        self._core = self._engine.engine_core
        self._dtype = getattr(torch, config.dtype.value)
        self._max_num_seqs = config.max_num_seqs
        self._summed = summed
        self._can_sleep, self._asleep = device.type == "cuda", False
        self._keeps_weights = config.sleep is Sleep.keep
        self._requests_made = 0

    def generate(
        self,
        requests: Iterable[Request],
        sampling: Sampling,
        concurrency: int | None = None,
        should_stop: Callable[[], bool] = never,
    ) -> Iterator[Generation]:
        """See `Engine.generate`. Closing the iterator early aborts the requests that are still running."""
        self._wake()
        waiting, running = iter(requests), dict[str, _Response]()
        room = min(concurrency or self._max_num_seqs, self._max_num_seqs)
        try:
            while not should_stop():
                while len(running) < room and (request := next(waiting, None)) is not None:
                    running[self._add(request, sampling)] = _Response(request.id)
                if not running:
                    return
                # vLLM's own `step` would also make, for each token of each response, what only servers need of it.
                for output in self._core.get_output().outputs:
                    if running[output.request_id].extend(output):
                        yield running.pop(output.request_id).generation(output.finish_reason)
        finally:
            if running:
                self._core.abort_requests(list(running))

    def _add(self, request: Request, sampling: Sampling) -> str:
        """Add a request to vLLM; return its name there."""
        from vllm import SamplingParams

        name = str(self._requests_made)
        self._requests_made += 1
        parameters = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            ignore_eos=sampling.ignore_eos,
            seed=request.seed,
            logprobs=0,
            detokenize=False,
            skip_clone=True,
        )
        prompt = {"type": "token", "prompt_token_ids": list(request.prompt_ids)}
        tasks = self._engine.get_supported_tasks()
        self._core.add_request(self._engine.input_processor.process_inputs(name, prompt, parameters, tasks))
        return name

    def sync(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """See `Engine.sync`. One tensor at a time: the whole model never exists twice outside the engine.

        A sleeping engine allocates memory for its weights first, and for its cache only after the sync.

        Raises:
            WeightMismatchError: the engine does not have the weights it was sent.
        """
        if self._asleep:
            self.llm.wake_up(tags=["weights"])
        dropped = self._asleep and not self._keeps_weights
        sync_weights(self.llm, weights, self._dtype, self._summed, dropped)
        if self._asleep:
            torch.cuda.empty_cache()
            self.llm.wake_up(tags=["kv_cache"])
            self._asleep = False
        if not self.llm.reset_prefix_cache():
            raise RuntimeError("vLLM kept its prefix cache across a weight sync; requests were still running")

    def sleep(self) -> None:
        """See `Engine.sleep`: the cache is dropped, weights as `engine.sleep` says. On the CPU this does nothing."""
        if self._can_sleep and not self._asleep:
            self.llm.sleep(level=1 if self._keeps_weights else 2)
            self._asleep = True

    def _wake(self) -> None:
        if self._asleep:
            if not self._keeps_weights:
                raise RuntimeError(
                    "the engine dropped its weights when it went to sleep: sync it before it generates, or set "
                    "engine.sleep=keep"
                )
            self.llm.wake_up()
            self._asleep = False

    def close(self) -> None:
        """See `Engine.close`."""
        self._core.shutdown()


class _Response:
    """The tokens of a response, and their log-probs, as vLLM samples them."""

    def __init__(self, request_id: int) -> None:
        self._request_id = request_id
        self._ids: list[int] = []
        self._logprobs: list[float] = []

    def extend(self, output: Any) -> bool:
        """Take what one step sampled; return whether the response is finished."""
        self._ids += output.new_token_ids
        if output.new_logprobs is not None:
            self._logprobs += output.new_logprobs.logprobs[:, 0].tolist()
        return output.finish_reason is not None

    def generation(self, reason: Any) -> Generation:
        """Return the whole response.

        Raises:
            RuntimeError: vLLM did not end it by its end token or its length.
        """
        from vllm.v1.engine import FinishReason

        if reason not in (FinishReason.STOP, FinishReason.LENGTH):
            raise RuntimeError(f"vLLM ended a response by itself: {reason}")
        if len(self._logprobs) != len(self._ids):
            raise RuntimeError(f"vLLM returned {len(self._logprobs)} log-probs for {len(self._ids)} tokens")
        return Generation(self._request_id, tuple(self._ids), tuple(self._logprobs), reason == FinishReason.LENGTH)
