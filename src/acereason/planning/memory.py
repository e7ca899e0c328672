"""Memory of one rank, estimated from the settings and the model's config.json alone: no weights, no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acereason.config.known_models import KNOWN_MODELS
from acereason.config.schema import Accelerator, Config, DType

NVIDIA_DRIVER = Path("/dev/nvidiactl")
BYTES = {DType.float32: 4, DType.bfloat16: 2, DType.float16: 2}


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
        """Return the shape that a config.json describes."""
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

    @classmethod
    def of_model(cls, path: str) -> Shape | None:
        """Return the shape of `model.path`, from its folder or by its hub name; None if unknown or of another kind."""
        file = Path(path) / "config.json"
        values = json.loads(file.read_text()) if file.exists() else KNOWN_MODELS.get(path)
        try:
            return cls.of(values) if values else None
        except KeyError:
            return None

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
    """Estimated bytes on one rank while the policy trains; buffers of collectives and fragmentation come on top.

    Attributes:
        weights: float32 shards, of the reference policy as well where there is one; 0 if offloaded.
        optimizer: float32 shards of the two moments; 0 if offloaded.
        gradients: float32 shards; ranks sum theirs after every micro-batch; 0 if offloaded.
        staged: float32 shards of two layers and of a layer's gradient between host and GPU; 0 unless offloaded.
        gathered: in the compute type, what FSDP has gathered: the root, the current layer and the next one.
        gathered_gradients: of one layer, in the compute type and in float32, in which they are summed over ranks.
            Those of the root come when activations and the head's chunk are freed.
        activations: of one micro-batch and its mask, see `activation_bytes` and `mask_bytes`.
        head: a chunk's logits and the head's gradient, in float32 and in the compute type if that is another.
    """

    weights: float
    optimizer: float
    gradients: float
    staged: float
    gathered: float
    gathered_gradients: float
    activations: float
    head: float

    @property
    def total(self) -> float:
        """Everything at the same time."""
        return sum(vars(self).values())

    @property
    def kept(self) -> float:
        """What stays while the engine generates."""
        return self.weights + self.optimizer


def training_memory(config: Config, shape: Shape, longest_response: int = 0) -> TrainingMemory:
    """Estimate the memory of training a policy of this shape.

    Args:
        config: settings.
        shape: of the policy.
        longest_response: tokens; a response longer than a micro-batch is a micro-batch of its own.
    """
    model, ranks = config.model, config.trainer.shard_ranks or config.trainer.ranks
    offloads = model.cpu_offload and on_gpu(config)
    shard = 0.0 if offloads else shape.parameters * 4 / ranks
    copies = 2 if config.grpo.kl_coefficient else 1
    tokens = max(model.micro_batch_tokens, longest_response)
    size = BYTES[model.compute_dtype]
    head_size = 4 if size == 4 else 4 + size
    return TrainingMemory(
        weights=copies * shard,
        optimizer=2 * shard,
        gradients=shard,
        staged=4 * (min(2, shape.layers) + 1) * shape.layer / ranks if offloads else 0.0,
        gathered=size * (shape.root + min(2, shape.layers) * shape.layer),
        gathered_gradients=(size + 4) * shape.layer,
        activations=activation_bytes(config, shape, tokens) + mask_bytes(tokens),
        head=head_size * shape.vocabulary * (model.head_chunk_tokens + shape.width),
    )


def on_gpu(config: Config) -> bool:
    """Return whether the run is planned for GPUs: by the settings, or because this machine has one."""
    chosen = config.trainer.accelerator
    return chosen == Accelerator.cuda or (chosen == Accelerator.auto and NVIDIA_DRIVER.exists())


def activation_bytes(config: Config, shape: Shape, tokens: int) -> float:
    """Return the bytes that the forward pass of a micro-batch of `tokens` keeps for the backward pass.

    A token and layer keep s · (4w + 2q + 2k + 4m) + 8w bytes, with w, q, k, m the widths of residual stream, queries,
    keys and feed-forward, and s the bytes of the compute type: each of two norms its result, before and after its
    weight, and its float32 input; attention its queries, keys, values and result; the feed-forward four of its width.
    With checkpointing every layer keeps its input, s · w, and one layer at a time all of the above. Assumes eager
    layers as `transformers` has them, and attention that keeps no scores.
    """
    size = BYTES[config.model.compute_dtype]
    saved = size * (4 * shape.width + 2 * shape.query_width + 2 * shape.kv_width + 4 * shape.inner_width)
    layer = saved + 8 * shape.width
    if config.model.activation_checkpointing:
        return tokens * (shape.layers * size * shape.width + layer)
    return tokens * shape.layers * layer


def mask_bytes(tokens: int, windows: int = 1) -> float:
    """Return the bytes of flex attention's masks of a row, as many as there are widths of sliding windows.

    A mask keeps four lists of blocks, of four bytes a pair of blocks of 128 tokens. While it is made, twelve grids of
    that size and sixteen numbers of eight bytes a token come on top.
    """
    pairs = (-(-tokens // 128)) ** 2
    return 16 * pairs * windows + 48 * pairs + 128 * tokens


@dataclass(frozen=True)
class EngineMemory:
    """Bytes on one rank of the engine's weights, and of the keys and values of one token."""

    weights: float
    kv_token: float


def engine_memory(config: Config, shape: Shape) -> EngineMemory:
    """Estimate the memory of an engine; its ranks share the weights, and the KV heads if there are enough of them."""
    size, ranks = BYTES[config.engine.dtype], config.engine.tensor_parallel_size
    kv_heads = max(shape.kv_heads / ranks, 1)
    return EngineMemory(shape.parameters * size / ranks, 2 * shape.layers * kv_heads * shape.head_width * size)
