"""Held-out evaluation on the way: when it is due, and what it found."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from acereason.evaluation.evaluate import HeldOutResults
from acereason.policy.module import PolicyModule
from acereason.rollout.data import data_of
from acereason.rollout.metrics import EVALUATED_AT


def is_due(trainer: Trainer, module: PolicyModule, every_n_steps: int) -> bool:
    """Whether something is to be done after this rollout step: every so many, and after the last one of a stage."""
    step = module.curriculum.step
    last = trainer.should_stop or step in (module.config.trainer.max_steps, module.curriculum.stage_since)
    return last or (every_n_steps > 0 and step % every_n_steps == 0)


class HeldOutEvaluation(Callback):
    """Evaluates before the first step, every `every_n_steps` rollout steps, and after the last.

    Attributes:
        results: what was found, by rollout step.
        due_step: the step whose evaluation has begun and not ended; a run that stops there does it when it goes on.
        metrics, step: the newest scalars, and the step that they are of; a resumed run has them for callbacks that look
            at them.
    """

    def __init__(self, every_n_steps: int) -> None:
        self.every_n_steps = every_n_steps
        self.results: dict[int, HeldOutResults] = {}
        self.due_step: int | None = None
        self.metrics: dict[str, float] = {}
        self.step = 0

    def on_train_start(self, trainer: Trainer, module: PolicyModule) -> None:
        """The policy before training, or where a stop cut its evaluation short."""
        self._show(trainer)
        if module.curriculum.step in (0, self.due_step):
            self._evaluate(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: PolicyModule, *_: object) -> None:
        """The policy after a step, when it is due."""
        if is_due(trainer, module, self.every_n_steps):
            self._evaluate(trainer, module)

    def state_dict(self) -> dict[str, Any]:
        """The newest scalars, and the evaluation that is still to be made."""
        return {"due_step": self.due_step, "metrics": self.metrics, "step": self.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them back."""
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
