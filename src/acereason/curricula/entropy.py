"""Where a noisy positive number is heading: its trend on a log scale, and how far it is from a bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

NEVER = 1000.0
"""Steps that stand for "not in sight", so that curves stay readable."""
_SMALLEST = 1e-6


@dataclass(frozen=True)
class Trend:
    """The straight line through logarithms, by least squares.

    Attributes:
        slope: change of the logarithm a step; -0.02 is 2% less each step.
        t: the slope over its standard error: a few times 1 is what noise without a trend gives now and then.
        last: the line's value at the last step.
    """

    slope: float
    t: float
    last: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Trend:
        """Of the values of successive steps; flat when they are fewer than 3."""
        logs = [log(value) for value in values]
        count, mean = len(logs), sum(logs) / len(logs)
        if count < 3:
            return cls(0.0, 0.0, mean)
        places = [place - (count - 1) / 2 for place in range(count)]
        spread = sum(place * place for place in places)
        slope = sum(place * value for place, value in zip(places, logs, strict=True)) / spread
        residuals = [value - mean - slope * place for place, value in zip(places, logs, strict=True)]
        error = math.sqrt(sum(residual * residual for residual in residuals) / (count - 2) / spread)
        # What rounding leaves of a perfect line must not be divided by.
        t = slope / max(error, 1e-9)
        return cls(slope, t, mean + slope * places[-1])


@dataclass(frozen=True)
class Way:
    """How far a ratio has come from 1 to a bound below or above it, on a log scale.

    Attributes:
        done: 0 at 1, 1 at the bound, negative on the other side of 1.
        steps: until the trend's line is at the bound; 0 when it is past it, `NEVER` when it does not lead there soon.
        t: of the trend, positive towards the bound.
    """

    done: float
    steps: float
    t: float

    @classmethod
    def to(cls, bound: float, ratio: float, trend: Trend, base: float) -> Way:
        """To `bound`, a ratio to `base`; `trend` is that of the values which make up the ratio."""
        whole = log(bound)
        left = 1 - (trend.last - log(base)) / whole
        speed = trend.slope / whole
        steps = 0.0 if left <= 0 else min(left / speed, NEVER) if speed > 0 else NEVER
        return cls(log(ratio) / whole, steps, math.copysign(trend.t, speed) if speed else 0.0)

    def is_alarming(self, horizon: float, min_t: float, before: bool) -> bool:
        """Whether the bound is reached, or near.

        Near is more than half of the way, and a line that reaches the bound within `horizon` steps and whose slope is
        `min_t` standard errors or more. The half-way mark keeps away what noise alone does: lines through a few values
        lead anywhere, but the mean stays. An alarm ends when less than half of the way is left behind again, so that
        it does not come and go.

        Args:
            horizon: steps to look ahead; 0 does not.
            min_t: how clear the trend has to be.
            before: whether the alarm was on at the step before.
        """
        is_clear = 0 < horizon >= self.steps and self.t >= min_t
        return self.done >= 1 or (self.done > 0.5 and (before or is_clear))


def log(value: float) -> float:
    """The logarithm; that of a very small number for 0."""
    return math.log(max(value, _SMALLEST))


def temperature_factor(entropy: float, spread: float, target: float, most: float) -> float:
    """What to multiply the sampling temperature by, so that the entropy comes nearer to `target` and not beyond.

    At temperature T the entropy H of one distribution changes by dH / d log T = the variance of its log-probs.
    `spread`, the variance over all sampled tokens, is the mean of that plus the variance between positions: too large,
    so that the step in log T, (target - H) / spread, falls short of the target rather than past it.

    Args:
        entropy: now, nats a token.
        spread: variance of the log-probs of the sampled tokens.
        target: nats a token.
        most: the factor is at most this and at least 1 / this.
    """
    bound = math.log(most)
    wanted = (target - entropy) / max(spread, _SMALLEST)
    return math.exp(max(-bound, min(bound, wanted)))
