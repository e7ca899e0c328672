"""Engines and the queue of work they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
import torch.distributed as dist

from acereason.distributed.collectives import rank_and_world

POLL_STEPS = 32


class Store(Protocol):
    """The part of `torch.distributed.Store` that the queue needs."""

    def add(self, key: str, amount: int) -> int:
        """Adds to a counter that all ranks share; returns its new value."""
        ...

    def delete_key(self, key: str) -> bool:
        """Forgets a counter."""
        ...


class EngineRanks:
    """The neighbouring ranks that form one engine, and the engine's place among the others.

    Attributes:
        engine, engines: number of this rank's engine, and how many there are.
        leads: whether this rank speaks for its engine. The others of a tensor-parallel engine repeat its every step.
    """

    def __init__(self, tensor_parallel_size: int = 1) -> None:
        rank, world = rank_and_world()
        if world % tensor_parallel_size:
            raise ValueError(f"engines of {tensor_parallel_size} ranks do not divide {world} ranks")
        self.engine, self.engines = rank // tensor_parallel_size, world // tensor_parallel_size
        self.leads = rank % tensor_parallel_size == 0
        self._group: Any = None
        self._polls = 0
        if tensor_parallel_size > 1:
            for first in range(0, world, tensor_parallel_size):
                members = list(range(first, first + tensor_parallel_size))
                group = dist.new_group(members, backend="gloo")  # every rank has to make every group
                if rank in members:
                    self._group = group

    def agreed(self, value: int) -> int:
        """The leader's value, on all ranks of the engine, which have to ask alike."""
        if self._group is None:
            return value
        tensor = torch.tensor(value)
        dist.broadcast(tensor, group=self._group, group_src=0)
        return int(tensor)

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of a CPU tensor over the ranks of the engine, in place."""
        if self._group is not None:
            dist.all_reduce(values, group=self._group)
        return values

    def poll(self, flag: Callable[[], bool]) -> bool:
        """Whether the leader's flag is up. Asked at every engine step; several ranks agree on it now and then only."""
        if self._group is None:
            return flag()
        self._polls += 1
        return self._polls % POLL_STEPS == 0 and bool(self.agreed(int(flag())))


class WorkQueue:
    """Every number of a job, handed to exactly one engine: a hand each at the start, the rest on demand.

    Args:
        engine_ranks: who draws.
        store: holds the counter; None when one engine has everything.
    """

    def __init__(self, engine_ranks: EngineRanks, store: Store | None) -> None:
        self._ranks, self._store = engine_ranks, store
        self._job = 0

    def numbers(self, total: int, hand: int) -> Iterator[int]:
        """Yield this engine's numbers below `total`; one call is one job on all ranks.

        The first `hand` are engine after engine's without a draw, so that the start does not depend on who is first.
        Each number after those of all hands is drawn when it is asked for.
        """
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
            raise ValueError("several engines need a store to share what is left")
        number = first + self._store.add(key, 1) - 1 if self._ranks.leads else 0
        return self._ranks.agreed(number)
