"""Collectives of plain Python objects. With a single rank they return their input."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


def rank_and_world() -> tuple[int, int]:
    """Return this rank's number and the number of ranks; (0, 1) without a process group."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def gather(item: T) -> list[T]:
    """Return every rank's `item`, in the order of ranks, on every rank."""
    _, world = rank_and_world()
    if world == 1:
        return [item]
    items: list[Any] = [None] * world
    dist.all_gather_object(items, item)
    return items


def exchange(outgoing: Sequence[T]) -> list[T]:
    """Send `outgoing[r]` to rank r; return the items sent to this rank, in the order of ranks."""
    rank, world = rank_and_world()
    if len(outgoing) != world:
        raise ValueError(f"{len(outgoing)} items for {world} ranks")
    if world == 1:
        return list(outgoing)
    pickled = [pickle.dumps(item) for item in outgoing]
    sizes = [len(item) for item in pickled]
    incoming = [row[rank] for row in gather(sizes)]
    sent = torch.frombuffer(bytearray(b"".join(pickled)), dtype=torch.uint8)
    received = torch.empty(sum(incoming), dtype=torch.uint8)
    dist.all_to_all_single(received, sent, incoming, sizes)
    return [pickle.loads(part.numpy().tobytes()) for part in received.split(incoming)]


def share(count: int, rank: int, world: int) -> range:
    """Return the numbers below `count` that belong to a rank: consecutive ones, as evenly divided as possible."""
    return range(count * rank // world, count * (rank + 1) // world)
