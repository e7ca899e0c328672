"""Checkpoints of a run: written beside, renamed when complete, the newest kept."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer

from acereason.errors import UserError

PARTIAL = ".partial"


def is_due(trainer: Trainer, module: Any, every_n_steps: int) -> bool:
    """Whether something is to be done after this rollout step: every so many, and after the last one."""
    step = module.curriculum.step
    last = trainer.should_stop or step == module.config.trainer.max_steps
    return last or (every_n_steps > 0 and step % every_n_steps == 0)


class Checkpoints(Callback):
    """Saves every `every_n_steps` rollout steps and at the end, and keeps the newest `keep`."""

    def __init__(self, folder: Path, every_n_steps: int, keep: int) -> None:
        self.folder = folder
        self.every_n_steps = every_n_steps
        self.keep = keep

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: object) -> None:
        """Saves when the step, or the run, asks for it."""
        if is_due(trainer, module, self.every_n_steps):
            self.save(trainer, module.curriculum.step)

    def save(self, trainer: Trainer, step: int) -> None:
        """Writes `step-N`, whole or not at all, and removes what is older than the newest `keep`."""
        final = self.folder / f"step-{step:06d}"
        partial = final.with_name(final.name + PARTIAL)
        if trainer.is_global_zero:
            shutil.rmtree(partial, ignore_errors=True)
        trainer.strategy.barrier()
        trainer.save_checkpoint(partial)
        trainer.strategy.barrier()
        if not trainer.is_global_zero:
            return
        if final.exists():
            shutil.rmtree(final)
        os.rename(partial, final)
        for old in complete_checkpoints(self.folder)[: -self.keep]:
            shutil.rmtree(old)


def complete_checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints of a run's folder, oldest first."""
    return sorted(path for path in folder.glob("step-*") if not path.name.endswith(PARTIAL))


def find_checkpoint(ckpt: str, folder: Path) -> Path | None:
    """The checkpoint that `ckpt` names: none when empty, the newest complete one for `last`, else the path itself.

    Raises:
        UserError: there is no such checkpoint.
    """
    if not ckpt:
        return None
    if ckpt == "last":
        complete = complete_checkpoints(folder)
        if not complete:
            raise UserError(f"ckpt=last: there is no complete checkpoint in {folder}; leave ckpt empty to start afresh")
        return complete[-1]
    path = Path(ckpt)
    if path.name.endswith(PARTIAL):
        raise UserError(f"ckpt={ckpt} was not written to the end; use ckpt=last for the newest complete one")
    if not (path / "meta.pt").exists():
        raise UserError(f"ckpt={ckpt} is not a checkpoint folder; use ckpt=last for the newest of this run")
    return path
