"""A check that an engine has the weights it was sent, by sums that survive fusing, sharding and packing of tensors.

An engine stores weights its own way (query, key and value as one tensor, a part of it on each rank, packed for the
CPU), but the sum over a tensor's entries is the same in every layout. A forgotten, stale or half-done sync changes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 1 << 22


class WeightMismatchError(RuntimeError):
    """Weights of an engine that differ from the policy's after a sync."""


@dataclass(frozen=True)
class EngineSum:
    """The sum over one of an engine's tensors on one rank.

    Attributes:
        value: sum of the entries that this rank holds; NaN in `UNKNOWN`.
        replicas: number of the engine's ranks that hold the same entries.
        eps: relative rounding error of its computation.
    """

    value: float
    replicas: int
    eps: float


UNKNOWN = EngineSum(math.nan, 1, 0.0)
"""In place of a sum that says nothing, as over a tensor of which some ranks hold copies and others parts."""


class Fingerprint:
    """The sums over weights, added up while the weights are streamed.

    Args:
        engine_name: maps a weight's Hugging Face name to the engine's, of the tensor that it is fused into if it is.
    """

    def __init__(self, engine_name: Callable[[str], str]) -> None:
        self._engine_name = engine_name
        self._sums: dict[str, Tensor] = {}

    def watch(self, weights: Iterable[tuple[str, Tensor]], dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
        """Yield each (name, tensor) in the engine's `dtype`, and add it up."""
        for name, tensor in weights:
            tensor = tensor.to(dtype)
            fused_name, sums = self._engine_name(name), tensor_sums(tensor)
            self._sums[fused_name] = self._sums[fused_name] + sums if fused_name in self._sums else sums
            yield name, tensor

    def check(
        self,
        engine: Mapping[str, EngineSum],
        summed: Callable[[Tensor], Tensor],
        copies: Mapping[str, str],
        dropped: bool = False,
    ) -> int:
        """Compare with the sums of an engine; return the number of tensors compared.

        Args:
            engine: its sums by (fused) name.
            summed: adds a tensor up over the ranks of the engine.
            copies: the engine's name of the weight that a tensor of the engine is a copy of, as a tied head is.
            dropped: whether the engine had lost its weights, so that one which was not sent holds anything.

        Raises:
            WeightMismatchError: a tensor differs, the engine does not have it, or it was dropped and not sent; the
                message names the first.
        """
        expected = {copy: self._sums[name] for copy, name in copies.items() if name in self._sums} | self._sums
        if unknown := sorted(expected.keys() - engine.keys()):
            raise WeightMismatchError(f"the engine has no weight {unknown[0]}, which the policy sent it")
        if dropped and (unsent := sorted(engine.keys() - expected.keys())):
            raise WeightMismatchError(
                f"the engine's {unsent[0]} is not among the policy's weights, so the sync did not restore it after the "
                "engine slept; set engine.sleep=keep"
            )
        names = sorted(name for name in expected if engine[name] is not UNKNOWN)
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
