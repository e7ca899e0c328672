"""The objective as pure functions: advantages, token weights, loss, KL, entropy (§3.1, Eq. 1 to 4).

Responses are packed. A token-level tensor is `[tokens]`, all response tokens of a micro-batch one after another, with
`sequence_ids [tokens]` naming the response each belongs to; a per-response tensor `x [responses]` reaches the tokens as
`x[sequence_ids]`. One update minimises, summed over all its micro-batches and ranks,

    policy_loss(...)[0] + kl_coefficient * (w * kl_penalty(...)).sum() - entropy_coefficient * (w * entropy).sum()

with `w = token_weights(...)[sequence_ids]`. The weights come from global counts, so how the tokens are split does not
matter, and responses whose advantage is 0 may be left out when both coefficients are 0. FSDP2 averages gradients
over ranks where a sum is meant, so there the loss is multiplied by the number of data-parallel ranks.

Where this departs from the software the authors ran (veRL): token means are exact over the update, not means of
micro-batch means; a group of one rollout teaches nothing; there is no second clip of large ratios at negative
advantages; several updates a batch take whole groups in order, where veRL may split a group across mini-batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from acereason.config.schema import AdvantageKind, Correction, Normalisation
from acereason.errors import UserError

STD_EPSILON = 1e-6
MAX_LOG_RATIO = 20.0


def advantages(rewards: Tensor, kind: AdvantageKind) -> Tensor:
    """Return the advantage of each response over the others of its group (Eq. 2).

    `group_std` is (r - mean) / (std + 1e-6) with the Bessel-corrected std (paper), `group_mean` is r - mean,
    `leave_one_out` is r - mean of the other rollouts. A group whose rewards are all equal, such as a group of one
    rollout, gets exactly 0; otherwise a rounding error divided by a tiny std would count as an advantage.

    Shapes: rewards `[groups, rollouts]`, floating point; result the same, and of the same type.
    """
    rollouts = rewards.shape[1]
    if rollouts < 2 or not rewards.numel():
        return torch.zeros_like(rewards)
    if kind is AdvantageKind.leave_one_out:
        others = (rewards.sum(dim=1, keepdim=True) - rewards) / (rollouts - 1)
        result = rewards - others
    else:
        result = rewards - rewards.mean(dim=1, keepdim=True)
        if kind is AdvantageKind.group_std:
            result = result / (rewards.std(dim=1, keepdim=True) + STD_EPSILON)
    all_equal = (rewards == rewards[:, :1]).all(dim=1, keepdim=True)
    return result.masked_fill(all_equal, 0.0)


@dataclass(frozen=True, eq=False)
class TokenTotals:
    """Counts over all responses of one update, the normaliser of its token losses.

    Both fields are plain sums: the totals of an update over several ranks are the sums of each rank's totals
    (`torch.distributed.all_reduce` in place), provided that group ids mean the same on every rank.

    Attributes:
        group_tokens: `[groups]` int64, response tokens of each group that count; 0 for a group outside the update.
        responses: `[]` int64, responses that count.
    """

    group_tokens: Tensor
    responses: Tensor

    @property
    def tokens(self) -> Tensor:
        """`[]` response tokens that count."""
        return self.group_tokens.sum()

    @property
    def groups(self) -> Tensor:
        """`[]` groups with at least one token that counts."""
        return (self.group_tokens > 0).sum()


def token_totals(lengths: Tensor, group_ids: Tensor, groups: int, included: Tensor | None = None) -> TokenTotals:
    """Count the responses of one update, before any is skipped.

    Responses without advantage count. Masked truncated responses (`included` false) and empty ones do not: their
    tokens, the responses themselves and groups that have no others are left out. Masking does not change advantages.

    Shapes: lengths and group_ids `[responses]` integers, group ids from 0 to groups - 1; included `[responses]` bool,
    None for all.
    """
    counted = _counted_lengths(lengths, included)
    group_tokens = torch.zeros(groups, dtype=torch.int64, device=lengths.device)
    return TokenTotals(group_tokens.index_add_(0, group_ids.long(), counted), (counted > 0).sum())


def token_weights(
    lengths: Tensor,
    group_ids: Tensor,
    normalisation: Normalisation,
    totals: TokenTotals,
    included: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return the weight of each response's tokens in the loss (the 1 / Σ|o_i| of Eq. 1).

    With these weights, the weighted sum of token losses over the whole update is
    - for `batch`, the mean over all its tokens (the authors' software);
    - for `group`, the mean over groups of the mean over the group's tokens (Eq. 1 as printed);
    - for `sequence`, the mean over responses of the mean over the response's tokens.

    The weights of all tokens of the update sum to 1, or to 0 if nothing counts. A response that does not count (see
    `token_totals`) has weight 0, never nan.

    Shapes: lengths, group_ids, included as in `token_totals`, for any subset of the update's responses; totals of the
    whole update, over all micro-batches and ranks; result `[responses]`.
    """
    counted = _counted_lengths(lengths, included)
    if normalisation is Normalisation.batch:
        divisor = totals.tokens.expand(counted.shape)
    elif normalisation is Normalisation.group:
        divisor = totals.groups * totals.group_tokens[group_ids.long()]
    else:
        divisor = totals.responses * counted
    return (counted > 0).to(dtype) / divisor.clamp(min=1).to(dtype)


