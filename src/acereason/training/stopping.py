"""Stopping on request: SIGTERM saves and ends the run; SIGUSR1 under SLURM queues it again as well."""

from __future__ import annotations

import os
import subprocess
import sys

from lightning.pytorch import Callback, Trainer

from acereason.distributed.collectives import gather
from acereason.distributed.lifeline import Lifeline
from acereason.errors import StopRequested
from acereason.policy.module import PolicyModule


class Leave(Callback):
    """A callback that ends the run between two steps once any rank was asked to stop.

    It comes last, so that the step is complete. During generation the data module asks the same question.
    `Checkpoints` saves when `StopRequested` is raised.
    """

    def __init__(self, lifeline: Lifeline) -> None:
        self.lifeline = lifeline

    def on_train_start(self, trainer: Trainer, module: PolicyModule) -> None:
        """Install our signal handlers again: Lightning's own end a run without saving what we save."""
        self.lifeline.install_handlers()

    def on_train_batch_end(self, trainer: Trainer, module: PolicyModule, *_: object) -> None:
        """Ask all ranks.

        Raises:
            StopRequested: one of them was asked to stop.
        """
        if any(gather(self.lifeline.stop_requested)):
            raise StopRequested


def say_goodbye(step: int, rank: int, lifeline: Lifeline) -> None:
    """Print on rank 0 where the run stopped, and queue the job again if that was asked for."""
    if rank:
        return
    print(f"stopped by {lifeline.stop_signal} after {step} rollout steps: {_how_to_resume(step)}", flush=True)
    job = os.environ.get("SLURM_JOB_ID")
    if lifeline.requeue and job:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
        if done.returncode:
            print(f"scontrol requeue {job} failed: {done.stderr.strip()}", file=sys.stderr, flush=True)


def _how_to_resume(step: int) -> str:
    if step:
        return "checkpoint saved; resume with ckpt=last"
    return "no checkpoint yet; ckpt=auto with the same run.name starts again and keeps the responses judged so far"
