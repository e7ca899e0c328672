"""The gradient of one update: which responses are computed, in which micro-batches, and with which weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.distributed as dist
from torch import Tensor

from acereason import grpo
from acereason.config.schema import Correction, GRPOConfig
from acereason.distributed.collectives import exchange, gather, rank_and_world
from acereason.policy.cost import TOKENS_ALONE, Cost
from acereason.policy.mismatch import Mismatch, total
from acereason.policy.packing import PackedBatch, ResponseTokens, pack
from acereason.policy.spread import Size, micro_batches
from acereason.rollout.batch import RolloutBatch

EMPTY = ResponseTokens(-1, -1, (0,), (0,))
"""A response of weight 0 for a rank with no work left: it keeps the collectives of the sharded model in step."""

Forward = Callable[[PackedBatch, float, bool], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Responses:
    """The responses of one update on one rank, with what the loss needs of each.

    Attributes:
        sequences: their tokens, group after group.
        advantages, weights: `[responses]` float32.
        engine_logprobs: a `[length]` tensor for each response.
        active: `[responses]` bool, False where the gradient is known to be exactly zero.
    """

    sequences: list[ResponseTokens]
    advantages: Tensor
    weights: Tensor
    engine_logprobs: list[Tensor]
    active: Tensor


@dataclass
class GradientStats:
    """Sums over the computed response tokens of an update on one rank; `packed_tokens` includes prompts."""

    loss: float = 0.0
    kl: float = 0.0
    packed_tokens: int = 0
    clipped: float = 0.0
    mismatch: Mismatch = field(default_factory=Mismatch)


def summed(parts: Sequence[GradientStats]) -> GradientStats:
    """Add up the stats of several ranks."""
    return GradientStats(
        loss=sum(part.loss for part in parts),
        kl=sum(part.kl for part in parts),
        packed_tokens=sum(part.packed_tokens for part in parts),
        clipped=sum(part.clipped for part in parts),
        mismatch=total([part.mismatch for part in parts]),
    )


def responses_of(batch: RolloutBatch, groups: Sequence[int], config: GRPOConfig) -> Responses:
    """Return this rank's responses of the groups of one update, weighted by counts over all ranks (one all-reduce).

    Args:
        batch: this rank's rollouts.
        groups: numbers of the groups, among those of all ranks.
        config: the objective.
    """
    own = [group - batch.first for group in groups if 0 <= group - batch.first < len(batch.groups)]
    rollouts = [(group, rollout) for group in own for rollout in batch.groups[group]]
    sequences = [
        ResponseTokens(index, batch.first + group, rollout.prompt_ids, rollout.generation.token_ids)
        for index, (group, rollout) in enumerate(rollouts)
    ]
    lengths = torch.tensor([len(s.response_ids) for s in sequences], dtype=torch.long)
    group_ids = torch.tensor([s.group for s in sequences], dtype=torch.long)
    included = None
    if config.mask_truncated:
        included = torch.tensor([not rollout.generation.truncated for _, rollout in rollouts], dtype=torch.bool)
    total_groups = batch.total_groups or len(batch.groups)
    totals = _summed_over_ranks(grpo.token_totals(lengths, group_ids, total_groups, included))
    weights = grpo.token_weights(lengths, group_ids, config.normalisation, totals, included)
    advantages = batch.advantages[own].flatten().float()
    active = (weights > 0) & (lengths > 0)
    if not (config.kl_coefficient or config.entropy_coefficient):
        active &= advantages != 0
    engine_logprobs = [torch.tensor(rollout.generation.logprobs) for _, rollout in rollouts]
    return Responses(sequences, advantages, weights, engine_logprobs, active)


def _summed_over_ranks(totals: grpo.TokenTotals) -> grpo.TokenTotals:
    counts = torch.cat([totals.group_tokens, totals.responses[None]])
    if dist.is_initialized():
        dist.all_reduce(counts)
    return grpo.TokenTotals(counts[:-1], counts[-1])


def spread_over_ranks(
    responses: Responses, max_tokens: int, cost: Cost = TOKENS_ALONE
) -> tuple[Responses, list[list[ResponseTokens]]]:
    """Spread the active responses of all ranks over the ranks; return those of this rank and its micro-batches.

    What a rank computes depends only on lengths, so a repeated run adds its gradients up in the same order.

    Args:
        responses: this rank's own.
        max_tokens: of a micro-batch.
        cost: what tokens cost, by which ranks are balanced in each micro-batch.
    """
    rank, world = rank_and_world()
    if world == 1:
        return responses, plan(responses, max_tokens, cost)
    active = [index for index, keep in enumerate(responses.active.tolist()) if keep]
    everywhere = gather([_size(responses.sequences[index]) for index in active])
    planned = micro_batches([size for sizes in everywhere for size in sizes], world, max_tokens, cost)
    owners = {number: owner for owner, batches in enumerate(planned) for batch in batches for number in batch}
    first = sum(len(sizes) for sizes in everywhere[:rank])
    outgoing: list[list[tuple[ResponseTokens, float, float, Tensor]]] = [[] for _ in range(world)]
    for number, index in enumerate(active, first):
        advantage, weight = responses.advantages[index].item(), responses.weights[index].item()
        row = (responses.sequences[index], advantage, weight, responses.engine_logprobs[index])
        outgoing[owners[number]].append(row)
    rows = [row for part in exchange(outgoing) for row in part]
    received = Responses(
        [replace(sequence, index=index) for index, (sequence, *_) in enumerate(rows)],
        torch.tensor([advantage for _, advantage, _, _ in rows]),
        torch.tensor([weight for _, _, weight, _ in rows]),
        [logprobs for *_, logprobs in rows],
        torch.ones(len(rows), dtype=torch.bool),
    )
    # Rows arrive in the order of the ranks that had them, so in that of their numbers.
    own = sorted(number for batch in planned[rank] for number in batch)
    sequences = dict(zip(own, received.sequences, strict=True))
    return received, [[sequences[number] for number in batch] or [EMPTY] for batch in planned[rank]]


def _size(sequence: ResponseTokens) -> Size:
    return sequence.group, len(sequence.prompt_ids), len(sequence.response_ids)


def plan(responses: Responses, max_tokens: int, cost: Cost = TOKENS_ALONE) -> list[list[ResponseTokens]]:
    """Split the active responses that this rank has into micro-batches; ranks with fewer of them add empty ones."""
    active = [s for s, keep in zip(responses.sequences, responses.active.tolist(), strict=True) if keep]
    (planned,) = micro_batches([_size(sequence) for sequence in active], 1, max_tokens, cost)
    batches = [[active[number] for number in batch] or [EMPTY] for batch in planned]
    return batches + [[EMPTY]] * (max(gather(len(batches))) - len(batches))


@torch.no_grad()
def compute_logprobs(
    forward: Forward, batches: list[list[ResponseTokens]], temperature: float, device: torch.device
) -> list[Tensor]:
    """Return the log-probs of each micro-batch's response tokens under the current weights."""
    return [forward(pack(sequences).to(device), temperature, False)[0] for sequences in batches]


