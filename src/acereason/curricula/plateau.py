"""When a metric has stopped rising, and which metrics a run has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning.pytorch import Callback, Trainer
from torch import Tensor

from acereason.config.fields import nearest, shown
from acereason.config.schema import Config, DType
from acereason.config.setting import Bounds
from acereason.curricula.arguments import check_number, check_whole, read_mapping
from acereason.errors import UserError
from acereason.evaluation.evaluate import EvaluationResult, HeldOutResults
from acereason.policy.module import PolicyModule
from acereason.problems.loaders import sources
from acereason.problems.problem import Domain
from acereason.rollout.metrics import EVALUATED, EVALUATED_AT, STEP_METRICS


@dataclass
class Plateau:
    """A metric whose running mean has not risen for some time, or has.

    The mean has risen when it is above its best so far by more than `min_gain`; many small rises add up to one.

    Attributes:
        metric: its name.
        patience: number of updates without a rise that make a plateau.
        min_gain: smallest rise that counts, exclusive, in the unit of the metric.
        window: number of values of the running mean; before there are so many, nothing is decided.
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
        """Return the plateau of settings such as `{metric: reward/mean, patience: 20, min_gain: 0.01, window: 5}`.

        Raises:
            UserError: a name is unknown, a value out of range, or metric or patience missing.
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
        check_number(plateau.min_gain, Bounds(ge=0), f"{setting}.min_gain")
        return plateau

    @property
    def is_flat(self) -> bool:
        """Whether the mean has not risen for `patience` updates."""
        return self.stale >= self.patience

    def update(self, value: float, step: int) -> bool:
        """Take in a value measured after `step` steps, once for each step; return `is_flat`."""
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
        """Forget what it has seen."""
        self.recent, self.best, self.stale, self.seen = [], None, 0, None

    def state_dict(self) -> dict[str, Any]:
        """Return its memory as plain data."""
        return {"recent": list(self.recent), "best": self.best, "stale": self.stale, "seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take its memory from a checkpoint."""
        self.recent, self.best = list(state["recent"]), state["best"]
        self.stale, self.seen = state["stale"], state["seen"]

    def __str__(self) -> str:
        """The reason for a change, in words."""
        best = "" if self.best is None else f", best {self.best:.4g}"
        times = "evaluations" if self.metric.startswith(EVALUATED) else "steps"
        return f"{self.metric} has not risen by more than {self.min_gain:g} for {self.stale} {times}{best}"


def metrics_of(config: Config) -> list[str]:
    """Return the names of what a run with these settings measures at each step and in its evaluations."""
    correction = config.grpo.correction
    optional = {
        "policy/clip_fraction": config.grpo.updates_per_batch > 1,
        "policy/kl": config.grpo.kl_coefficient > 0,
        "policy/loss_scale": config.model.compute_dtype is DType.float16,
        "rollout/ratio_capped": correction.value.endswith("_cap"),
        "rollout/ratio_masked": correction.value.endswith("_mask"),
        "rollout/sequence_ratio_min": correction.value.startswith("sequence"),
        "rollout/sequence_ratio_max": correction.value.startswith("sequence"),
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
    """Check that a run will have a metric when a callback reads it.

    Args:
        metric: its name.
        setting: key of the setting that names it, for messages.
        config: settings of the run.
        callbacks: all that the settings name, in their order.
        reader: the one of them that reads it; it sees only what callbacks before it log.

    Raises:
        UserError: the run will not measure it, or measures it too late for the reader.
    """
    if metric in metrics_of(config) and metric.startswith(EVALUATED) and config.evaluation.every_n_steps == 0:
        raise UserError(f"{setting}={metric}: with evaluation.every_n_steps=0, it is not measured during training")
    logged = [(name, callback) for callback in callbacks for name in getattr(callback, "logs", ())]
    known = [*metrics_of(config), *(name for name, _ in logged)]
    if metric not in known:
        raise UserError(f"{setting}={shown(metric)}: no such metric in this run; {nearest(metric, known)}")
    order = list(callbacks)
    owners = [callback for name, callback in logged if name == metric]
    if reader in order and owners and min(map(order.index, owners)) > order.index(reader):
        first = getattr(owners[0], "name", type(owners[0]).__name__)
        raise UserError(f"{setting}={shown(metric)}: logged by callbacks.{first}, which must come before this callback")


def measured(metric: str, setting: str, trainer: Trainer, module: PolicyModule) -> tuple[float, int]:
    """Return the newest value of a metric, and how many steps were done when it was measured.

    Metrics under `eval/` are those of the last evaluation.

    Raises:
        UserError: there is no value.
    """
    step = module.curriculum.step
    both: tuple[Mapping[str, float | Tensor], ...] = (module.metrics, trainer.callback_metrics)
    for metrics in both:
        if metric in metrics:
            is_of_evaluation = metric.startswith(EVALUATED)
            return float(metrics[metric]), int(metrics.get(EVALUATED_AT, step)) if is_of_evaluation else step
    instead = "a callback that logs it must come before the one that reads it"
    raise UserError(f"{setting}={metric}: missing after {step} steps; {instead}")
