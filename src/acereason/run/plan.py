"""What a run would do, from its settings and the model's config.json alone: no weights, no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acereason.config import Accelerator, Config, DType, EngineName, Work

BYTES = {DType.float32: 4, DType.bfloat16: 2}
NVIDIA_DRIVER = Path("/dev/nvidiactl")


def _size(count: float) -> str:
    """Bytes in the unit that suits them."""
    if count >= 2**30:
        return f"{count / 2**30:.2f} GiB"
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"


@dataclass(frozen=True)
class Shape:
    """A dense decoder of the Llama and Qwen2 kind."""

    width: int
    layers: int
    query_width: int
    kv_heads: int
    head_width: int
    inner_width: int
    vocabulary: int
    tied: bool
    biased: bool

    @classmethod
    def of(cls, model: dict[str, Any]) -> Shape:
        """From a config.json."""
        width, heads = model["hidden_size"], model["num_attention_heads"]
        head_width = model.get("head_dim") or width // heads
        return cls(
            width,
            model["num_hidden_layers"],
            heads * head_width,
            model.get("num_key_value_heads", heads),
            head_width,
            model["intermediate_size"],
            model["vocab_size"],
            bool(model.get("tie_word_embeddings")),
            bool(model.get("attention_bias", model.get("model_type") == "qwen2")),
        )

    @property
    def kv_width(self) -> int:
        """Width of the keys, and of the values, of a token in one layer."""
        return self.kv_heads * self.head_width

    @property
    def layer(self) -> int:
        """Parameters of one layer."""
        attention = 2 * self.width * self.query_width + 2 * self.width * self.kv_width
        attention += (self.query_width + 2 * self.kv_width) if self.biased else 0
        return attention + 3 * self.width * self.inner_width + 2 * self.width

    @property
    def root(self) -> int:
        """Parameters outside the layers: embeddings, head, last norm."""
        return self.vocabulary * self.width * (1 if self.tied else 2) + self.width

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.layers * self.layer + self.root


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes on one rank while the policy is trained, estimated; buffers of collectives and fragments come on top.

    Attributes:
        weights: float32 shards, of the reference policy as well where there is one.
        optimizer: float32 shards of the two moments.
        gradients: float32 shards; ranks add theirs up after every micro-batch.
        gathered: in the compute type, what FSDP has gathered: the root, the layer at work and the next one.
        gathered_gradients: of one layer: in the compute type as they come, and in float32 to be added up over ranks.
            Those of the root come when activations and the head's chunk are gone.
        activations: of one micro-batch, see `activation_bytes`.
        head: a chunk's logits and the head's gradient, in float32 and in the compute type if that is another.
    """

    weights: float
    optimizer: float
    gradients: float
    gathered: float
    gathered_gradients: float
    activations: float
    head: float

    @property
    def total(self) -> float:
        """All of it at the same time."""
        return sum(vars(self).values())

    @property
    def kept(self) -> float:
        """What stays while the engine generates."""
        return self.weights + self.optimizer


def training_memory(config: Config, shape: Shape) -> TrainingMemory:
    """The estimate for a policy of this shape."""
    model, shard = config.model, shape.parameters * 4 / (config.trainer.shard_ranks or config.trainer.ranks)
    copies = 2 if config.grpo.kl_coefficient else 1
    size = BYTES[model.compute_dtype]
    head_size = 4 if size == 4 else 4 + size
    return TrainingMemory(
        weights=copies * shard,
        optimizer=2 * shard,
        gradients=shard,
        gathered=size * (shape.root + min(2, shape.layers) * shape.layer),
        gathered_gradients=(size + 4) * shape.layer,
        activations=activation_bytes(config, shape),
        head=head_size * shape.vocabulary * (model.head_chunk_tokens + shape.width),
    )


def activation_bytes(config: Config, shape: Shape) -> float:
    """Bytes that the forward pass of one full micro-batch keeps for the backward pass.

    A token and layer keep s · (4w + 2q + 2k + 4m) + 8w bytes, with w, q, k, m the widths of residual stream, queries,
    keys and feed-forward, and s the bytes of the compute type: each of two norms its result, before and after its
    weight, and its float32 input; attention its queries, keys, values and result; the feed-forward four of its width.
    With checkpointing every layer keeps its input, s · w, and one layer at a time all of the above. Assumes eager
    layers as `transformers` has them, attention that keeps no scores, and that no response is longer than the batch.
    """
    size, tokens = BYTES[config.model.compute_dtype], config.model.micro_batch_tokens
    saved = size * (4 * shape.width + 2 * shape.query_width + 2 * shape.kv_width + 4 * shape.inner_width)
    layer = saved + 8 * shape.width
    if config.model.activation_checkpointing:
        return tokens * (shape.layers * size * shape.width + layer)
    return tokens * shape.layers * layer


@dataclass(frozen=True)
class EngineMemory:
    """Bytes on one rank of the engine's weights, and of the keys and values of one token."""

    weights: float
    kv_token: float


