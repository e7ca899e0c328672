"""Ends a run early, once the policy solves nearly everything."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer


class StopWhenSolved(Callback):
    r"""Stops when the mean reward of each of the last `patience` rollout steps reached `reward`.

    python train.py callbacks.stop.class_path=callbacks.stop_when_solved.StopWhenSolved \
        callbacks.stop.init_args.reward=0.9
    """

    def __init__(self, reward: float = 0.95, patience: int = 5) -> None:
        self.reward = reward
        self.patience = patience
        self.solved_steps = 0

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: object) -> None:
        """Count the step if it is solved; `reward/mean` is the same on all ranks."""
        solved = trainer.callback_metrics["reward/mean"].item() >= self.reward
        self.solved_steps = self.solved_steps + 1 if solved else 0
        if self.solved_steps >= self.patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, int]:
        """Return the count, so that a resumed run stops where the uninterrupted one would have."""
        return {"solved_steps": self.solved_steps}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Take the count from a checkpoint."""
        self.solved_steps = state_dict["solved_steps"]
