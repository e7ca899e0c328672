"""When a metric has stopped rising, and which metrics there are to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning.pytorch import Callback, Trainer
from torch import Tensor

from acereason.config.fields import nearest, shown
from acereason.config.schema import Config
from acereason.curricula.arguments import check_number, check_whole, read_mapping
from acereason.errors import UserError
from acereason.evaluation.evaluate import EvaluationResult, HeldOutResults
from acereason.policy.module import PolicyModule
from acereason.problems.loaders import sources
from acereason.problems.problem import Domain
from acereason.rollout.metrics import EVALUATED, EVALUATED_AT, STEP_METRICS


@dataclass
class Plateau:
    """Says when the running mean of a metric has not risen for long enough.

    A rise counts when the mean is above its best so far by more than `min_gain`; many small ones add up to one.

    Attributes:
        metric: its name.
        patience: updates without a rise.
        min_gain: what the mean has to gain on its best, in the metric's unit.
        window: values of the running mean; before there are so many, nothing is decided.
        recent, best, stale, seen: the last values, the best mean, the updates since, and the step of the last value;
            its whole memory.
    """

    metric: str
    patience: int
    min_gain: float = 0.0
    window: int = 1
    recent: list[float] = field(default_factory=list, init=False, compare=False)
    best: float | None = field(default=None, init=False, compare=False)
    stale: int = field(default=0, init=False, compare=False)
    seen: int | None = field(default=None, init=False, compare=False)

    @classmethod
    def read(cls, value: Any, setting: str) -> Plateau:
        """From the settings: `{metric: reward/mean, patience: 20, min_gain: 0.01, window: 5}`.

        Raises:
            UserError: a name or value that cannot be, or metric or patience missing; it begins with `setting`.
        """
        given = read_mapping(value, ["metric", "patience", "min_gain", "window"], setting)
        for name in ("metric", "patience"):
            if name not in given:
                raise UserError(f"{setting}={shown(value)}: needs {name}; set {setting}.{name}=…")
        plateau = cls(**given)
        if not isinstance(plateau.metric, str):
            raise UserError(f"{setting}.metric={shown(plateau.metric)}: must be a metric's name, such as reward/mean")
        check_whole(plateau.patience, 1, f"{setting}.patience")
        check_whole(plateau.window, 1, f"{setting}.window")
        check_number(plateau.min_gain, "[0, inf)", f"{setting}.min_gain")
        return plateau

    @property
    def is_flat(self) -> bool:
        """Whether the mean has not risen for `patience` updates."""
        return self.stale >= self.patience

    def update(self, value: float, step: int) -> bool:
        """Takes one more value, measured after `step` steps, unless it has it already; says whether it `is_flat`."""
        if step == self.seen:
            return self.is_flat
        self.seen, self.recent = step, [*self.recent, value][-self.window :]
        if len(self.recent) < self.window:
            return False
        mean = sum(self.recent) / self.window
        if self.best is None or mean > self.best + self.min_gain:
            self.best, self.stale = mean, 0
        else:
            self.stale += 1
        return self.is_flat

    def reset(self) -> None:
        """Forgets what it has seen."""
        self.recent, self.best, self.stale, self.seen = [], None, 0, None

    def state_dict(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        return {"recent": list(self.recent), "best": self.best, "stale": self.stale, "seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes it back."""
        self.recent, self.best = list(state["recent"]), state["best"]
        self.stale, self.seen = state["stale"], state["seen"]

    def __str__(self) -> str:
        """In words, for the reason of a change."""
        best = "" if self.best is None else f", best {self.best:.4g}"
        times = "evaluations" if self.metric.startswith(EVALUATED) else "steps"
        return f"{self.metric} has not risen by more than {self.min_gain:g} for {self.stale} {times}{best}"


def metrics_of(config: Config) -> list[str]:
    """Names of what a run of these settings will measure at each step and in its evaluations."""
    optional = {
        "policy/clip_fraction": config.grpo.updates_per_batch > 1,
        "policy/kl": config.grpo.kl_coefficient > 0,
    }
    nothing = EvaluationResult(0.0, 0.0, 0.0, 0.0, problems=[])
    domains: dict[Domain, EvaluationResult] = {
        source.domain.value: nothing for source in sources(config).values() if source.held_out > 0
    }
    evaluated = HeldOutResults(domains).metrics() if domains else {}
    return [*STEP_METRICS, *(name for name, is_on in optional.items() if is_on), *evaluated]


def check_metric(
    metric: str, setting: str, config: Config, callbacks: Sequence[Callback], reader: Callback | None = None
) -> None:
    """Makes sure that a metric will be there to look at.

    Args:
        metric: its name.
        setting: where it is named, for messages.
        config: the run's settings.
        callbacks: all that the settings name, in their order.
        reader: the one of them that looks at it: what another one logs is there only for those that come after it.

    Raises:
        UserError: it will not.
    """
    if metric in metrics_of(config) and metric.startswith(EVALUATED) and config.evaluation.every_n_steps == 0:
        raise UserError(f"{setting}={metric}: nothing is evaluated on the way with evaluation.every_n_steps=0")
    logged = [(name, callback) for callback in callbacks for name in getattr(callback, "logs", ())]
    known = [*metrics_of(config), *(name for name, _ in logged)]
    if metric not in known:
        raise UserError(f"{setting}={shown(metric)}: no such metric in this run; {nearest(metric, known)}")
    order = list(callbacks)
    owners = [callback for name, callback in logged if name == metric]
    if reader in order and owners and min(map(order.index, owners)) > order.index(reader):
        first = getattr(owners[0], "name", type(owners[0]).__name__)
        raise UserError(f"{setting}={shown(metric)}: comes from callbacks.{first}, which must stand before this one")


def measured(metric: str, setting: str, trainer: Trainer, module: PolicyModule) -> tuple[float, int]:
    """The newest value of a metric, after a step, and the step that it was measured after: of the last evaluation, too.

    Raises:
        UserError: there is none.
    """
    step = module.curriculum.step
    measured: tuple[Mapping[str, float | Tensor], ...] = (module.metrics, trainer.callback_metrics)
    for metrics in measured:
        if metric in metrics:
            is_of_evaluation = metric.startswith(EVALUATED)
            return float(metrics[metric]), int(metrics.get(EVALUATED_AT, step)) if is_of_evaluation else step
    after = f"after {module.curriculum.step} steps"
    raise UserError(
        f"{setting}={metric}: not there {after}; a callback that logs it must stand before the one that reads it"
    )
