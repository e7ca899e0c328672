"""The plan's lines about memory: of one rank, by component, in training and in generation."""

from __future__ import annotations

from acereason.config.schema import Config, EngineName
from acereason.planning.host_memory import HostMemory, host_memory
from acereason.planning.memory import EngineMemory, Shape, TrainingMemory, engine_memory, on_gpu, training_memory

GIB = 2**30
INDENT = " " * 13


def memory_lines(config: Config, shape: Shape, longest: int, largest_step: int) -> list[str]:
    """Return the estimate in words.

    Args:
        config: settings.
        shape: of the policy.
        longest: longest response that training may ask for, in tokens.
        largest_step: responses of the largest rollout step, over all ranks.
    """
    training, engine = training_memory(config, shape, longest), engine_memory(config, shape)
    longest_held = max(longest, config.evaluation.max_response_tokens)
    lines = [
        f"memory       a rank, responses of {longest:,} tokens: weights {_size(training.weights)}, "
        f"gradients {_size(training.gradients)}, optimizer {_size(training.optimizer)}"
        + (f", in transit {_size(training.staged)}" if training.staged else ""),
        f"{INDENT}gathered layers {_size(training.gathered)}, gathered gradients "
        f"{_size(training.gathered_gradients)}, activations {_size(training.activations)}, head {_size(training.head)}",
    ]
    if longest >= config.model.micro_batch_tokens:
        limit = f"model.micro_batch_tokens={config.model.micro_batch_tokens}"
        lines.append(f"{INDENT}a response of {longest:,} tokens is a micro-batch by itself: {limit}")
    if not on_gpu(config):
        return lines + _cpu_lines(config, training, engine, longest_held)
    host = _host_line(config, engine, host_memory(config, shape))
    if config.engine.name == EngineName.transformers:
        return [*lines, *_transformers_lines(training, engine), host]
    if not config.trainer.device_memory_gib:
        return [*lines, *_unknown_gpu_lines(config, training, engine, longest_held), host]
    found = _gpu_lines(config, training, engine, longest_held, largest_step)
    return [*lines, *found, host, *_misfits(config, training, engine, longest_held)]


def _size(count: float) -> str:
    """Bytes in the unit that suits them."""
    if count >= GIB:
        return f"{count / GIB:.2f} GiB"
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"


def _held(cache: float, engine: EngineMemory, longest: int) -> str:
    """Return in words what a cache of so many bytes on each rank holds."""
    tokens = int(max(cache, 0) / engine.kv_token)
    return f"{tokens:,} tokens or {tokens // longest:,} longest responses"


def _cpu_lines(config: Config, training: TrainingMemory, engine: EngineMemory, longest: int) -> list[str]:
    cache, text = 0.0, ""
    if config.engine.name == EngineName.vllm:
        cache = config.engine.kv_cache_gib * GIB
        text = f", KV cache {_size(cache)}: {_held(cache, engine, longest)}"
    always = engine.weights + cache
    return [
        f"{INDENT}engine's weights {_size(engine.weights)}{text}",
        f"in all       training {_size(training.total + always)}, generating {_size(training.kept + always)} "
        "(on the CPU the engine does not sleep)",
    ]


def _transformers_lines(training: TrainingMemory, engine: EngineMemory) -> list[str]:
    total, generating = (_size(part + engine.weights) for part in (training.total, training.kept))
    return [
        f"in all       training {total}, generating {generating} and the KV cache as it grows "
        f"(engine's weights {_size(engine.weights)}, it does not sleep)"
    ]


def _host_line(config: Config, engine: EngineMemory, host: HostMemory) -> str:
    """Return the host memory of a node in words; of pinned memory as much as torch takes, however it rounds."""
    ranks = max(config.trainer.devices, 1)
    parts = []
    if config.model.cpu_offload:
        parts.append(f"{_size(ranks * host.policy)} for weights, gradients and optimizer")
    if host.engine:
        parts.append(f"{_size(ranks * host.engine)} for sleeping engines of {_size(ranks * engine.weights)}")
    if not parts:
        return "host memory  no weights: sleeping engines drop theirs"
    return f"host memory  a node: {', '.join(parts)}; {_size(ranks * host.pinned)} is pinned"


def _unknown_gpu_lines(config: Config, training: TrainingMemory, engine: EngineMemory, longest: int) -> list[str]:
    part = config.engine.gpu_memory_utilization
    return [
        f"{INDENT}engine {part:.0%} of the device: weights {_size(engine.weights)}, KV cache the rest, "
        f"{_size(engine.kv_token)} a token, {_size(longest * engine.kv_token)} a longest response",
        f"in all       training {_size(training.total)} (the engine sleeps), "
        f"generating {_size(training.kept)} and the engine's {part:.0%}",
    ]


def _gpu_lines(
    config: Config, training: TrainingMemory, engine: EngineMemory, longest: int, largest_step: int
) -> list[str]:
    gib, part = config.trainer.device_memory_gib, config.engine.gpu_memory_utilization
    device = gib * GIB
    cache, generating = part * device - engine.weights, training.kept + part * device
    share = -(-largest_step * config.engine.tensor_parallel_size // config.trainer.ranks)
    return [
        f"{INDENT}engine {part:.0%} of {gib:g} GiB: weights {_size(engine.weights)}, the rest buffers and KV cache:",
        f"{INDENT}at most {_size(max(cache, 0))}, {_held(cache, engine, longest)}; an even share of a step is {share}",
        f"in all       training {_size(training.total)} (the engine sleeps), generating {_size(generating)}, "
        f"of {gib:g} GiB",
    ]


def _misfits(config: Config, training: TrainingMemory, engine: EngineMemory, longest: int) -> list[str]:
    """Return what does not fit on the GPU, and what to do about it."""
    device = config.trainer.device_memory_gib * GIB
    engines = config.engine.gpu_memory_utilization * device
    found = {
        "training: shard over more ranks, model.activation_checkpointing=true, a smaller model.micro_batch_tokens, "
        "or model.cpu_offload=true": training.total > device,
        "generating: lower engine.gpu_memory_utilization": training.kept + engines > device,
        "one longest response in the KV cache: raise engine.gpu_memory_utilization or engine.tensor_parallel_size": (
            engines - engine.weights < longest * engine.kv_token
        ),
    }
    return [f"DOES NOT FIT {text}" for text, holds in found.items() if holds]
