"""How long ranks wait for each other: hours where the phases of a step meet, minutes where GPUs compute in step."""

from __future__ import annotations

from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed import ProcessGroup

from acereason.config.schema import TrainerConfig

CPU = torch.device("cpu")


def set_timeouts(group: ProcessGroup, trainer: TrainerConfig) -> None:
    """Give collectives of CPU tensors `trainer.timeout_minutes`, those of GPU tensors `trainer.nccl_timeout_minutes`.

    The two kinds go through backends of their own, such as gloo and NCCL. Groups that torch makes for a device mesh
    have its default for both, whatever the group of all ranks has.
    """
    for device in group._device_types:
        minutes = trainer.timeout_minutes if device == CPU else trainer.nccl_timeout_minutes
        group._get_backend(device)._set_default_timeout(timedelta(minutes=minutes))


def timeout(group: ProcessGroup | None, device: torch.device = CPU) -> timedelta:
    """Return how long collectives of tensors on `device` wait; None is the group of all ranks."""
    group = group or dist.distributed_c10d._get_default_group()
    found: timedelta = group._get_backend(device).options._timeout
    return found