def accumulate_gradients(
    forward: Forward,
    responses: Responses,
    batches: list[list[ResponseTokens]],
    config: GRPOConfig,
    temperature: float,
    device: torch.device,
    *,
    scale: float = 1.0,
    old_logprobs: list[Tensor] | None = None,
    reference_logprobs: list[Tensor] | None = None,
) -> GradientStats:
    """Accumulate the gradient of one update's loss, micro-batch by micro-batch (Eq. 1 to 3).

    Ranks add up their gradients after each micro-batch: keeping unreduced gradients until the last one would take the
    memory of the whole policy in float32 on every rank.

    Args:
        forward: maps a packed micro-batch, the temperature and whether to compute entropies to log-probs and entropies.
        responses, batches: the results of `spread_over_ranks`, or of `responses_of` and `plan`.
        config: the objective.
        temperature: the sampling temperature.
        device: the model's device.
        scale: factor of the loss: the number of data-parallel ranks, since FSDP2 averages gradients over them.
        old_logprobs: a tensor for each micro-batch; None makes the importance weight exactly 1 (§3.1).
        reference_logprobs: the same for the reference policy, for the KL term.
    """
    stats = GradientStats()
    for number, sequences in enumerate(batches):
        packed = pack(sequences).to(device)
        tokens = _token_data(responses, packed)
        logprobs, entropies = forward(packed, temperature, config.entropy_coefficient != 0)
        old = logprobs.detach() if old_logprobs is None else old_logprobs[number]
        reference = None if reference_logprobs is None else reference_logprobs[number]
        log_ratios = old - tokens.engine_logprobs
        ratios = grpo.compared_ratios(log_ratios, packed.sequence_ids, len(sequences), config.correction)
        loss = _loss(tokens, logprobs, entropies, old, reference, ratios, config, stats)
        (loss * scale).backward()
        stats.loss += loss.item()
        stats.packed_tokens += len(packed.input_ids)
        if sequences[0] is not EMPTY:
            stats.mismatch += Mismatch.of(log_ratios, ratios, config)
    return stats


@dataclass(frozen=True)
class _TokenData:
    """Data of the loss for each response token of a micro-batch, `[tokens]` each."""

    weights: Tensor
    advantages: Tensor
    engine_logprobs: Tensor


def _token_data(responses: Responses, packed: PackedBatch) -> _TokenData:
    device, indices = packed.input_ids.device, packed.indices.cpu()
    if indices[0] == EMPTY.index:
        nothing = torch.zeros(len(packed.targets), device=device)
        return _TokenData(nothing, nothing, nothing)
    weights = torch.where(responses.active[indices], responses.weights[indices], 0.0)
    engine = torch.cat([responses.engine_logprobs[i] for i in indices.tolist()])
    return _TokenData(
        weights.to(device)[packed.sequence_ids],
        responses.advantages[indices].to(device)[packed.sequence_ids],
        engine.to(device),
    )


def _loss(
    tokens: _TokenData,
    logprobs: Tensor,
    entropies: Tensor,
    old: Tensor,
    reference: Tensor | None,
    ratios: Tensor,
    config: GRPOConfig,
    stats: GradientStats,
) -> Tensor:
    """Compute the policy loss of Eq. 1 with the terms that are on; add its parts to `stats`."""
    corrections = None
    if config.correction is not Correction.none:
        corrections = grpo.correction_weights(ratios, config.correction, *config.correction_bounds)
    loss, loss_stats = grpo.policy_loss(
        logprobs, old, tokens.advantages, tokens.weights, config.clip_low, config.clip_high, corrections
    )
    stats.clipped += float(loss_stats.clipped_low + loss_stats.clipped_high)
    if reference is not None:
        kl = (tokens.weights * grpo.kl_penalty(logprobs, reference)).sum()
        loss = loss + config.kl_coefficient * kl
        stats.kl += kl.item()
    if config.entropy_coefficient:
        loss = loss - config.entropy_coefficient * (tokens.weights * entropies).sum()
    return loss
