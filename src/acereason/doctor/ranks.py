"""Ranks that meet: two on the CPU, through the loopback device, and several GPUs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from acereason.doctor.finding import Context, Finding, finding

FIX = "allow connections to 127.0.0.1, unset http proxies for it, or name the device: GLOO_SOCKET_IFNAME=lo"


def start(what: str) -> int:
    """Start two ranks of this file, which meet and do `what`; return the exit code of the launcher."""
    from acereason.config.schema import Config
    from acereason.distributed.launcher import start_ranks

    config = Config()
    config.trainer.devices = 2
    return start_ranks(config, [what], [sys.executable, "-m", "acereason.doctor.ranks"])


def meeting(context: Context) -> Iterator[Finding]:
    """Start two ranks that find each other over a free port and add up their numbers with gloo."""
    from acereason.distributed.environment import free_port

    port, code = free_port(), start("cpu")
    seen = f"port {port} is free, " + ("they met" if code == 0 else f"the ranks ended with code {code}")
    yield finding("two ranks", "a free port, over which two ranks meet (gloo)", seen, code == 0, FIX)


def several_gpus(context: Context) -> Iterator[Finding]:
    """Try NCCL with its own timeout, replicated sharding, and an engine over two GPUs."""
    from acereason.doctor.steps import steps

    code = start("cuda")
    fix = "NCCL_DEBUG=INFO says why; NCCL_P2P_DISABLE=1 helps where GPUs cannot reach each other"
    seen = "so it is" if code == 0 else f"the ranks ended with code {code}"
    yield finding("NCCL", "two ranks add up, within a timeout of its own", seen, code == 0, fix)
    for subject, words in {
        "replicated sharding": ["trainer.shard_ranks=1"],
        "tensor parallelism": ["engine.tensor_parallel_size=2"],
    }.items():
        with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
            yield steps(Path(folder), 3, 1e-3, words, subject, ranks=2)


def rank(kind: str) -> None:
    """Join the other rank, and add up on the CPU or on GPUs; the timeouts must be those of the settings."""
    import torch
    import torch.distributed as dist

    from acereason.config.schema import Accelerator, Config
    from acereason.distributed.environment import read_rank_info
    from acereason.distributed.group import join, leave
    from acereason.distributed.lifeline import Lifeline
    from acereason.distributed.timeouts import timeout

    config, info = Config(), read_rank_info()
    config.trainer.accelerator = Accelerator(kind)
    lifeline = Lifeline(launched=True)
    join(config, info, lifeline)
    where = torch.device(kind)
    number = torch.tensor([float(info.rank + 1)], device=where)
    dist.all_reduce(number)
    trainer = config.trainer
    minutes = trainer.timeout_minutes if kind == "cpu" else trainer.nccl_timeout_minutes
    found = timeout(None, where).total_seconds()
    if number.item() != 3 or found != 60 * minutes:
        raise RuntimeError(f"rank {info.rank}: 1 + 2 gave {number.item()}, with a timeout of {found:g} seconds")
    leave()
    lifeline.close()


if __name__ == "__main__":
    rank(sys.argv[1])
