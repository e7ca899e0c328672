"""Host memory of one rank that trains on a GPU, with the rounding of torch's allocators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from acereason.config.schema import Config, EngineName, Sleep
from acereason.distributed.allocator import EXACT_ABOVE_MIB
from acereason.planning.memory import BYTES, Shape

MIB = 2**20
SMALL, MEDIUM = MIB, 10 * MIB
"""Smaller tensors share GPU allocations of 2 MiB, smaller than `MEDIUM` of 20 MiB; others have one each."""


@dataclass(frozen=True)
class HostMemory:
    """Estimated bytes of host memory on one rank; processes and their libraries come on top.

    Attributes:
        weights, gradients: pinned float32 shards of an offloaded policy, weights of the reference policy as well.
        optimizer: float32 shards of its two moments. Of a policy with adapters only these are trained.
        engine: pinned copy of a sleeping engine's weights, one buffer for each allocation on the GPU.
    """

    weights: float
    gradients: float
    optimizer: float
    engine: float

    @property
    def policy(self) -> float:
        """Everything that an offloaded policy keeps."""
        return self.weights + self.gradients + self.optimizer

    @property
    def pinned(self) -> float:
        """What no other process gets, and the machine cannot swap."""
        return self.weights + self.gradients + self.engine


def host_memory(config: Config, shape: Shape) -> HostMemory:
    """Estimate the host memory of a rank on a GPU."""
    offloads, engine = config.model.cpu_offload, config.engine
    ranks = config.trainer.shard_ranks or config.trainer.ranks
    lora = config.model.lora
    frozen = BYTES[config.model.compute_dtype] if lora.rank else 4
    shards = [size * frozen / ranks for size in policy_tensors(shape)]
    adapters = [size * 4 / ranks for size in shape.adapters(lora)] * shape.layers
    trained = adapters if lora.rank else shards
    weights, gradients = (
        sum(pinned(size, EXACT_ABOVE_MIB) for size in sizes) if offloads else 0.0
        for sizes in ([*shards, *adapters], trained)
    )
    copied = engine.name is EngineName.vllm and engine.sleep is Sleep.keep
    tensors = engine_tensors(shape, engine.tensor_parallel_size) if copied else ()
    blocks = gpu_allocations(BYTES[engine.dtype] * size for size in tensors)
    return HostMemory(
        weights=weights * (2 if config.grpo.kl_coefficient else 1),
        gradients=gradients,
        optimizer=2 * sum(trained) if offloads else 0.0,
        engine=sum(pinned(size, EXACT_ABOVE_MIB if offloads else 0) for size in blocks),
    )


def pinned(size: float, exact_above_mib: int = 0) -> float:
    """Return the bytes that torch pins for an allocation: the next power of two, unless larger ones are exact."""
    if exact_above_mib and size > exact_above_mib * MIB:
        return size
    return float(1 << max(int(size) - 1, 0).bit_length())


def policy_tensors(shape: Shape) -> Iterator[float]:
    """Yield the number of entries of each weight of the policy."""
    yield from [shape.vocabulary * shape.width] * (1 if shape.tied else 2)
    yield shape.width
    queries, keys = shape.query_width, shape.kv_width
    layer = [shape.width * queries] * 2 + [shape.width * keys] * 2 + [shape.width * shape.inner_width] * 3
    layer += [queries, keys, keys] if shape.biased else []
    yield from (layer + [shape.width] * 2) * shape.layers


def engine_tensors(shape: Shape, ranks: int) -> Iterator[float]:
    """Yield the number of entries of each weight on a rank of an engine, which fuses some and splits most."""
    yield from [shape.vocabulary * shape.width / ranks] * (1 if shape.tied else 2)
    yield shape.width
    queries, keys = shape.query_width / ranks, max(shape.kv_heads / ranks, 1) * shape.head_width
    layer = [shape.width * (queries + 2 * keys), shape.width * queries]
    layer += [shape.width * shape.inner_width * part / ranks for part in (2, 1)]
    layer += [queries + 2 * keys] if shape.biased else []
    yield from (layer + [shape.width] * 2) * shape.layers


def gpu_allocations(sizes: Iterable[float]) -> list[float]:
    """Return the sizes of the GPU allocations that hold tensors of these sizes; torch's allocator packs small ones."""
    found = list(sizes)
    small, medium = ([size for size in found if low <= size < high] for low, high in ((0, SMALL), (SMALL, MEDIUM)))
    shared = [2 * MIB] * -(-int(sum(small)) // (2 * MIB))
    # So many of a kind of tensor fit into 20 MiB.
    room = sum(1 / (20 * MIB // size) for size in medium)
    shared += [20 * MIB] * -(-int(room * 1000) // 1000)
    return [*shared, *(-(-size // (2 * MIB)) * 2 * MIB for size in found if size >= MEDIUM)]