def _counted_lengths(lengths: Tensor, included: Tensor | None) -> Tensor:
    return lengths.long() if included is None else lengths.long() * included.long()


@dataclass(frozen=True, eq=False)
class PolicyLossStats:
    """Sums over tokens, `[]` each, that add up over micro-batches and ranks.

    Attributes:
        tokens: how many tokens.
        ratio_sum: sum of the ratios of Eq. 1.
        clipped_low: tokens whose gradient the lower clip removed (negative advantage).
        clipped_high: tokens whose gradient the upper clip removed (positive advantage).
    """

    tokens: Tensor
    ratio_sum: Tensor
    clipped_low: Tensor
    clipped_high: Tensor

    def __add__(self, other: PolicyLossStats) -> PolicyLossStats:
        """Return the stats of both sets of tokens together."""
        return PolicyLossStats(
            self.tokens + other.tokens,
            self.ratio_sum + other.ratio_sum,
            self.clipped_low + other.clipped_low,
            self.clipped_high + other.clipped_high,
        )

    @property
    def ratio_mean(self) -> Tensor:
        """`[]` mean ratio, 0 without tokens."""
        return self.ratio_sum / self.tokens.clamp(min=1)

    @property
    def clip_fraction(self) -> Tensor:
        """`[]` share of tokens whose gradient a clip removed, 0 without tokens."""
        return (self.clipped_low + self.clipped_high) / self.tokens.clamp(min=1)


def policy_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages_per_token: Tensor,
    weights_per_token: Tensor,
    clip_low: float,
    clip_high: float,
    importance_weights: Tensor | None = None,
) -> tuple[Tensor, PolicyLossStats]:
    """Return minus the clipped objective of Eq. 1: -Σ w min(ratio A, clip(ratio, 1 - clip_low, 1 + clip_high) A).

    With one update a batch, `old_logprobs` is `logprobs.detach()`: the ratio is 1, no clip acts and the gradient
    is exactly -Σ w A ∇logprob (Eq. 3 and 4, REINFORCE). Without tokens the loss is a 0 that still has a gradient
    function, so that every rank can take part in the backward pass. The log-ratio is clamped to ±20, because a ratio
    that overflows would turn the zero gradient of a clipped token into nan.

    Shapes: all inputs `[tokens]`, loss `[]`. Only `logprobs` gets a gradient; `importance_weights` scale the weights.
    """
    log_ratio = (logprobs - old_logprobs.detach()).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    ratio = log_ratio.exp()
    advantage = advantages_per_token.detach()
    weight = weights_per_token.detach()
    if importance_weights is not None:
        weight = weight * importance_weights.detach()
    objective = torch.minimum(ratio * advantage, ratio.clamp(1 - clip_low, 1 + clip_high) * advantage)
    loss = -(weight * objective).sum()
    return loss, _policy_loss_stats(ratio.detach(), advantage, clip_low, clip_high)


def _policy_loss_stats(ratio: Tensor, advantage: Tensor, clip_low: float, clip_high: float) -> PolicyLossStats:
    return PolicyLossStats(
        tokens=torch.tensor(ratio.numel(), device=ratio.device),
        ratio_sum=ratio.sum(),
        clipped_low=((ratio < 1 - clip_low) & (advantage < 0)).sum(),
        clipped_high=((ratio > 1 + clip_high) & (advantage > 0)).sum(),
    )


