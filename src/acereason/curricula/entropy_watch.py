"""Entropies of successive steps in, their course and an alarm out; knows nothing of training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from acereason.curricula.entropy import Trend, Way
from acereason.distributed.collectives import gather
from acereason.rollout.batch import RolloutBatch

CLEAR = 4.0
"""Standard errors that the slope of a trend must differ from 0 by; noise alone has 2 or 3 again and again."""


@dataclass
class EntropyWatch:
    """Compares the running mean of an entropy with what it was at first.

    Attributes:
        baseline_steps: values that the baseline is the mean of; before there are so many, there is no alarm.
        window: values of the running mean and of the trend.
        collapse, explosion: alarm below or above so many times the baseline,
        horizon: or on the way there and there within so many steps, see `Way.is_alarming`.
        first, recent, alarm: the baseline's values, the last ones, and `collapse`, `explosion` or nothing.
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
        """Takes one more value, nats a token; returns the scalars under `entropy/`."""
        self.recent = [*self.recent, entropy][-self.window :]
        self.first = [*self.first, entropy][: self.baseline_steps]
        ways, before, self.alarm = self.ways(), self.alarm, ""
        # A line through fewer values is too easily a good one.
        clear = CLEAR if len(self.recent) == self.window else math.inf
        for name, way in ways.items() if len(self.first) == self.baseline_steps else ():
            if way.is_alarming(self.horizon, clear, before == name):
                self.alarm = name
        return {
            "entropy/ratio": self.ratio,
            "entropy/slope": Trend.of(self.recent).slope,
            "entropy/steps_to_collapse": ways["collapse"].steps,
            "entropy/alarm": float(self.alarm != ""),
        }

    def ways(self) -> dict[str, Way]:
        """To the collapse and to the explosion."""
        trend, base = Trend.of(self.recent), _mean(self.first)
        bounds = {"collapse": self.collapse, "explosion": self.explosion}
        return {name: Way.to(bound, self.ratio, trend, base) for name, bound in bounds.items()}

    @property
    def mean(self) -> float:
        """Of the last values, nats a token."""
        return _mean(self.recent)

    @property
    def ratio(self) -> float:
        """The running mean over the baseline."""
        base = _mean(self.first)
        return self.mean / base if base > 0 else 1.0

    def __str__(self) -> str:
        """What the alarm is about."""
        way, pace = self.ways()[self.alarm], math.expm1(Trend.of(self.recent).slope)
        bound = f"{getattr(self, self.alarm):g} is {'past' if way.done >= 1 else f'{way.steps:.0f} steps away'}"
        return f"{self.mean:.3f} nats a token, {self.ratio:.2f} of the baseline; {bound} at {pace:+.1%} a step"

    def state_dict(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        return {"first": list(self.first), "recent": list(self.recent), "alarm": self.alarm}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes it back."""
        self.first, self.recent, self.alarm = list(state["first"]), list(state["recent"]), state["alarm"]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def spread(batch: RolloutBatch) -> float:
    """Variance of the log-probs of all ranks' sampled tokens; every rank calls it."""
    logprobs = [logprob for rollout in batch.rollouts for logprob in rollout.generation.logprobs]
    sums = gather((len(logprobs), sum(logprobs), sum(logprob * logprob for logprob in logprobs)))
    count, total, squares = (sum(column) for column in zip(*sums, strict=True))
    return max(squares / count - (total / count) ** 2, 0.0) if count else 0.0
