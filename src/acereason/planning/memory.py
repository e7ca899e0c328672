"""Memory of one rank, estimated from the settings and the model's config.json alone: no weights, no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acereason.config.known_models import KNOWN_MODELS
from acereason.config.schema import Accelerator, Config, DType
from acereason.config.schema.policy import LoRAConfig

NVIDIA_DRIVER = Path("/dev/nvidiactl")
BYTES = {DType.float32: 4, DType.bfloat16: 2, DType.float16: 2}


@dataclass(frozen=True)
class Shape:
    """A dense decoder, with its sizes under the names that Llama and Qwen2 have for them."""

    width: int
    layers: int
    query_width: int
    kv_heads: int
    head_width: int
    inner_width: int
    vocabulary: int
    tied: bool
    biased: bool
    family: str = ""

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
            model.get("model_type", ""),
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

    def adapters(self, lora: LoRAConfig) -> list[int]:
        """Return the parameters of each matrix of the adapters in one layer; none if `lora.rank` is 0.

        Where targets are names of linear layers, all of them are counted.
        """
        width, inner = self.width, self.inner_width
        matrices = {
            "attention": [(width, self.query_width), (self.query_width, width), *[(width, self.kv_width)] * 2],
            "mlp": [(width, inner), (width, inner), (inner, width)],
        }
        kinds = {"attention", "mlp"} & set(lora.targets) or set(matrices)
        return [lora.rank * side for kind in sorted(kinds) for sides in matrices[kind] for side in sides if lora.rank]

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
class Norms:
    """The norms of a layer.

    Attributes:
        before, after: of the residual stream, before and after attention and feed-forward.
        of_heads: queries and keys have one each.
        wide: the product with its weight is taken in float32.
    """

    before: int = 2
    after: int = 0
    of_heads: bool = False
    wide: bool = False


NORMS = {
    "qwen3": Norms(of_heads=True),
    "olmo2": Norms(before=0, after=2, of_heads=True, wide=True),
    "gemma2": Norms(after=2, wide=True),
    "gemma3_text": Norms(after=2, of_heads=True, wide=True),
}
"""Of families that have others than two before attention and feed-forward."""


@dataclass(frozen=True)
class TrainingMemory:
    """Estimated bytes on one rank while the policy trains; buffers of collectives and fragmentation come on top.

    Attributes:
        weights: float32 shards, of the reference policy as well where there is one; 0 if offloaded. Beside adapters all
            else is in the compute type, and gradients and moments are those of the adapters.
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
    size, lora = BYTES[model.compute_dtype], model.lora
    adapters = sum(shape.adapters(lora))
    frozen = shape.parameters * size if lora.rank else 0  # in the compute type
    trained = shape.layers * adapters if lora.rank else shape.parameters
    trained_layer = adapters if lora.rank else shape.layer
    shard = 0.0 if offloads else trained * 4 / ranks
    copies = 2 if config.grpo.kl_coefficient else 1
    tokens = max(model.micro_batch_tokens, longest_response)
    head_size = 4 if size == 4 else 4 + size
    in_transit = (min(2, shape.layers) + 1) * (4 * trained_layer + (size * shape.layer if lora.rank else 0)) / ranks
    return TrainingMemory(
        weights=copies * (shard + (0.0 if offloads else frozen / ranks)),
        optimizer=2 * shard,
        gradients=shard,
        staged=in_transit if offloads else 0.0,
        gathered=size * (shape.root + min(2, shape.layers) * (shape.layer + adapters)),
        gathered_gradients=(size + 4) * trained_layer,
        activations=activation_bytes(config, shape, tokens) + mask_bytes(tokens),
        head=head_size * shape.vocabulary * (model.head_chunk_tokens + (0 if lora.rank else shape.width)),
    )


def on_gpu(config: Config) -> bool:
    """Return whether the run is planned for GPUs: by the settings, or because this machine has one."""
    chosen = config.trainer.accelerator
    return chosen == Accelerator.cuda or (chosen == Accelerator.auto and NVIDIA_DRIVER.exists())


def activation_bytes(config: Config, shape: Shape, tokens: int) -> float:
    """Return the bytes that the forward pass of a micro-batch of `tokens` keeps for the backward pass.

    A token and layer keep s · (2q + 2k + 4m) bytes and those of its norms, with q, k, m the widths of queries, keys and
    feed-forward, and s the bytes of the compute type: attention its queries, keys, values and result; the feed-forward
    four of its width. With checkpointing every layer keeps its input, and one layer at a time all of the above. Assumes
    eager layers as `transformers` has them, and attention that keeps no scores. An adapter keeps `rank` numbers.
    """
    size, lora = BYTES[config.model.compute_dtype], config.model.lora
    saved = 2 * shape.query_width + 2 * shape.kv_width + 4 * shape.inner_width
    saved += shape.query_width + shape.kv_width if shape.family == "phi3" else 0  # values are a part of all three
    saved += lora.rank * len(shape.adapters(lora)) // 2
    layer = size * saved + norm_bytes(shape, size, frozen=bool(lora.rank))
    if config.model.activation_checkpointing:
        return tokens * (shape.layers * size * shape.width + layer)
    return tokens * shape.layers * layer


def norm_bytes(shape: Shape, size: int, frozen: bool = False) -> int:
    """Return the bytes a token that the norms of a layer keep, with `size` bytes a number of the compute type.

    Each its float32 input and, unless its weight is frozen, its result before the weight; those before attention and
    feed-forward their result, too.
    """
    norms = NORMS.get(shape.family, Norms())
    each = 4 + (0 if frozen else 4 if norms.wide else size)
    stream = norms.before * (each + size) + norms.after * each
    stream += 0 if norms.before else 2 * size  # what attention and feed-forward begin with
    return shape.width * stream + (shape.query_width + shape.kv_width) * each * norms.of_heads


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
