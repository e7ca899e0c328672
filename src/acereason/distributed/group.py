"""Joining and leaving the process group."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
import torch.distributed as dist

from acereason.config.schema import Accelerator, Config
from acereason.distributed.environment import RankInfo, claim_alone
from acereason.distributed.lifeline import Lifeline
from acereason.distributed.timeouts import set_timeouts
from acereason.errors import UserError

MEET_MINUTES = 10.0
LIFELINE_KEY = "acereason/lifeline"


def join(config: Config, rank_info: RankInfo, lifeline: Lifeline) -> dist.Store:
    """Meet the other ranks, connect the lifelines, and return the store that all ranks share.

    Raises:
        UserError: the port is in use, or the other ranks did not come.
    """
    if not rank_info.launcher:
        claim_alone(config.trainer.port)
    cuda = on_cuda(config)
    if cuda:
        torch.cuda.set_device(rank_info.local_rank)
    store = _meet(rank_info)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if cuda else "cpu:gloo",
        store=dist.PrefixStore("acereason", store),
        rank=rank_info.rank,
        world_size=rank_info.world_size,
        timeout=timedelta(minutes=config.trainer.timeout_minutes),
    )
    set_timeouts(dist.distributed_c10d._get_default_group(), config.trainer)
    _tie(lifeline, store, rank_info)
    return dist.PrefixStore("queue", store)


def on_cuda(config: Config) -> bool:
    """Return whether the settings ask for CUDA, or leave it open and there is a GPU."""
    chosen = config.trainer.accelerator
    return chosen is Accelerator.cuda or (chosen is Accelerator.auto and torch.cuda.is_available())


def _meet(rank_info: RankInfo) -> dist.Store:
    address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    try:
        store, _, _ = next(dist.rendezvous("env://", timeout=timedelta(minutes=MEET_MINUTES)))
    except dist.DistNetworkError as error:
        if "EADDRINUSE" in str(error):
            raise UserError(
                f"the port of MASTER_ADDR:MASTER_PORT={address} is in use: choose another, or let the launcher choose"
            ) from error
        raise UserError(f"rank {rank_info.rank} cannot reach rank 0 at {address} (MASTER_ADDR:MASTER_PORT)") from error
    except dist.DistStoreError as error:
        raise UserError(
            f"not all {rank_info.world_size} ranks came to {address} within {MEET_MINUTES:g} minutes; start the same "
            "number on every node, with the same MASTER_ADDR and MASTER_PORT"
        ) from error
    return store


def _tie(lifeline: Lifeline, store: dist.Store, rank_info: RankInfo) -> None:
    """Connect the lifelines; the store tells the others where rank 0 listens."""
    if rank_info.world_size == 1:
        return
    if rank_info.rank == 0:
        port, token = lifeline.listen()
        store.set(LIFELINE_KEY, f"{port} {token}")
    else:
        port_text, token = store.get(LIFELINE_KEY).decode().split()
        lifeline.connect(os.environ["MASTER_ADDR"], int(port_text), token, rank_info.rank)


def leave() -> None:
    """End the process group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()
