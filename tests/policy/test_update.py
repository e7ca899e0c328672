"""The gradient of an update equals that of the objective written out response by response, with full logits."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from tiny_runs import CPU, prompts, rollout, rollout_batch
from torch import Tensor

from acereason import grpo
from acereason.config.schema import Correction, GRPOConfig, Normalisation
from acereason.engines.rollout import Rollout
from acereason.policy.mismatch import Mismatch
from acereason.policy.model import PolicyModel
from acereason.policy.packing import ResponseTokens
from acereason.policy.update import (
    EMPTY,
    GradientStats,
    Responses,
    accumulate_gradients,
    compute_logprobs,
    plan,
    responses_of,
)
from acereason.rollout.batch import RolloutBatch

GROUPS, SIZE = 4, 3


def make_batch(temperature: float = 1.0) -> RolloutBatch:
    """Four groups of three with lengths 1 to 12; group 1 has no advantage, three responses are truncated."""
    draw = torch.Generator().manual_seed(0)
    groups: list[list[Rollout]] = []
    for group in range(GROUPS):
        groups.append([])
        for sample in range(SIZE):
            length = 1 + (5 * (group * SIZE + sample)) % 12
            ids = torch.randint(4, 260, (length,), generator=draw).tolist()
            logprobs = (-5 * torch.rand(length, generator=draw)).tolist()
            reward = 1.0 if group == 1 else float(sample == group % SIZE)
            made = rollout(
                reward,
                ids,
                logprobs=logprobs,
                truncated=length in (3, 8, 11),
                sample=sample,
                prompt=prompts(GROUPS)[group],
            )
            groups[-1].append(made)
    return rollout_batch(groups, temperature=temperature)


@dataclass
class Extra:
    """Log-probs before the update and of the reference, a tensor a response; None where the objective has none."""

    old: list[Tensor] | None = None
    reference: list[Tensor] | None = None


def naive_loss(model: Any, batch: RolloutBatch, groups: list[int], config: GRPOConfig, extra: Extra) -> Tensor:
    """Eq. 1 with its options, each response alone, every weight worked out where it is used."""
    chosen = [(g, s) for g in groups for s in range(SIZE)]
    counted = [(g, s) for g, s in chosen if not (config.mask_truncated and batch.groups[g][s].generation.truncated)]
    length = {(g, s): len(batch.groups[g][s].generation.token_ids) for g, s in counted}
    total = torch.zeros(())
    for group, sample in counted:
        found = batch.groups[group][sample]
        if config.normalisation is Normalisation.batch:
            weight = 1 / sum(length.values())
        elif config.normalisation is Normalisation.group:
            weight = 1 / len({g for g, _ in counted}) / sum(n for (g, _), n in length.items() if g == group)
        else:
            weight = 1 / len(counted) / length[group, sample]
        ids = torch.tensor([found.prompt_ids + found.generation.token_ids])
        log_p = torch.log_softmax(model(ids).logits[0, len(found.prompt_ids) - 1 : -1] / batch.temperature, -1)
        new = log_p.gather(1, torch.tensor(found.generation.token_ids)[:, None])[:, 0]
        index = chosen.index((group, sample))
        old = extra.old[index] if extra.old else new.detach()
        ratio, advantage = (new - old).exp(), batch.advantages[group, sample]
        objective = torch.minimum(ratio * advantage, ratio.clamp(1 - config.clip_low, 1 + config.clip_high) * advantage)
        objective = objective * naive_correction(old - torch.tensor(found.generation.logprobs), config)
        loss = -objective
        if extra.reference:
            difference = extra.reference[index] - new
            loss = loss + config.kl_coefficient * (difference.exp() - difference - 1)
        loss = loss - config.entropy_coefficient * -(log_p.exp() * log_p).sum(-1)
        total = total + weight * loss.sum()
    return total


def naive_correction(log_ratios: Tensor, config: GRPOConfig) -> Tensor:
    """The weights of one response's tokens, written out."""
    ratios, (low, high) = log_ratios.exp(), config.correction_bounds
    match config.correction:
        case Correction.none:
            return torch.ones_like(ratios)
        case Correction.token_cap:
            return torch.stack([min(ratio, torch.tensor(high)) for ratio in ratios])
        case Correction.token_mask:
            return torch.stack([ratio if low <= ratio <= high else torch.tensor(0.0) for ratio in ratios])
        case Correction.sequence_mask:
            return torch.full_like(ratios, float(low <= ratios.prod() ** (1 / len(ratios)) <= high))
        case Correction.sequence_cap:
            return torch.full_like(ratios, min(ratios.prod().item(), high))


def gradient(module: torch.nn.Module) -> Tensor:
    flat = torch.cat([p.grad.flatten() for _, p in sorted(module.named_parameters())])
    module.zero_grad()
    return flat


def near(batches: list[list[ResponseTokens]], values: list[Tensor] | None) -> list[Tensor] | None:
    """Values of each response as a tensor a micro-batch."""
    return None if values is None else [torch.cat([values[s.index] for s in sequences]) for sequences in batches]