def kl_penalty(logprobs: Tensor, reference_logprobs: Tensor) -> Tensor:
    """Estimate KL(policy ‖ reference) at each sampled token: exp(d) - d - 1 with d = reference - policy.

    The paper leaves this term out (coefficient 0). The estimate is non-negative up to rounding and unbiased for tokens
    sampled from the policy; its gradient, (1 - exp(d)) ∇logprob, is on average that of KL(reference ‖ policy). d is
    clamped to at most 20, against overflow.

    Shapes: `[tokens]` all; only `logprobs` gets a gradient.
    """
    difference = (reference_logprobs.detach() - logprobs).clamp(max=MAX_LOG_RATIO)
    return torch.expm1(difference) - difference


def sampled_entropy(logprobs: Tensor) -> Tensor:
    """Estimate the policy's entropy at each sampled token, in nats: -logprob.

    Value and gradient are both unbiased for tokens sampled from the policy. The plain gradient of -logprob is 0 on
    average and would be useless as a bonus; this one is -logprob ∇logprob, whose mean is the gradient of the entropy.

    Shapes: `[tokens]` both.
    """
    fixed = logprobs.detach()
    return -fixed * (1 + (logprobs - fixed))


def compared_ratios(log_ratios: Tensor, sequence_ids: Tensor, responses: int, correction: Correction) -> Tensor:
    """Return the ratio that a correction holds against its bounds, for each token.

    A token's ratio is the policy's probability over the engine's. `none`, `token_cap` and `token_mask` compare it
    alone, `sequence_mask` the geometric mean of the ratios of its response, whose size does not grow with its length,
    `sequence_cap` their product, the ratio of the whole response. Sums are taken in float64, so that they do not depend
    on how responses are packed, and logarithms clamped to ±20 against overflow.

    Shapes: log_ratios `[tokens]`, all tokens of each of the responses; sequence_ids `[tokens]` from 0 to responses - 1;
    result `[tokens]`, without a gradient.
    """
    logs = log_ratios.detach()
    if correction in (Correction.sequence_mask, Correction.sequence_cap):
        ids, nothing = sequence_ids.long(), torch.zeros(responses, dtype=torch.float64, device=logs.device)
        sums = nothing.index_add(0, ids, logs.double())
        if correction is Correction.sequence_mask:
            sums = sums / nothing.index_add(0, ids, torch.ones_like(logs, dtype=torch.float64)).clamp(min=1)
        logs = sums[ids].to(logs.dtype)
    return logs.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()


def correction_weights(ratios: Tensor, correction: Correction, low: float, high: float) -> Tensor:
    """Return the weights that make up for tokens which the engine sampled with other probabilities than the policy's.

    - `token_cap`: min(ratio, high), truncated importance sampling (TIS).
    - `token_mask`: the ratio within [low, high] and 0 outside, masked importance sampling (MIS, IcePop).
    - `sequence_mask`: 1 for responses within [low, high] and 0 outside, rejection by the geometric mean.
    - `sequence_cap`: min(ratio of the whole response, high), truncated importance sampling of sequences.

    A token of weight 0 still counts in the normaliser, as in IcePop: which tokens a mask leaves out is known only once
    their micro-batch is computed, the normaliser before the first. So a mask makes the gradient smaller and never
    raises the weight of the tokens that it keeps. The corrections are not in the paper and off by default.

    Shapes: ratios `[tokens]`, the result of `compared_ratios`; result the same, without a gradient.
    """
    inside = (ratios >= low) & (ratios <= high)
    match correction:
        case Correction.none:
            return torch.ones_like(ratios)
        case Correction.token_mask:
            return torch.where(inside, ratios, 0.0)
        case Correction.sequence_mask:
            return inside.to(ratios.dtype)
        case Correction.token_cap | Correction.sequence_cap:
            return ratios.clamp(max=high)


def mini_batches(groups: int, updates: int) -> list[list[int]]:
    """Split the groups of a batch of rollouts over `updates` optimizer steps; return the group indices of each.

    The mini-batches are disjoint, in order, and differ in size by one group at most. veRL counts mini-batches in
    prompts too and splits each rank's share in order, without a shuffle; but its last mini-batch may be smaller, and
    after balancing lengths over ranks the responses of one group may be in different mini-batches. Old log-probs are
    taken before the first update, token totals for each. The paper takes one update (Fig. 3c compares more).

    Raises:
        UserError: there is less than one update, or there are more updates than groups.
    """
    if not 1 <= updates <= groups:
        raise UserError(
            f"grpo.updates_per_batch={updates} must be from 1 to the number of prompts it splits, {groups}: "
            "lower it or raise curriculum.prompts_per_step"
        )
    bounds = [groups * i // updates for i in range(updates + 1)]
    return [list(range(start, end)) for start, end in pairwise(bounds)]
