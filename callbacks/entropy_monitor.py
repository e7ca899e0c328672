"""Watches the policy's entropy: warns, stops or samples hotter at a collapse, or holds it at a target (Fig. 3c)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, Trainer

from acereason.config.schema import Config
from acereason.config.setting import Bounds
from acereason.curricula.arguments import check_choice, check_number, check_whole
from acereason.curricula.callback import CurriculumCallback
from acereason.curricula.entropy import EntropyWatch, spread, temperature_factor
from acereason.errors import UserError
from acereason.policy.module import PolicyModule
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum

SAMPLED = ("stage", "domain", "pool", "max_response_tokens", "temperature", "top_p")
"""Values of the curriculum that move the entropy at once when they change: no trend is drawn across a change."""


class EntropyMonitor(CurriculumCallback):
    """A watch on `policy/entropy`, nats a token at the sampling temperature, after each rollout step.

    Args:
        action: what to do at a collapse: `warn`, `stop` (at an explosion as well) or `raise_temperature`; the last two
            warn, too.
        baseline: whose first steps the entropy is compared with: those of the `run` or of the `stage`.
        baseline_steps: number of first steps that the baseline is the mean of.
        window: number of steps of the running mean and of the trend.
        collapse: share of the baseline below which the running mean is an alarm.
        explosion: multiple of the baseline above which the running mean is an alarm.
        horizon: alarm early if the mean is more than half-way to a bound and a clear trend reaches it within this many
            steps; 0 disables the forecast.
        target: entropy near which the temperature is to hold the running mean (AceReason-Nemotron 1.1: about 0.3).
        tolerance: share of the target by which the mean may be off before the temperature moves.
        factor: largest factor by which the temperature is multiplied or divided in one change.
        cooldown: smallest number of steps between a change of what is sampled and the next change of the temperature.
        min_temperature, max_temperature: range in which the temperature is set.
    """

    logs = ("entropy/ratio", "entropy/slope", "entropy/steps_to_collapse", "entropy/alarm")

    def __init__(
        self,
        action: str = "warn",
        baseline: str = "run",
        baseline_steps: int = 10,
        window: int = 10,
        collapse: float = 0.3,
        explosion: float = 3.0,
        horizon: int = 50,
        target: float | None = None,
        tolerance: float = 0.1,
        factor: float = 1.05,
        cooldown: int = 10,
        min_temperature: float = 0.6,
        max_temperature: float = 1.2,
    ) -> None:
        self.watch = EntropyWatch(baseline_steps, window, collapse, explosion, horizon)
        self.action, self.baseline, self.target, self.tolerance = action, baseline, target, tolerance
        self.factor, self.cooldown = factor, cooldown
        self.min_temperature, self.max_temperature = min_temperature, max_temperature

    def check(self, config: Config, others: Sequence[Callback]) -> None:
        """Check each setting by itself, and that `action` and `target` do not both set the temperature."""
        check_choice(self.action, ("warn", "stop", "raise_temperature"), self.setting("action"))
        check_choice(self.baseline, ("run", "stage"), self.setting("baseline"))
        values = {**vars(self), **vars(self.watch)}
        for name, low in {"baseline_steps": 1, "window": 3, "horizon": 0, "cooldown": 1}.items():
            check_whole(values[name], low, self.setting(name))
        positive, above_1 = Bounds(gt=0), Bounds(gt=1)
        bounds = {"collapse": Bounds(gt=0, lt=1), "explosion": above_1, "factor": above_1, "tolerance": positive}
        bounds |= {"min_temperature": positive} | ({} if self.target is None else {"target": positive})
        for name, each in bounds.items():
            check_number(values[name], each, self.setting(name))
        check_number(self.max_temperature, Bounds(ge=self.min_temperature), self.setting("max_temperature"))
        if self.target is not None and self.action == "raise_temperature":
            both = "target sets the temperature already; use warn or stop"
            raise UserError(f"{self.setting('action')}=raise_temperature: {both}")

    def on_train_batch_end(
        self, trainer: Trainer, module: PolicyModule, outputs: object, batch: RolloutBatch, batch_idx: int
    ) -> None:
        """Take in the step's entropy, the same on all ranks, and act on an alarm or a missed target."""
        curriculum, before = module.curriculum, self.watch.alarm
        step = curriculum.step - 1  # of these rollouts
        changes = [change.step for change in curriculum.history if change.what in SAMPLED]
        if step in (*changes, curriculum.stage_since):
            self.watch.recent = []
        if step == curriculum.stage_since and self.baseline == "stage":
            self.watch.first = []
        module.metrics.update(self.watch.update(module.metrics["policy/entropy"]))
        if self.watch.alarm and self.action == "stop":
            trainer.should_stop = True
        if self.watch.alarm not in ("", before) and trainer.is_global_zero:
            text = f"entropy {self.watch.alarm} after {curriculum.step} steps: {self.watch} (action={self.action})"
            warnings.warn(f"callbacks.{self.name}: {text}", stacklevel=1)
        if curriculum.step - max(changes, default=0) >= self.cooldown:
            self._set_temperature(curriculum, batch)

    def _set_temperature(self, curriculum: Curriculum, batch: RolloutBatch) -> None:
        now, mean = curriculum.temperature, self.watch.mean
        if self.target is not None and abs(mean - self.target) > self.tolerance * self.target:
            why, factor = f"target {self.target:g}", temperature_factor(mean, spread(batch), self.target, self.factor)
        elif self.action == "raise_temperature" and self.watch.alarm == "collapse":
            why, factor = "collapse", self.factor
        else:
            return
        # A temperature that is already out of the range comes back in steps of `factor`, not at once.
        then = min(now * factor, self.max_temperature) if factor > 1 else max(now * factor, self.min_temperature)
        if (then > now) == (factor > 1):
            curriculum.change(self.name, f"entropy {mean:.3f}: {why}", temperature=round(then, 4))

    def state_dict(self) -> dict[str, Any]:
        """Return what it has seen."""
        return self.watch.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it from a checkpoint."""
        self.watch.load_state_dict(state_dict)
