"""Held-out evaluation during a run: when it is due, and what it found."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from acereason.evaluation.evaluate import HeldOutResults
from acereason.policy.module import PolicyModule
from acereason.rollout.data import data_of
from acereason.rollout.metrics import EVALUATED_AT


def is_due(trainer: Trainer, module: PolicyModule, every_n_steps: int) -> bool:
    """Return whether work is due after this rollout step: every `every_n_steps`, and at a stage's or the run's end."""
    step = module.curriculum.step
    last = trainer.should_stop or step in (module.config.trainer.max_steps, module.curriculum.stage_since)
    return last or (every_n_steps > 0 and step % every_n_steps == 0)


class HeldOutEvaluation(Callback):
    """A callback that evaluates the policy on the held-out problems.

    It does so before the first step, every `every_n_steps` rollout steps, and after the last of a stage or of the run.

    Attributes:
        results: of each evaluation, by rollout step.
        due_step: the step whose evaluation has begun and not ended; a run that stops there evaluates when it resumes.
        metrics, step: the newest scalars and their step; a resumed run restores them for callbacks that read them.
    """

    def __init__(self, every_n_steps: int) -> None:
        self.every_n_steps = every_n_steps
        self.results: dict[int, HeldOutResults] = {}
        self.due_step: int | None = None
        self.metrics: dict[str, float] = {}
        self.step = 0

    def on_train_start(self, trainer: Trainer, module: PolicyModule) -> None:
        """Evaluate the policy before training, or where a stop interrupted its evaluation."""
        self._show(trainer)
        if module.curriculum.step in (0, self.due_step):
            self._evaluate(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: PolicyModule, *_: object) -> None:
        """Evaluate the policy after a step, if it is due."""
        if is_due(trainer, module, self.every_n_steps):
            self._evaluate(trainer, module)

    def state_dict(self) -> dict[str, Any]:
        """Return the newest scalars and the step whose evaluation is due."""
        return {"due_step": self.due_step, "metrics": self.metrics, "step": self.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.due_step, self.metrics, self.step = state_dict["due_step"], state_dict["metrics"], state_dict["step"]

    def _evaluate(self, trainer: Trainer, module: PolicyModule) -> None:
        self.due_step = module.curriculum.step
        result = data_of(trainer).validate()
        self.due_step = None
        if result is None:
            return
        self.results[module.curriculum.step] = result
        self.metrics, self.step = result.metrics(), module.curriculum.step
        self._show(trainer)
        if module.logger is not None:
            module.logger.log_metrics(self.metrics, step=module.curriculum.step)

    def _show(self, trainer: Trainer) -> None:
        shown = {**self.metrics, EVALUATED_AT: self.step} if self.metrics else {}
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in shown.items()})
