"""The numbers of a step, against numbers worked by hand."""

import math

import pytest
from tiny_runs import CPU, rollout, rollout_batch

from acereason.rollout.batch import RolloutBatch
from acereason.rollout.metrics import RolloutMetrics, step_metrics


def three_groups() -> RolloutBatch:
    """All right, none right, one of four right; lengths 1 to 12, each token at log-prob -length/10."""
    rewards = [[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]
    groups = []
    for group in range(3):
        groups.append([])
        for sample in range(4):
            length = 4 * group + sample + 1
            made = rollout(
                rewards[group][sample],
                range(5, 5 + length),
                logprobs=[-length / 10] * length,
                truncated=length > 9,
                reason="timeout" if length in (5, 6) else "memory" if length == 7 else "",
                sample=sample,
            )
            groups[-1].append(made)
    return rollout_batch(groups)


def test_rewards_and_groups() -> None:
    metrics = step_metrics(with_seconds(three_groups()), 1.25, RolloutMetrics(), CPU)
    assert metrics["reward/mean"] == pytest.approx(5 / 12)
    assert metrics["reward/solved_all"] == pytest.approx(1 / 3)
    assert metrics["reward/solved_none"] == pytest.approx(1 / 3)
    assert metrics["reward/mixed"] == pytest.approx(1 / 3)
    assert metrics["reward/unjudged"] == pytest.approx(3 / 12)


def test_lengths_and_truncation() -> None:
    metrics = step_metrics(with_seconds(three_groups()), 1.25, RolloutMetrics(), CPU)
    assert metrics["response/length_mean"] == pytest.approx(6.5)
    assert metrics["response/length_p95"] == pytest.approx(11.45)  # 0.95 of the way from 1 to 12
    assert metrics["response/truncated"] == pytest.approx(3 / 12)
    assert metrics["response/tokens"] == 78


def test_entropy_is_minus_the_mean_log_prob_of_all_sampled_tokens() -> None:
    metrics = step_metrics(with_seconds(three_groups()), 1.25, RolloutMetrics(), CPU)
    assert metrics["policy/entropy"] == pytest.approx(sum(n * n for n in range(1, 13)) / 10 / 78)  # 65 / 78


def with_seconds(batch: RolloutBatch) -> RolloutBatch:
    batch.seconds.update(sync=0.5, generate=2.0, verify_exposed=0.25)
    return batch


def test_times_add_up_to_the_step_and_give_the_throughput() -> None:
    metrics = step_metrics(with_seconds(three_groups()), 1.25, RolloutMetrics(), CPU)
    assert metrics["time/generate"] == 2.0
    assert metrics["time/verify_exposed"] == 0.25
    assert metrics["time/step"] == 4.0
    assert metrics["throughput/tokens_per_second"] == pytest.approx(78 / 4)


def test_a_step_starts_from_nothing() -> None:
    metric = RolloutMetrics()
    step_metrics(with_seconds(three_groups()), 1.25, metric, CPU)
    second = rollout_batch([[rollout(1.0, [7, 8, 9], logprobs=[-0.2, -0.4, -0.9], reason="crashed")]])
    metrics = step_metrics(with_seconds(second), 1.25, metric, CPU)
    assert metrics["reward/mean"] == metrics["reward/solved_all"] == metrics["reward/unjudged"] == 1
    assert metrics["response/tokens"] == metrics["response/length_p95"] == 3
    assert metrics["policy/entropy"] == pytest.approx(0.5)


@pytest.mark.parametrize("size", [1, 3, 7, 48])
def test_a_group_that_is_all_right_counts_as_such_at_any_size(size: int) -> None:
    metrics = step_metrics(with_seconds(rollout_batch([[rollout(1.0)] * size])), 1.25, RolloutMetrics(), CPU)
    assert metrics["reward/solved_all"] == 1
    assert metrics["reward/mixed"] == 0


def test_certain_tokens_have_no_entropy_and_nothing_is_nan() -> None:
    batch = with_seconds(rollout_batch([[rollout(0.0, [5], logprobs=[0.0]), rollout(1.0, [6], logprobs=[0.0])]]))
    metrics = step_metrics(batch, 1.25, RolloutMetrics(), CPU)
    assert metrics["policy/entropy"] == 0
    assert not any(math.isnan(value) for value in metrics.values())
