"""Joining and leaving the process group."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
import torch.distributed as dist

from acereason.config.schema import Accelerator, Config
from acereason.distributed.environment import Place, claim_alone
from acereason.distributed.lifeline import Lifeline
from acereason.errors import UserError

MEET_MINUTES = 10.0
LIFELINE_KEY = "acereason/lifeline"


def join(config: Config, place: Place, lifeline: Lifeline) -> dist.Store:
    """Meets the other ranks, ties the lifeline to theirs, and returns the store that all of them share.

    Raises:
        UserError: the port is taken, or the other ranks did not come.
    """
    if not place.launcher:
        claim_alone(config.trainer.port)
    cuda = on_cuda(config)
    if cuda:
        torch.cuda.set_device(place.local_rank)
    store = _meet(place)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if cuda else "cpu:gloo",
        store=dist.PrefixStore("acereason", store),
        rank=place.rank,
        world_size=place.world_size,
        timeout=timedelta(minutes=config.trainer.timeout_minutes),
    )
    _tie(lifeline, store, place)
    return dist.PrefixStore("queue", store)


def on_cuda(config: Config) -> bool:
    """Return whether the settings ask for CUDA, or leave it open and there is a GPU."""
    chosen = config.trainer.accelerator
    return chosen is Accelerator.cuda or (chosen is Accelerator.auto and torch.cuda.is_available())


def _meet(place: Place) -> dist.Store:
    address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    try:
        store, _, _ = next(dist.rendezvous("env://", timeout=timedelta(minutes=MEET_MINUTES)))
    except dist.DistNetworkError as error:
        if "EADDRINUSE" in str(error):
            raise UserError(
                f"the port of MASTER_ADDR:MASTER_PORT={address} is in use: choose another, or let the launcher choose"
            ) from error
        raise UserError(f"rank {place.rank} cannot reach rank 0 at {address} (MASTER_ADDR:MASTER_PORT)") from error
    except dist.DistStoreError as error:
        raise UserError(
            f"not all {place.world_size} ranks came to {address} within {MEET_MINUTES:g} minutes; start as many on "
            "every node, with the same MASTER_ADDR and MASTER_PORT"
        ) from error
    return store


def _tie(lifeline: Lifeline, store: dist.Store, place: Place) -> None:
    """Connects the lifelines: rank 0 says in the store where it listens."""
    if place.world_size == 1:
        return
    if place.rank == 0:
        port, token = lifeline.listen()
        store.set(LIFELINE_KEY, f"{port} {token}")
    else:
        port_text, token = store.get(LIFELINE_KEY).decode().split()
        lifeline.connect(os.environ["MASTER_ADDR"], int(port_text), token, place.rank)


def leave() -> None:
    """Ends the process group, where there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()
