"""The course of an entropy: its trend, how far it is from a bound, when that is an alarm, and how to steer it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from acereason.distributed.collectives import gather
from acereason.rollout.batch import RolloutBatch

NEVER = 1000.0
"""Steps that stand for "not in sight", so that curves stay readable."""
CLEAR = 4.0
"""Standard errors by which the slope of a clear trend differs from 0; noise alone often reaches 2 or 3."""
_SMALLEST = 1e-6


@dataclass(frozen=True)
class Trend:
    """The straight line through the logarithms of a series, by least squares.

    Attributes:
        slope: change of the logarithm in one step; -0.02 is 2% less each step.
        t: the slope over its standard error; noise without a trend gives 1 to 3 now and then.
        last: value of the line at the last step.
    """

    slope: float
    t: float
    last: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Trend:
        """Return the trend of the values of successive steps; a flat one if they are fewer than 3."""
        logs = [log(value) for value in values]
        count, mean = len(logs), sum(logs) / len(logs)
        if count < 3:
            return cls(0.0, 0.0, mean)
        steps = [step - (count - 1) / 2 for step in range(count)]
        spread = sum(step * step for step in steps)
        slope = sum(step * value for step, value in zip(steps, logs, strict=True)) / spread
        residuals = [value - mean - slope * step for step, value in zip(steps, logs, strict=True)]
        error = math.sqrt(sum(residual * residual for residual in residuals) / (count - 2) / spread)
        # On a perfect line the error is only rounding, by which the slope must not be divided.
        t = slope / max(error, 1e-9)
        return cls(slope, t, mean + slope * steps[-1])


@dataclass(frozen=True)
class Approach:
    """The approach of a ratio from 1 to a bound below or above it, on a log scale.

    Attributes:
        done: 0 at 1, 1 at the bound, negative on the other side of 1.
        steps: until the line of the trend reaches the bound; 0 once it has, `NEVER` if it does not lead there soon.
        t: of the trend, positive towards the bound.
    """

    done: float
    steps: float
    t: float

    @classmethod
    def to(cls, bound: float, ratio: float, trend: Trend, base: float) -> Approach:
        """Return how near a ratio is to `bound`.

        Args:
            bound: a ratio to `base`.
            ratio: mean of the last values over `base`.
            trend: of the last values.
            base: what ratios are relative to.
        """
        whole = log(bound)
        left = 1 - (trend.last - log(base)) / whole
        speed = trend.slope / whole
        steps = 0.0 if left <= 0 else min(left / speed, NEVER) if speed > 0 else NEVER
        return cls(log(ratio) / whole, steps, math.copysign(trend.t, speed) if speed else 0.0)

    def is_alarming(self, horizon: float, min_t: float, before: bool) -> bool:
        """Tell whether the bound is reached, or near.

        It is near when more than half of the approach is done, the line of the trend reaches it within `horizon` steps,
        and the slope is at least `min_t` standard errors. The first condition keeps noise from raising an alarm: a line
        through a few values may lead anywhere, but their mean hardly moves. An alarm ends when no more than half of the
        approach is done, so that it does not switch on and off.

        Args:
            horizon: steps to look ahead; 0 disables the forecast.
            min_t: how clear the trend has to be.
            before: whether the alarm was on at the step before.
        """
        is_clear = 0 < horizon >= self.steps and self.t >= min_t
        return self.done >= 1 or (self.done > 0.5 and (before or is_clear))


def log(value: float) -> float:
    """Return the logarithm; for 0 that of a very small number."""
    return math.log(max(value, _SMALLEST))


@dataclass
class EntropyWatch:
    """Compares the running mean of an entropy with its first values; knows nothing of training.

    Attributes:
        baseline_steps: number of values that the baseline is the mean of; before there are so many, there is no alarm.
        window: number of values of the running mean and of the trend.
        collapse, explosion: ratios of the running mean to the baseline below or above which there is an alarm.
        horizon: steps within which a clear trend has to reach one of them for an early alarm, see `Approach`.
        first, recent: values of the baseline, and the last ones.
        alarm: `collapse`, `explosion` or empty.
    """

    baseline_steps: int
    window: int
    collapse: float
    explosion: float
    horizon: int
    first: list[float] = field(default_factory=list, init=False)
    recent: list[float] = field(default_factory=list, init=False)
    alarm: str = field(default="", init=False)

    def update(self, entropy: float) -> dict[str, float]:
        """Take in the next value, nats a token; return the scalars under `entropy/`."""
        self.recent = [*self.recent, entropy][-self.window :]
        self.first = [*self.first, entropy][: self.baseline_steps]
        approaches, before, self.alarm = self.approaches(), self.alarm, ""
        # A line fits few values too easily.
        clear = CLEAR if len(self.recent) == self.window else math.inf
        for name, approach in approaches.items() if len(self.first) == self.baseline_steps else ():
            if approach.is_alarming(self.horizon, clear, before == name):
                self.alarm = name
        return {
            "entropy/ratio": self.ratio,
            "entropy/slope": Trend.of(self.recent).slope,
            "entropy/steps_to_collapse": approaches["collapse"].steps,
            "entropy/alarm": float(self.alarm != ""),
        }

    def approaches(self) -> dict[str, Approach]:
        """Return the approach to the collapse and that to the explosion."""
        trend, base = Trend.of(self.recent), _mean(self.first)
        bounds = {"collapse": self.collapse, "explosion": self.explosion}
        return {name: Approach.to(bound, self.ratio, trend, base) for name, bound in bounds.items()}

    @property
    def mean(self) -> float:
        """Mean of the last values, nats a token."""
        return _mean(self.recent)

    @property
    def ratio(self) -> float:
        """The running mean over the baseline."""
        base = _mean(self.first)
        return self.mean / base if base > 0 else 1.0

    def __str__(self) -> str:
        """What the alarm is about, in words."""
        approach, pace = self.approaches()[self.alarm], math.expm1(Trend.of(self.recent).slope)
        where = "past" if approach.done >= 1 else f"{approach.steps:.0f} steps away"
        bound = f"{getattr(self, self.alarm):g} is {where}"
        return f"{self.mean:.3f} nats a token, {self.ratio:.2f} of the baseline; {bound} at {pace:+.1%} a step"

    def state_dict(self) -> dict[str, Any]:
        """Return its memory as plain data."""
        return {"first": list(self.first), "recent": list(self.recent), "alarm": self.alarm}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take its memory from a checkpoint."""
        self.first, self.recent, self.alarm = list(state["first"]), list(state["recent"]), state["alarm"]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def spread(batch: RolloutBatch) -> float:
    """Return the variance of the log-probs of all sampled tokens, over all ranks; a collective."""
    logprobs = [logprob for rollout in batch.rollouts for logprob in rollout.generation.logprobs]
    sums = gather((len(logprobs), sum(logprobs), sum(logprob * logprob for logprob in logprobs)))
    count, total, squares = (sum(column) for column in zip(*sums, strict=True))
    return max(squares / count - (total / count) ** 2, 0.0) if count else 0.0


def temperature_factor(entropy: float, spread: float, target: float, most: float) -> float:
    """Return the factor of the sampling temperature that brings the entropy nearer to `target`, and not beyond.

    At temperature T the entropy H of one distribution changes by dH / d log T = the variance of its log-probs.
    `spread`, the variance over all sampled tokens, is the mean of that plus the variance between positions. It is too
    large, so that the step in log T, (target - H) / spread, falls short of the target rather than past it.

    Args:
        entropy: now, nats a token.
        spread: variance of the log-probs of the sampled tokens.
        target: nats a token.
        most: largest factor; the smallest is 1 / most.
    """
    bound = math.log(most)
    wanted = (target - entropy) / max(spread, _SMALLEST)
    return math.exp(max(-bound, min(bound, wanted)))