def engine_memory(config: Config, shape: Shape) -> EngineMemory:
    """Weights are split over the ranks of an engine; KV heads too, as long as there are enough of them."""
    size, ranks = BYTES[config.engine.dtype], config.engine.tensor_parallel_size
    kv_heads = max(shape.kv_heads / ranks, 1)
    return EngineMemory(shape.parameters * size / ranks, 2 * shape.layers * kv_heads * shape.head_width * size)


def _rank_lines(config: Config) -> list[str]:
    trainer, engine = config.trainer, config.engine
    shard, size = trainer.shard_ranks or trainer.ranks, engine.tensor_parallel_size
    work = "responses from one queue" if engine.work == Work.queue else "an equal share of the responses each"
    return [
        f"ranks        {trainer.ranks} ({max(trainer.num_nodes, 1)} node(s) × {max(trainer.devices, 1)}), "
        f"policy held {trainer.ranks // shard} time(s), in {shard} shard(s)",
        f"engines      {trainer.ranks // size} of {size} rank(s), {engine.name.value}"
        + (f", {work}" if trainer.ranks > size else ""),
    ]


def _memory_lines(config: Config, shape: Shape) -> list[str]:
    training, engine = training_memory(config, shape), engine_memory(config, shape)
    return [
        f"memory       a rank: weights {_size(training.weights)}, gradients {_size(training.gradients)}, "
        f"optimizer {_size(training.optimizer)}",
        f"             gathered layers {_size(training.gathered)}, gathered gradients "
        f"{_size(training.gathered_gradients)}, activations {_size(training.activations)}, head {_size(training.head)}",
        *(_gpu_lines if _on_gpu(config) else _cpu_lines)(config, training, engine),
    ]


def _cpu_lines(config: Config, training: TrainingMemory, engine: EngineMemory) -> list[str]:
    cache, text = 0.0, ""
    if config.engine.name == EngineName.vllm:
        cache = config.engine.kv_cache_gib * 2**30
        tokens = int(cache / engine.kv_token)
        longest = tokens // config.curriculum.max_response_tokens
        text = f", KV cache {_size(cache)}: {tokens:,} tokens or {longest:,} longest responses"
    always = engine.weights + cache
    return [
        f"             engine's weights {_size(engine.weights)}{text}",
        f"in all       training {_size(training.total + always)}, generating {_size(training.kept + always)} "
        "(on the CPU the engine does not sleep)",
    ]


def _gpu_lines(config: Config, training: TrainingMemory, engine: EngineMemory) -> list[str]:
    if config.engine.name == EngineName.transformers:
        training_total, generating = (_size(part + engine.weights) for part in (training.total, training.kept))
        return [
            f"in all       training {training_total}, generating {generating} and the KV cache as it grows "
            f"(engine's weights {_size(engine.weights)}, it does not sleep)"
        ]
    share, longest = config.engine.gpu_memory_utilization, config.curriculum.max_response_tokens * engine.kv_token
    return [
        f"             engine {share:.0%} of the device: weights {_size(engine.weights)}, KV cache the rest, "
        f"{_size(engine.kv_token)} a token, {_size(longest)} a longest response",
        f"in all       training {_size(training.total)} (the engine sleeps), "
        f"generating {_size(training.kept)} and the engine's {share:.0%}",
        f"host memory  a node: {_size(engine.weights * max(config.trainer.devices, 1))} pinned, for sleeping engines",
    ]


def _on_gpu(config: Config) -> bool:
    chosen = config.trainer.accelerator
    return chosen == Accelerator.cuda or (chosen == Accelerator.auto and NVIDIA_DRIVER.exists())


def plan_lines(config: Config) -> list[str]:
    """The plan as lines of text."""
    curriculum = config.curriculum
    responses = curriculum.prompts_per_step * curriculum.rollouts_per_prompt
    lines = [
        f"recipe       {config.recipe}, seed {config.seed}",
        f"problems     {config.problems.path} ({config.problems.domain.value}), {config.problems.held_out} held out",
        f"steps        {config.trainer.max_steps} rollout steps of {curriculum.prompts_per_step} prompts × "
        f"{curriculum.rollouts_per_prompt} rollouts, {config.grpo.updates_per_batch} update(s) each",
        f"responses    up to {curriculum.max_response_tokens:,} tokens at temperature {curriculum.temperature:g}, "
        f"at most {responses * curriculum.max_response_tokens:,} tokens a step",
        *_rank_lines(config),
        f"learning     AdamW at {curriculum.learning_rate:g}, gradients clipped at {config.optimizer.max_grad_norm:g}",
        f"run folder   {Path(config.run.root) / config.run.name}",
    ]
    file = Path(config.model.path) / "config.json"
    if not file.exists():
        return [*lines, f"model        {config.model.path} (on the hub; not looked up)"]
    shape = Shape.of(json.loads(file.read_text()))
    lines.append(f"model        {config.model.path}, {shape.parameters:,} parameters")
    return lines + _memory_lines(config, shape)


def print_plan(config: Config) -> None:
    """Prints the plan."""
    print("\n".join(plan_lines(config)), flush=True)
