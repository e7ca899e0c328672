"""Facts about the objective, with numbers worked by hand or by a naive loop."""

import math

import pytest
import torch
from torch import Tensor

from acereason.config.schema import AdvantageKind, Correction, Normalisation
from acereason.errors import UserError
from acereason.grpo import (
    PolicyLossStats,
    TokenTotals,
    advantages,
    compared_ratios,
    correction_weights,
    kl_penalty,
    mini_batches,
    policy_loss,
    sampled_entropy,
    token_totals,
    token_weights,
)

KINDS = list(AdvantageKind)
NORMALISATIONS = list(Normalisation)

# Two prompts, two rollouts each: group 0 has lengths 1 and 3, group 1 has lengths 2 and 6. 12 tokens in all.
LENGTHS = torch.tensor([1, 3, 2, 6])
GROUP_IDS = torch.tensor([0, 0, 1, 1])
SEQUENCE_IDS = torch.repeat_interleave(torch.arange(4), LENGTHS)


def doubles(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_group_std_is_the_pinned_number() -> None:
    # mean 1/4; variance (0.75² + 3 · 0.25²) / 3 = 0.75 / 3 = 0.25, std 0.5; 0.75 / 0.500001, -0.25 / 0.500001
    result = advantages(torch.tensor([[1.0, 0.0, 0.0, 0.0]]), AdvantageKind.group_std)
    expected = torch.tensor([[1.499997, -0.499999, -0.499999, -0.499999]])
    torch.testing.assert_close(result, expected, rtol=0, atol=5e-7)


def test_group_mean_and_leave_one_out_by_hand() -> None:
    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    # group_mean: means 1/4 and 1/2
    by_mean = torch.tensor([[0.75, -0.25, -0.25, -0.25], [0.5, 0.5, -0.5, -0.5]])
    torch.testing.assert_close(advantages(rewards, AdvantageKind.group_mean), by_mean)
    # leave_one_out: 1 - 0/3 and 0 - 1/3; 1 - 1/3 and 0 - 2/3
    by_others = torch.tensor([[1.0, -1 / 3, -1 / 3, -1 / 3], [2 / 3, 2 / 3, -2 / 3, -2 / 3]])
    torch.testing.assert_close(advantages(rewards, AdvantageKind.leave_one_out), by_others)


@pytest.mark.parametrize("kind", KINDS)
def test_groups_do_not_mix(kind: AdvantageKind) -> None:
    rewards = torch.tensor([[1.0, 0.0, 0.0], [5.0, 7.0, 0.0]])
    together = advantages(rewards, kind)
    assert torch.equal(together[:1], advantages(rewards[:1], kind))
    assert torch.equal(together[1:], advantages(rewards[1:], kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_rewards_give_exactly_zero(kind: AdvantageKind, dtype: torch.dtype) -> None:
    values = torch.linspace(0.05, 0.95, 19, dtype=dtype)
    rewards = values.unsqueeze(1).expand(19, 7).contiguous()
    # The premise: the mean of seven equal numbers is not always that number, so only a check of equality gives 0.
    assert ((rewards - rewards.mean(dim=1, keepdim=True)) != 0).any()
    result = advantages(rewards, kind)
    assert torch.equal(result, torch.zeros_like(rewards))
    assert result.dtype is dtype


@pytest.mark.parametrize("kind", KINDS)
def test_one_rollout_or_none_teaches_nothing_and_is_not_nan(kind: AdvantageKind) -> None:
    assert torch.equal(advantages(torch.tensor([[1.0], [0.0]]), kind), torch.zeros(2, 1))
    assert advantages(torch.zeros(0, 4), kind).shape == (0, 4)


def test_weights_by_hand() -> None:
    totals = token_totals(LENGTHS, GROUP_IDS, groups=2)
    assert totals.group_tokens.tolist() == [4, 8]
    assert (int(totals.tokens), int(totals.groups), int(totals.responses)) == (12, 2, 4)
    # batch: 1/12 each; group: 1/(2·4) and 1/(2·8); sequence: 1/(4·1), 1/(4·3), 1/(4·2), 1/(4·6)
    expected = {
        Normalisation.batch: [1 / 12] * 4,
        Normalisation.group: [1 / 8, 1 / 8, 1 / 16, 1 / 16],
        Normalisation.sequence: [1 / 4, 1 / 12, 1 / 8, 1 / 24],
    }
    for normalisation, values in expected.items():
        weights = token_weights(LENGTHS, GROUP_IDS, normalisation, totals)
        torch.testing.assert_close(weights, torch.tensor(values), rtol=1e-7, atol=0)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_weighted_sum_equals_the_naive_mean(normalisation: Normalisation) -> None:
    losses = torch.randn(12, generator=torch.Generator().manual_seed(0), dtype=torch.float64).tolist()
    responses = [losses[0:1], losses[1:4], losses[4:6], losses[6:12]]
    groups = [responses[0] + responses[1], responses[2] + responses[3]]
    naive = {
        Normalisation.batch: sum(losses) / 12,
        Normalisation.group: sum(sum(group) / len(group) for group in groups) / 2,
        Normalisation.sequence: sum(sum(response) / len(response) for response in responses) / 4,
    }
    totals = token_totals(LENGTHS, GROUP_IDS, groups=2)
    weights = token_weights(LENGTHS, GROUP_IDS, normalisation, totals, dtype=torch.float64)
    assert float(weights[SEQUENCE_IDS] @ doubles(*losses)) == pytest.approx(naive[normalisation], rel=1e-12)


def test_totals_of_ranks_add_up_even_when_a_group_is_spread() -> None:
    left = token_totals(LENGTHS[:3], GROUP_IDS[:3], groups=2)
    right = token_totals(LENGTHS[3:], GROUP_IDS[3:], groups=2)
    summed = TokenTotals(left.group_tokens + right.group_tokens, left.responses + right.responses)
    whole = token_totals(LENGTHS, GROUP_IDS, groups=2)
    for normalisation in NORMALISATIONS:
        parts = [token_weights(LENGTHS[i], GROUP_IDS[i], normalisation, summed) for i in (slice(0, 3), slice(3, 4))]
        assert torch.equal(torch.cat(parts), token_weights(LENGTHS, GROUP_IDS, normalisation, whole))


def test_masked_responses_leave_both_sums() -> None:
    included = torch.tensor([True, False, False, False])
    totals = token_totals(LENGTHS, GROUP_IDS, groups=2, included=included)
    assert totals.group_tokens.tolist() == [1, 0]
    assert (int(totals.tokens), int(totals.groups), int(totals.responses)) == (1, 1, 1)
    for normalisation in NORMALISATIONS:  # one token left, it carries everything
        weights = token_weights(LENGTHS, GROUP_IDS, normalisation, totals, included)
        assert weights.tolist() == [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_empty_responses_and_empty_totals_are_zero_not_nan(normalisation: Normalisation) -> None:
    ids = torch.tensor([0, 0])
    lengths = torch.tensor([0, 5])  # an empty response counts nowhere: five tokens at 1/5
    totals = token_totals(lengths, ids, groups=1)
    torch.testing.assert_close(token_weights(lengths, ids, normalisation, totals), torch.tensor([0.0, 0.2]))
    nobody = torch.tensor([False, False])
    totals = token_totals(lengths, ids, groups=1, included=nobody)
    assert token_weights(lengths, ids, normalisation, totals, nobody).tolist() == [0.0, 0.0]
    none = torch.zeros(0, dtype=torch.int64)
    assert token_weights(none, none, normalisation, token_totals(none, none, groups=0)).shape == (0,)


def test_loss_gradient_and_stats_by_hand() -> None:
    # Clip 0.8 to 1.28. min(ratio A, clipped A), and the gradient -w A ratio where no clip acts:
    #   w 0.1, ratio 1.5, A +1: min( 1.5,  1.28) =  1.28, upper clip, gradient 0
    #   w 0.2, ratio 0.5, A +1: min( 0.5,  0.8 ) =  0.5,              gradient -0.1
    #   w 0.3, ratio 1.5, A -1: min(-1.5, -1.28) = -1.5,              gradient +0.45
    #   w 0.4, ratio 0.5, A -1: min(-0.5, -0.8 ) = -0.8, lower clip,  gradient 0
    # loss = -(0.128 + 0.1 - 0.45 - 0.32) = 0.542
    logprobs = doubles(1.5, 0.5, 1.5, 0.5).log().requires_grad_()
    advantage, weight = doubles(1, 1, -1, -1), doubles(0.1, 0.2, 0.3, 0.4)
    loss, stats = policy_loss(logprobs, torch.zeros(4), advantage, weight, clip_low=0.2, clip_high=0.28)
    (gradient,) = torch.autograd.grad(loss, logprobs)
    assert loss.item() == pytest.approx(0.542, rel=1e-12)
    torch.testing.assert_close(gradient, doubles(0, -0.1, 0.45, 0))
    assert (int(stats.tokens), int(stats.clipped_low), int(stats.clipped_high)) == (4, 1, 1)
    assert stats.ratio_mean.item() == pytest.approx(1.0) and stats.clip_fraction.item() == 0.5
    both = stats + PolicyLossStats(torch.tensor(4), torch.tensor(8.0), torch.tensor(1), torch.tensor(2))
    # ratios (4 · 1 + 8) / 8 tokens, clipped (1 + 1 + 1 + 2) / 8
    assert both.ratio_mean.item() == pytest.approx(1.5) and both.clip_fraction.item() == 0.625


@pytest.mark.parametrize("clip", [0.2, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_on_policy_gradient_is_exactly_reinforce(clip: float, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    logprobs = (-torch.rand(64, generator=generator, dtype=dtype) * 30).requires_grad_()
    advantage = torch.randn(64, generator=generator, dtype=dtype)
    weight = torch.rand(64, generator=generator, dtype=dtype)
    for old in (logprobs.detach(), logprobs):  # the old log-probs get no gradient, detached or not
        loss, stats = policy_loss(logprobs, old, advantage, weight, clip, clip)
        (gradient,) = torch.autograd.grad(loss, logprobs)
        assert torch.equal(gradient, -weight * advantage)
        assert stats.ratio_mean.item() == 1.0 and stats.clip_fraction.item() == 0.0


def test_importance_weights_scale_the_gradient() -> None:
    logprobs = doubles(-1.0, -1.0).requires_grad_()
    loss, _ = policy_loss(logprobs, logprobs.detach(), doubles(1, 1), doubles(0.5, 0.5), 0.2, 0.2, doubles(2.0, 0.5))
    (gradient,) = torch.autograd.grad(loss, logprobs)
    assert gradient.tolist() == [-1.0, -0.25]
    assert loss.item() == -1.25


def test_gradcheck_away_from_the_corners() -> None:
    old = doubles(-0.5, -1.0, -1.5, -2.0, -0.1)
    logprobs = (old + doubles(0.4, -0.5, 0.05, -0.1, 0.6)).requires_grad_()
    fixed = (old, doubles(1, 1, -2, 0.5, -1), doubles(0.1, 0.2, 0.3, 0.4, 0.5), 0.2, 0.28)
    assert torch.autograd.gradcheck(lambda x: policy_loss(x, *fixed)[0], (logprobs,))
    assert torch.autograd.gradcheck(lambda x: kl_penalty(x, old), (logprobs,))


def test_an_enormous_ratio_does_not_make_nan() -> None:
    logprobs = torch.tensor([0.0, 0.0, -200.0], requires_grad=True)
    loss, _ = policy_loss(
        logprobs, torch.tensor([-200.0, -200.0, 0.0]), torch.tensor([1.0, -1.0, 1.0]), torch.ones(3), 0.2, 0.2
    )
    (gradient,) = torch.autograd.grad(loss, logprobs)
    assert torch.isfinite(loss) and torch.isfinite(gradient).all()
    assert gradient[0] == 0  # clipped from above


def test_an_empty_micro_batch_still_takes_part_in_backward() -> None:
    head = torch.ones(3, requires_grad=True)
    logprobs = head[:0] * 2
    none = torch.zeros(0)
    loss, stats = policy_loss(logprobs, none, none, none, 0.2, 0.2, none)
    assert loss.item() == 0 and loss.grad_fn is not None
    loss.backward()
    assert head.grad is not None and head.grad.tolist() == [0.0, 0.0, 0.0]
    assert int(stats.tokens) == 0 and stats.ratio_mean.item() == 0 and stats.clip_fraction.item() == 0


def gradient_in_parts(normalisation: Normalisation, parts: list[list[int]], truncated: int | None = None) -> Tensor:
    """Gradient over a policy's table of next-token logits, accumulated over micro-batches of the given responses.

    Three groups of three responses; group 1 is all right.
    """
    generator = torch.Generator().manual_seed(2)
    table = torch.randn(5, 5, generator=generator, dtype=torch.float64).requires_grad_()
    lengths, group_ids = torch.randint(1, 9, (9,), generator=generator), torch.arange(9) // 3
    sequence_ids = torch.repeat_interleave(torch.arange(9), lengths)
    pairs = torch.randint(0, 5, (len(sequence_ids), 2), generator=generator)
    included = torch.arange(9) != (-1 if truncated is None else truncated)
    rewards = doubles(1, 0, 0, 1, 1, 1, 0, 1, 1).view(3, 3)
    advantage = advantages(rewards, AdvantageKind.group_std).flatten()
    totals = token_totals(lengths, group_ids, 3, included)
    weights = token_weights(lengths, group_ids, normalisation, totals, included, dtype=torch.float64)
    for part in parts:
        chosen = torch.isin(sequence_ids, torch.tensor(part, dtype=torch.int64))
        ids, (previous, following) = sequence_ids[chosen], pairs[chosen].unbind(1)
        logprobs = table.log_softmax(1)[previous, following]
        loss, _ = policy_loss(logprobs, logprobs.detach(), advantage[ids], weights[ids], 0.2, 0.2)
        loss.backward()
    assert table.grad is not None
    return table.grad


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_splitting_and_skipping_leave_the_gradient_as_it_is(normalisation: Normalisation) -> None:
    whole = gradient_in_parts(normalisation, [list(range(9))])
    assert whole.norm() > 0.01
    split = gradient_in_parts(normalisation, [[8, 0], [], [1, 5, 3], [2, 4, 6, 7]])
    torch.testing.assert_close(split, whole, rtol=1e-12, atol=1e-14)
    skipped = gradient_in_parts(normalisation, [[0, 1, 2], [6, 7, 8]])  # group 1 has no advantage
    torch.testing.assert_close(skipped, whole, rtol=1e-12, atol=1e-14)
    masked = gradient_in_parts(normalisation, [list(range(9))], truncated=6)
    torch.testing.assert_close(
        masked, gradient_in_parts(normalisation, [[0, 1, 2, 3, 4, 5, 7, 8]], truncated=6), rtol=1e-12, atol=1e-14
    )
    assert (masked - whole).norm() > 0.01 * whole.norm()


def test_kl_penalty_by_hand() -> None:
    # Policy (1/2, 1/2), reference (1/4, 3/4): d = ln(1/2) and ln(3/2),
    #   exp(d) - d - 1 = 0.5 + 0.693147 - 1 = 0.193147 and 1.5 - 0.405465 - 1 = 0.094535.
    # Their mean under the policy, 0.143841, is KL = 0.5 ln 2 + 0.5 ln(2/3) = 0.5 (0.693147 - 0.405465).
    logits = doubles(0, 0).requires_grad_()
    result = kl_penalty(logits.log_softmax(0), doubles(0.25, 0.75).log())
    torch.testing.assert_close(result, doubles(0.193147, 0.094535), rtol=0, atol=1e-6)
    assert result.mean().item() == pytest.approx(0.5 * (math.log(2) + math.log(2 / 3)), rel=1e-12)
    # Over the logits, KL(reference || policy) has gradient policy - reference = (0.25, -0.25).
    torch.testing.assert_close(torch.autograd.grad(result.mean(), logits)[0], doubles(0.25, -0.25))


def test_kl_penalty_is_exact_where_it_is_small_and_finite_where_it_is_large() -> None:
    # d = 1e-3: d²/2 + d³/6 = 5.0016671e-7; in float32, exp(d) - d - 1 gives 4.77e-7.
    d = torch.tensor([0.001])
    assert kl_penalty(torch.zeros(1), d).item() == pytest.approx(5.0016671e-7, rel=1e-3)
    assert kl_penalty(torch.tensor([-1.0]), torch.tensor([-1.0])).item() == 0
    far = torch.tensor([-300.0, 0.0], requires_grad=True)
    penalty = kl_penalty(far, torch.tensor([0.0, -300.0]))
    (gradient,) = torch.autograd.grad(penalty.sum(), far)
    assert torch.isfinite(penalty).all() and torch.isfinite(gradient).all()


def test_sampled_entropy_is_unbiased_in_value_and_in_gradient() -> None:
    logits = doubles(0.3, -1.0, 2.0).requires_grad_()
    probabilities = logits.softmax(0)
    entropy = -(probabilities * probabilities.log()).sum()
    (expected,) = torch.autograd.grad(entropy, logits, retain_graph=True)
    assert expected.norm() > 0.1
    sampled = sampled_entropy(logits.log_softmax(0))
    assert torch.equal(sampled, -logits.detach().log_softmax(0))
    # The mean over the tokens that would be drawn, each weighted by its probability held fixed.
    mean = (probabilities.detach() * sampled).sum()
    (gradient,) = torch.autograd.grad(mean, logits)
    assert mean.item() == pytest.approx(entropy.item(), rel=1e-12)
    torch.testing.assert_close(gradient, expected)


# Two responses of three and two tokens. The policy gives the tokens 0.8, 0.1, 0.5 and 0.3, 0.6, the engine 0.2, 0.2,
# 0.5 and 0.6, 0.4: ratios 4, 1/2, 1 and 1/2, 3/2. Products 2 and 3/4, geometric means 2^(1/3) = 1.26 and √(3/4) = 0.87.
POLICY, ENGINE = doubles(0.8, 0.1, 0.5, 0.3, 0.6).log(), doubles(0.2, 0.2, 0.5, 0.6, 0.4).log()
RESPONSE_IDS = torch.tensor([0, 0, 0, 1, 1])


@pytest.mark.parametrize(
    ("correction", "low", "high", "expected"),
    [
        (Correction.none, 0.0, math.inf, (1, 1, 1, 1, 1)),
        (Correction.token_cap, 0.0, 1.25, (1.25, 0.5, 1, 0.5, 1.25)),
        (Correction.token_mask, 0.6, 2.0, (0, 0, 1, 0, 1.5)),
        (Correction.token_mask, 0.45, 4.5, (4, 0.5, 1, 0.5, 1.5)),
        (Correction.sequence_mask, 0.8, 1.2, (0, 0, 0, 1, 1)),
        (Correction.sequence_mask, 0.9, 1.3, (1, 1, 1, 0, 0)),
        (Correction.sequence_cap, 0.0, 1.5, (1.5, 1.5, 1.5, 0.75, 0.75)),
    ],
)
def test_corrections_by_hand(correction: Correction, low: float, high: float, expected: tuple[float, ...]) -> None:
    policy = POLICY.clone().requires_grad_()
    ratios = compared_ratios(policy - ENGINE, RESPONSE_IDS, 2, correction)
    result = correction_weights(ratios, correction, low, high)
    torch.testing.assert_close(result, doubles(*expected))
    assert not result.requires_grad
    alone = [
        compared_ratios((POLICY - ENGINE)[part], RESPONSE_IDS[part] * 0, 1, correction)
        for part in (slice(0, 3), slice(3, 5))
    ]
    assert torch.equal(torch.cat(alone), ratios)  # packing changes nothing


def test_ratios_that_would_overflow_are_large_and_finite() -> None:
    far = torch.tensor([500.0, -500.0])
    for correction in Correction:
        ratios = compared_ratios(far, torch.tensor([0, 1]), 2, correction)
        assert ratios.tolist() == pytest.approx([math.exp(20), math.exp(-20)])
    nothing = compared_ratios(torch.zeros(0), torch.zeros(0, dtype=torch.long), 0, Correction.sequence_mask)
    assert correction_weights(nothing, Correction.sequence_mask, 0.9, 1.1).shape == (0,)


def test_mini_batches_are_whole_groups_in_order() -> None:
    assert mini_batches(8, 1) == [list(range(8))]
    assert mini_batches(8, 4) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert mini_batches(5, 2) == [[0, 1], [2, 3, 4]]
    for groups, updates in [(7, 3), (128, 5), (4, 4)]:
        batches = mini_batches(groups, updates)
        assert len(batches) == updates and [group for batch in batches for group in batch] == list(range(groups))
        sizes = [len(batch) for batch in batches]
        assert max(sizes) - min(sizes) <= 1
    for updates in (0, 5):
        with pytest.raises(UserError, match=f"grpo.updates_per_batch={updates}"):
            mini_batches(4, updates)