def our_loss(
    model: PolicyModel, batch: RolloutBatch, groups: list[int], config: GRPOConfig, extra: Extra, max_tokens: int = 150
) -> GradientStats:
    responses = responses_of(batch, groups, config)
    batches = plan(responses, max_tokens)
    return accumulate_gradients(
        model,
        responses,
        batches,
        config,
        batch.temperature,
        CPU,
        old_logprobs=near(batches, extra.old),
        reference_logprobs=near(batches, extra.reference),
    )


@torch.no_grad()
def shifted(model: Any, batch: RolloutBatch, groups: list[int], seed: int) -> list[Tensor]:
    """The policy's log-probs of each response, moved by up to 0.5 so that some ratios are clipped and some not."""
    draw = torch.Generator().manual_seed(seed)
    rows = []
    for found in (found for group in groups for found in batch.groups[group]):
        ids = torch.tensor([found.prompt_ids + found.generation.token_ids])
        log_p = torch.log_softmax(model(ids).logits[0, len(found.prompt_ids) - 1 : -1] / batch.temperature, -1)
        new = log_p.gather(1, torch.tensor(found.generation.token_ids)[:, None])[:, 0]
        rows.append(new + torch.rand(len(new), generator=draw) - 0.5)
    return rows


def sampled_nearly_by(model: Any, batch: RolloutBatch) -> RolloutBatch:
    """The batch with log-probs of the engine that are up to 0.5 from the policy's."""
    near_policy = iter(shifted(model, batch, list(range(GROUPS)), 3))
    groups = [
        [replace(r, generation=replace(r.generation, logprobs=tuple(next(near_policy).tolist()))) for r in group]
        for group in batch.groups
    ]
    return replace(batch, groups=groups)


