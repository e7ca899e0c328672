"""What callbacks of a run are called with besides Lightning's own hooks, and how they reach each other."""

from __future__ import annotations

from lightning.pytorch import Callback, Trainer

from acereason.policy.module import PolicyModule


class PolicyCallback(Callback):
    """A Lightning callback with one hook more; a plain Lightning callback works in a run as well.

    Lightning declares that hooks get some `LightningModule` and some batch. In a run they get a `PolicyModule` and a
    `RolloutBatch`, and the hooks of callbacks say so.
    """

    def on_rollouts_start(self, trainer: Trainer, module: PolicyModule) -> None:
        """Act before the prompts of a step are chosen, after the checkpoint of the step before.

        What it changes in the curriculum holds for this very step. Long work belongs here: a run that is killed in it
        resumes from that checkpoint. A run that is stopped during the rollouts calls it again for the same step, and
        the result has to be the same.
        """


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """Return the callbacks of a run, in calling order; Lightning does not declare the attribute."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return callbacks
