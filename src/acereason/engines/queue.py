"""The ranks of each engine, and the queue of work that engines share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
import torch.distributed as dist

from acereason.distributed.collectives import rank_and_world
from acereason.distributed.timeouts import timeout

POLL_STEPS = 32


class Store(Protocol):
    """The part of `torch.distributed.Store` that the queue needs."""

    def add(self, key: str, amount: int) -> int:
        """Add to a counter that all ranks share; return its new value."""
        ...

    def delete_key(self, key: str) -> bool:
        """Delete a counter."""
        ...


class EngineRanks:
    """The neighbouring ranks that form one engine, and the number of the engine.

    Attributes:
        engine, engines: number of this rank's engine, and how many there are.
        leads: whether this rank leads its engine; the other ranks of a tensor-parallel engine repeat its every step.
    """

    def __init__(self, tensor_parallel_size: int = 1) -> None:
        rank, world = rank_and_world()
        if world % tensor_parallel_size:
            raise ValueError(f"{world} ranks are not a multiple of the {tensor_parallel_size} ranks of an engine")
        self.engine, self.engines = rank // tensor_parallel_size, world // tensor_parallel_size
        self.leads = rank % tensor_parallel_size == 0
        self._group: Any = None
        self._polls = 0
        if tensor_parallel_size > 1:
            for first in range(0, world, tensor_parallel_size):
                members = list(range(first, first + tensor_parallel_size))
                # Every rank has to make every group. They wait as long as the group of all ranks.
                group = dist.new_group(members, backend="gloo", timeout=timeout(None))
                if rank in members:
                    self._group = group

    def agreed(self, value: int) -> int:
        """Return the leader's value on all ranks of the engine; a collective among them."""
        if self._group is None:
            return value
        tensor = torch.tensor(value)
        dist.broadcast(tensor, group=self._group, group_src=0)
        return int(tensor)

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum of a CPU tensor over the ranks of the engine, in place."""
        if self._group is not None:
            dist.all_reduce(values, group=self._group)
        return values

    def poll(self, flag: Callable[[], bool]) -> bool:
        """Return whether the leader's flag is set; asked at every engine step.

        Several ranks agree on it only every `POLL_STEPS` steps; it is False in between.
        """
        if self._group is None:
            return flag()
        self._polls += 1
        return self._polls % POLL_STEPS == 0 and bool(self.agreed(int(flag())))


class WorkQueue:
    """A queue that gives each number of a job to exactly one engine: a hand each at the start, the rest on demand.

    Args:
        engine_ranks: of the engine that draws.
        store: holds the counter; None if there is only one engine.
    """

    def __init__(self, engine_ranks: EngineRanks, store: Store | None) -> None:
        self._ranks, self._store = engine_ranks, store
        self._job = 0

    def numbers(self, total: int, hand: int) -> Iterator[int]:
        """Yield this engine's numbers below `total`; one call is one job on all ranks.

        Each engine first gets `hand` numbers in a row without a draw, so that the start does not depend on which engine
        is first. The numbers after all hands are drawn one by one, when they are asked for.
        """
        if self._store is None and self._ranks.engines == 1:
            yield from range(total)
            return
        job, self._job = self._job, self._job + 1
        if job and self._store is not None and self._ranks.engine == 0 and self._ranks.leads:
            self._store.delete_key(f"job/{job - 1}")
        first = self._ranks.engine * hand
        yield from range(min(first, total), min(first + hand, total))
        dealt = hand * self._ranks.engines
        while dealt < total and (number := self._draw(f"job/{job}", dealt)) < total:
            yield number

    def _draw(self, key: str, first: int) -> int:
        if self._store is None:
            raise ValueError("several engines need a store to share a queue")
        number = first + self._store.add(key, 1) - 1 if self._ranks.leads else 0
        return self._ranks.agreed(number)