CASES = {
    "paper": GRPOConfig(),
    "group": GRPOConfig(normalisation=Normalisation.group),
    "sequence": GRPOConfig(normalisation=Normalisation.sequence),
    "truncated masked": GRPOConfig(mask_truncated=True),
    "truncated masked, by group": GRPOConfig(mask_truncated=True, normalisation=Normalisation.group),
    "kl": GRPOConfig(kl_coefficient=0.1),
    "entropy": GRPOConfig(entropy_coefficient=0.05),
    "token cap": GRPOConfig(correction=Correction.token_cap, correction_high=1.2),
    "token mask": GRPOConfig(correction=Correction.token_mask, correction_low=0.8, correction_high=1.3),
    "sequence mask": GRPOConfig(correction=Correction.sequence_mask, correction_low=0.95, correction_high=1.05),
    "sequence cap": GRPOConfig(correction=Correction.sequence_cap, correction_high=1.1),
    "all": GRPOConfig(
        kl_coefficient=0.1,
        entropy_coefficient=0.05,
        correction=Correction.sequence_mask,
        correction_low=0.95,
        correction_high=1.05,
        mask_truncated=True,
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_loss_and_gradient_equal_the_objective_written_out(
    policy_model: PolicyModel, plain_model: Any, name: str, temperature: float
) -> None:
    config, batch, groups = CASES[name], make_batch(temperature), list(range(GROUPS))
    batch = sampled_nearly_by(plain_model, batch)
    extra = Extra(reference=shifted(plain_model, batch, groups, 1) if config.kl_coefficient else None)
    stats = compare(policy_model, plain_model, batch, groups, config, extra)
    assert stats.mismatch.tokens > 0
    if config.correction is not Correction.none:  # it changes some tokens and leaves others
        assert 0 < stats.mismatch.changed < stats.mismatch.tokens


@pytest.mark.parametrize("part", [0, 1])
def test_each_of_two_updates_is_clipped_against_the_log_probs_before_the_first(
    policy_model: PolicyModel, plain_model: Any, part: int
) -> None:
    batch, config = make_batch(), GRPOConfig(updates_per_batch=2, clip_high=0.28)
    groups = grpo.mini_batches(GROUPS, 2)[part]
    stats = compare(policy_model, plain_model, batch, groups, config, Extra(old=shifted(plain_model, batch, groups, 2)))
    assert 0 < stats.clipped < stats.mismatch.tokens


def compare(
    policy: PolicyModel, plain: Any, batch: RolloutBatch, groups: list[int], config: GRPOConfig, extra: Extra
) -> GradientStats:
    expected = naive_loss(plain, batch, groups, config, extra)
    expected.backward()
    stats = our_loss(policy, batch, groups, config, extra)
    ours, naive = gradient(policy), gradient(plain)
    assert naive.norm() > 0
    assert ((ours - naive).norm() / naive.norm()).item() <= 3e-5
    assert stats.loss == pytest.approx(expected.item(), abs=1e-5)
    return stats


def test_old_log_probs_of_the_policy_itself_change_nothing(policy_model: PolicyModel) -> None:
    batch, groups = make_batch(), list(range(GROUPS))
    our_loss(policy_model, batch, groups, GRPOConfig(), Extra())
    on_policy = gradient(policy_model)
    responses = responses_of(batch, groups, GRPOConfig())
    batches = plan(responses, 150)
    old = compute_logprobs(policy_model, batches, 1.0, CPU)
    accumulate_gradients(policy_model, responses, batches, GRPOConfig(), 1.0, CPU, old_logprobs=old)
    assert torch.equal(gradient(policy_model), on_policy)


def test_weights_count_every_response_of_the_update_and_skipping_none_of_them() -> None:
    batch = make_batch()
    tokens = sum(len(r.generation.token_ids) for r in batch.rollouts)
    responses = responses_of(batch, range(GROUPS), GRPOConfig())
    assert responses.weights.tolist() == pytest.approx([1 / tokens] * 12)
    assert responses.active.tolist() == [True] * 3 + [False] * 3 + [True] * 6


def test_masked_responses_are_skipped_and_the_others_weigh_more() -> None:
    batch = make_batch()
    responses = responses_of(batch, range(GROUPS), GRPOConfig(mask_truncated=True))
    kept = [not r.generation.truncated for r in batch.rollouts]
    tokens = sum(len(r.generation.token_ids) for r, keep in zip(batch.rollouts, kept, strict=True) if keep)
    assert responses.weights.tolist() == pytest.approx([keep / tokens for keep in kept])
    assert kept.count(False) == 3
    assert not responses.active[[not keep for keep in kept]].any()


def test_an_update_of_some_groups_takes_their_tokens_and_advantages() -> None:
    batch = make_batch()
    responses = responses_of(batch, [2, 3], GRPOConfig())
    tokens = sum(len(r.generation.token_ids) for group in batch.groups[2:] for r in group)
    assert torch.equal(responses.advantages, batch.advantages[2:].flatten())
    assert responses.weights.tolist() == pytest.approx([1 / tokens] * 6)
    assert [s.response_ids for s in responses.sequences] == [
        r.generation.token_ids for group in batch.groups[2:] for r in group
    ]


@pytest.mark.parametrize("config", [GRPOConfig(kl_coefficient=0.01), GRPOConfig(entropy_coefficient=0.01)])
def test_nothing_is_skipped_when_kl_or_entropy_need_every_response(config: GRPOConfig) -> None:
    assert responses_of(make_batch(), range(GROUPS), config).active.all()


def no_advantage() -> Responses:
    batch = make_batch()
    return responses_of(replace(batch, advantages=torch.zeros(GROUPS, SIZE)), range(GROUPS), GRPOConfig())


def test_without_any_advantage_an_empty_micro_batch_gives_every_weight_a_gradient_of_exactly_zero(
    policy_model: PolicyModel,
) -> None:
    responses = no_advantage()
    batches = plan(responses, 150)
    assert batches == [[EMPTY]]
    stats = accumulate_gradients(policy_model, responses, batches, GRPOConfig(), 1.0, CPU)
    assert stats.loss == 0
    assert stats.mismatch == Mismatch() and stats.mismatch.metrics(Correction.token_cap) == {}
    assert all(p.grad is not None for p in policy_model.parameters())
    assert not gradient(policy_model).any()


def test_the_gap_is_measured_between_policy_and_engine(policy_model: PolicyModel, plain_model: Any) -> None:
    batch, groups = make_batch(), list(range(GROUPS))
    responses = responses_of(batch, groups, GRPOConfig(entropy_coefficient=1e-9))  # computes all of them
    exact = [row - 0.25 for row in unshifted(plain_model, batch, groups)]
    exact[7] = exact[7] - 0.5
    stats = accumulate_gradients(
        policy_model,
        replace(responses, engine_logprobs=exact),
        plan(responses, 150),
        GRPOConfig(entropy_coefficient=1e-9),
        1.0,
        CPU,
    )
    policy_model.zero_grad()
    assert stats.mismatch.tokens == sum(map(len, exact)) == 78
    assert stats.mismatch.gap_max == pytest.approx(0.75, abs=1e-4)
    assert stats.mismatch.gap_sum == pytest.approx(78 * 0.25 + len(exact[7]) * 0.5, abs=1e-2)


def unshifted(model: Any, batch: RolloutBatch, groups: list[int]) -> list[Tensor]:
    draw = torch.Generator().manual_seed(5)
    return [row - (torch.rand(len(row), generator=draw) - 0.5) for row in shifted(model, batch, groups, 5)]


def test_the_scale_multiplies_the_gradient_and_not_the_reported_loss(policy_model: PolicyModel) -> None:
    responses = responses_of(make_batch(), range(GROUPS), GRPOConfig())
    batches, gradients, losses = plan(responses, 150), [], []
    for scale in (1.0, 4.0):
        stats = accumulate_gradients(policy_model, responses, batches, GRPOConfig(), 1.0, CPU, scale=scale)
        gradients.append(gradient(policy_model))
        losses.append(stats.loss)
    assert torch.allclose(gradients[1], 4 * gradients[0])
    assert losses[0] == losses[1]
