"""Trends on a log scale, the approach to a bound, and the step of the temperature, against numbers worked by hand."""

import math
import random
from itertools import pairwise

import pytest
import torch

from acereason.curricula.entropy import NEVER, Approach, Trend, temperature_factor


def test_a_line_through_logarithms() -> None:
    """Logarithms 0, -1, -1: slope -1/2, residuals 1/6, -1/3, 1/6, standard error of the slope √(1/12)."""
    trend = Trend.of([1.0, math.exp(-1), math.exp(-1)])
    assert trend.slope == pytest.approx(-0.5)
    assert trend.t == pytest.approx(-math.sqrt(3))
    assert trend.last == pytest.approx(-2 / 3 - 0.5)


def test_a_perfect_line_is_very_clear() -> None:
    trend = Trend.of([0.98**step for step in range(10)])
    assert trend.slope == pytest.approx(math.log(0.98))
    assert trend.last == pytest.approx(9 * math.log(0.98))
    assert trend.t < -1000


@pytest.mark.parametrize("values", [[0.3], [0.3, 0.1], [0.3] * 10])
def test_two_values_and_equal_ones_show_no_trend(values: list[float]) -> None:
    trend = Trend.of(values)
    assert trend.slope == pytest.approx(0)
    assert abs(trend.t) < 1


def test_no_entropy_at_all_is_a_small_number() -> None:
    assert Trend.of([0.0] * 5) == Trend(0.0, 0.0, math.log(1e-6))


def halving(steps: float, last: float) -> Trend:
    """Return the trend of values that halve every `steps` steps and are at `last` now."""
    return Trend(-math.log(2) / steps, -10.0, math.log(last))


def test_the_approach_is_measured_in_factors() -> None:
    """A quarter is two halvings: at a half, half of the approach is done."""
    approach = Approach.to(0.25, 0.5, halving(10, 0.4), base=0.8)
    assert approach.done == pytest.approx(0.5)
    assert approach.steps == pytest.approx(10)
    assert approach.t == 10


def test_the_approach_from_below_is_measured_in_the_same_way() -> None:
    approach = Approach.to(4, 0.5, halving(10, 0.4), base=0.8)
    assert approach.done == pytest.approx(-0.5)
    assert approach.steps == NEVER
    assert approach.t == -10
    rising = Trend(math.log(2) / 10, 10.0, math.log(1.6))
    assert Approach.to(4, 2, rising, base=0.8).steps == pytest.approx(10)
    assert Approach.to(4, 2, rising, base=0.8).t == 10


def test_steps_are_0_past_the_bound_and_never_more_than_never() -> None:
    assert Approach.to(0.25, 0.2, halving(10, 0.1), base=0.8).steps == 0
    assert Approach.to(0.25, 0.9, halving(1e6, 0.7), base=0.8).steps == NEVER


@pytest.mark.parametrize(
    ("done", "steps", "t", "before", "alarming"),
    [
        (1.0, NEVER, 0, False, True),  # there
        (0.9, 5, 3.9, False, False),  # near, by a trend that may be noise
        (0.9, 5, 4, False, True),
        (0.9, 51, 9, False, False),  # too slow
        (0.5, 5, 9, False, False),  # not more than half
        (0.51, 50, 9, False, True),
        (0.6, NEVER, 0, True, True),  # an alarm goes on …
        (0.5, 5, 9, True, False),  # … until no more than half
    ],
)
def test_when_it_is_alarming(done: float, steps: float, t: float, before: bool, alarming: bool) -> None:
    assert Approach(done, steps, t).is_alarming(horizon=50, min_t=4, before=before) is alarming


def test_without_a_horizon_only_the_bound_itself_alarms() -> None:
    assert not Approach(0.99, 0, 9).is_alarming(horizon=0, min_t=4, before=False)
    assert Approach(1.0, 0, 9).is_alarming(horizon=0, min_t=4, before=False)


def alarms(logs: list[float], window: int = 10) -> list[int]:
    """Return the steps at which a collapse from 1 to below 0.3 is seen, in a sequence of logarithms."""
    values = [math.exp(value) for value in logs]
    seen = []
    for step in range(window, len(values) + 1):
        recent = values[step - window : step]
        approach = Approach.to(0.3, sum(recent) / window, Trend.of(recent), base=1.0)
        if approach.is_alarming(50, 4, False):
            seen.append(step)
    return seen


@pytest.mark.parametrize(("memory", "size"), [(0.0, 0.05), (0.0, 0.2), (0.8, 0.15)])
def test_noise_alone_raises_no_alarm(memory: float, size: float) -> None:
    """30 runs of 400 steps around one level, also with noise of which each step keeps 80% of the one before."""
    for seed in range(30):
        rng, noise, logs = random.Random(seed), 0.0, []
        for _ in range(400):
            noise = memory * noise + size * math.sqrt(1 - memory**2) * rng.gauss(0, 1)
            logs.append(noise)
        assert alarms(logs) == []


@pytest.mark.parametrize("speed", [0.02, 0.04, 0.08])
def test_a_collapse_is_seen_before_it_is_there(speed: float) -> None:
    """The mean of 10 steps is below 0.3 at step log(1/0.3)/speed + 4.5; noise of 5% puts the line off a little."""
    there = math.log(1 / 0.3) / speed + 4.5
    rng = random.Random(0)
    first = alarms([-speed * step + 0.05 * rng.gauss(0, 1) for step in range(150)])[0]
    assert 0.4 * there < first < 0.85 * there


def entropy(logits: torch.Tensor, temperature: float) -> tuple[float, float]:
    """Return the mean entropy of the positions and the variance of the log-probs of their tokens, exact."""
    p = (logits / temperature).softmax(-1)
    logp = p.log()
    mean = (p * logp).sum(-1).mean()
    return -mean.item(), ((p * logp**2).sum(-1).mean() - mean**2).item()


def test_the_step_is_newtons_for_one_distribution() -> None:
    """dH / d log T is the variance of the log-probs: the factor has the entropy at the target to first order."""
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]], dtype=torch.float64)
    now, spread = entropy(logits, 1.0)
    factor = temperature_factor(now, spread, now + 1e-4, most=2)
    assert entropy(logits, factor)[0] - now == pytest.approx(1e-4, rel=1e-3)


def test_with_positions_that_differ_it_falls_short_and_does_not_overshoot() -> None:
    logits = torch.randn(100, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits *= torch.linspace(1, 30, 100, dtype=torch.float64).unsqueeze(1)  # from undecided to certain
    for target in (0.2, 0.5):
        temperature, gaps = 0.8, []
        for _ in range(60):
            now, spread = entropy(logits, temperature)
            gaps.append(now - target)
            temperature *= temperature_factor(now, spread, target, most=1.05)
        assert all(gap * gaps[0] > -1e-12 for gap in gaps)  # never on the other side
        assert all(abs(second) <= abs(first) + 1e-12 for first, second in pairwise(gaps))
        assert abs(gaps[-1]) < 0.02 * target


def test_the_factor_is_bounded_also_when_every_token_is_certain() -> None:
    assert temperature_factor(0.0, 0.0, 0.3, most=1.05) == pytest.approx(1.05)
    assert temperature_factor(5.0, 0.1, 0.3, most=1.05) == pytest.approx(1 / 1.05)
    assert temperature_factor(0.3, 0.1, 0.3, most=1.05) == 1
