"""The rollouts that one step trains on."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from acereason.engines.rollout import Rollout


@dataclass(frozen=True, kw_only=True)
class RolloutBatch:
    """The rollouts of one step on one rank, grouped by prompt.

    Attributes:
        step: rollout step, from 0: the number of updates that the sampling weights had seen.
        groups: one list of rollouts a prompt, all of the same length.
        rewards: `[groups, rollouts]`, what the policy learns from.
        advantages: `[groups, rollouts]`.
        temperature: what the responses were sampled at, and log-probs are taken at.
        seconds: wall time by phase, for `time/*`, of the slowest rank.
        first: number of the first group among those of all ranks.
        total_groups: how many those are; 0 when these are all.
        idle: share of the generation that engines spent waiting for the slowest.
        epoch: epochs over the pool that were complete before this step, counted from the pool's last change.
        ends_epoch: whether this step is the last of its epoch.
        pool_size: problems that the step's prompts were drawn from.
    """

    step: int
    groups: list[list[Rollout]]
    rewards: Tensor
    advantages: Tensor
    temperature: float
    seconds: dict[str, float] = field(default_factory=dict)
    first: int = 0
    total_groups: int = 0
    idle: float = 0.0
    epoch: int = 0
    ends_epoch: bool = False
    pool_size: int = 0

    def to(self, device: torch.device, **_: object) -> RolloutBatch:
        """Itself: micro-batches move to the device one at a time. Lightning calls this."""
        return self

    @property
    def rollouts(self) -> list[Rollout]:
        """All rollouts, group after group."""
        return [rollout for group in self.groups for rollout in group]
