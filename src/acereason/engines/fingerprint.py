"""A check that an engine has the weights it was sent, by sums that survive fusing, sharding and packing of tensors.

An engine stores weights its own way (query, key and value as one tensor, a part of it on each rank, packed for the
CPU), but the sum over a tensor's entries is the same in every layout. A forgotten, stale or half-done sync changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 1 << 22
EMBEDDINGS, HEAD = "model.embed_tokens.weight", "lm_head.weight"


class WeightMismatchError(RuntimeError):
    """Weights of an engine that differ from the policy's after a sync."""


@dataclass(frozen=True)
class EngineSum:
    """The sum over one of an engine's tensors on one rank.

    Attributes:
        value: sum of the entries that this rank holds.
        replicas: number of the engine's ranks that hold the same entries.
        eps: relative rounding error of its computation.
    """

    value: float
    replicas: int
    eps: float


class Fingerprint:
    """The sums over weights, added up while the weights are streamed.

    Args:
        fused: for each part such as `q_proj` the name of the tensor that engines fuse it into, such as `qkv_proj`.
    """

    def __init__(self, fused: Mapping[str, str]) -> None:
        self._fused = fused
        self._sums: dict[str, Tensor] = {}

    def watch(self, weights: Iterable[tuple[str, Tensor]], dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
        """Yield each (name, tensor) in the engine's `dtype`, and add it up."""
        for name, tensor in weights:
            tensor = tensor.to(dtype)
            fused_name = ".".join(self._fused.get(part, part) for part in name.split("."))
            sums = tensor_sums(tensor)
            self._sums[fused_name] = self._sums[fused_name] + sums if fused_name in self._sums else sums
            yield name, tensor

    def check(self, engine: Mapping[str, EngineSum], summed: Callable[[Tensor], Tensor], dropped: bool = False) -> int:
        """Compare with the sums of an engine; return the number of tensors compared.

        Args:
            engine: its sums by (fused) name.
            summed: adds a tensor up over the ranks of the engine.
            dropped: whether the engine had lost its weights, so that one which was not sent holds anything.

        Raises:
            WeightMismatchError: a tensor differs, or was dropped and not sent; the message names the first.
        """
        expected = dict(self._sums)
        if HEAD not in expected and EMBEDDINGS in expected:
            expected[HEAD] = expected[EMBEDDINGS]
        if dropped and (unsent := sorted(engine.keys() - expected.keys())):
            raise WeightMismatchError(
                f"the engine's {unsent[0]} is not among the policy's weights, so the sync did not restore it after the "
                "engine slept; set engine.sleep=keep"
            )
        names = sorted(expected.keys() & engine.keys())
        values = torch.tensor([engine[n].value / engine[n].replicas for n in names], dtype=torch.float64)
        for name, found in zip(names, summed(values).tolist(), strict=True):
            total, absolute = expected[name].tolist()
            # Sums in float64 of the same numbers in another order differ by far less than 1e-12 of their size.
            if not abs(found - total) <= max(engine[name].eps, 1e-12) * absolute:
                raise WeightMismatchError(
                    f"after the weight sync the engine's {name} adds up to {found!r}, the policy's to {total!r}"
                )
        return len(names)


def tensor_sums(tensor: Tensor) -> Tensor:
    """Return the sum and the sum of absolute values, float64, without a second tensor of that size."""
    sums = torch.zeros(2, dtype=torch.float64, device=tensor.device)
    for chunk in tensor.detach().flatten().split(CHUNK):
        sums += torch.stack([chunk.sum(dtype=torch.float64), chunk.abs().sum(dtype=torch.float64)])
    return sums
