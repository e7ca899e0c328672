"""An alarm where a run cannot learn: in its first steps no response has anything to judge."""

from __future__ import annotations

import warnings

from lightning.pytorch import Callback, Trainer

from acereason.policy.module import PolicyModule
from acereason.rollout.batch import RolloutBatch

FIRST_STEPS = 3
"""How many steps of a run are looked at."""


class NothingToJudgeAlarm(Callback):
    """Warns after each of a run's first steps, for as long as no response of the run has held anything to judge."""

    def __init__(self) -> None:
        self._silent = True

    def on_train_batch_end(
        self, trainer: Trainer, module: PolicyModule, outputs: object, batch: RolloutBatch, batch_idx: int
    ) -> None:
        """Look at the step's shares, the same on all ranks."""
        endless, empty = module.metrics["reward/no_think_end"], module.metrics["reward/no_answer"]
        # Shares are quotients of whole numbers, so their sum may miss 1 by its rounding.
        self._silent = self._silent and endless + empty > 1 - 1e-9
        step = batch.step + 1
        if not self._silent or step > FIRST_STEPS or not trainer.is_global_zero:
            return
        warnings.warn(f"{_found(step, endless)}; {_advice(endless, module)}", stacklevel=1)


def _found(step: int, endless: float) -> str:
    steps = "the first step" if step == 1 else f"the first {step} steps"
    return f"no response of {steps} can earn a reward: in the last, {endless:.0%} did not end their thoughts" + (
        ", the others gave no answer" if endless < 1 else ""
    )


def _advice(endless: float, module: PolicyModule) -> str:
    if module.metrics["response/truncated"] > 0.5:
        return "most were cut off: raise curriculum.max_response_tokens, or look at the responses"
    if endless > 0.5:
        return "if the model does not write </think>, set rewards.thinking=optional"
    return "tell the model how to answer (prompts.instructions, prompts.examples), or teach it by a warm start"
