"""What ranks tell each other, as plain Python objects; alone, everything stays where it is."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


def rank_and_world() -> tuple[int, int]:
    """This rank's number and how many there are; (0, 1) without a process group."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def gather(item: T) -> list[T]:
    """Every rank's `item`, in the order of ranks, on every rank."""
    _, world = rank_and_world()
    if world == 1:
        return [item]
    items: list[Any] = [None] * world
    dist.all_gather_object(items, item)
    return items


def exchange(outgoing: Sequence[T]) -> list[T]:
    """Sends `outgoing[r]` to rank r; returns what each rank sent here, in the order of ranks."""
    rank, world = rank_and_world()
    if len(outgoing) != world:
        raise ValueError(f"{len(outgoing)} parcels for {world} ranks")
    if world == 1:
        return list(outgoing)
    parcels = [pickle.dumps(item) for item in outgoing]
    sizes = [len(parcel) for parcel in parcels]
    incoming = [row[rank] for row in gather(sizes)]
    sent = torch.frombuffer(bytearray(b"".join(parcels)), dtype=torch.uint8)
    received = torch.empty(sum(incoming), dtype=torch.uint8)
    dist.all_to_all_single(received, sent, incoming, sizes)
    return [pickle.loads(part.numpy().tobytes()) for part in received.split(incoming)]


def share(count: int, rank: int, world: int) -> range:
    """The numbers below `count` that belong to a rank: neighbours, as many for each as can be."""
    return range(count * rank // world, count * (rank + 1) // world)
