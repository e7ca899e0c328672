"""Checkpoints of a run: written under another name, renamed when complete; the newest and the best are kept."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.distributed.checkpoint.api import CheckpointException

from acereason.config import compose
from acereason.config.schema import Config
from acereason.distributed.collectives import gather
from acereason.errors import StopRequested, UserError
from acereason.policy.module import PolicyModule
from acereason.training.checkpoint_files import (
    PARTIAL,
    Manifest,
    architecture,
    best_checkpoint,
    complete_checkpoints,
    read_manifest,
    sync,
    what_is_missing,
    write_manifest,
)
from acereason.training.full_disk import disk_is_full
from acereason.training.held_out import HeldOutEvaluation, is_due


class Checkpoints(Callback):
    """A callback that saves checkpoints.

    It saves every `checkpoint.every_n_steps` rollout steps, after each stage, at a new best evaluation, at the end, and
    when the run is asked to stop. It comes after the callbacks whose work a checkpoint includes: the user's,
    `ScalarWriter`, `RolloutWriter` and `HeldOutEvaluation`, in this order.

    Args:
        folder: of the checkpoints; shared by all ranks.
        config: the run's settings; each checkpoint includes them.
        evaluation: source of the scores.
    """

    def __init__(self, folder: Path, config: Config, evaluation: HeldOutEvaluation) -> None:
        self.folder = folder
        self.config = config
        self.evaluation = evaluation
        self.finished_step = 0
        self.is_over = False

    def on_train_start(self, trainer: Trainer, module: PolicyModule) -> None:
        """End a run that was over when it was saved; add the score of an evaluation that a stop had interrupted."""
        self.finished_step = step = module.curriculum.step
        if step >= self.config.trainer.max_steps or (self.is_over and not self.config.ckpt_changes):
            trainer.should_stop = True
        score, path = self._score(step), self._path(step)
        if score and step and trainer.is_global_zero and not what_is_missing(path):
            write_manifest(path, Manifest(**{**vars(read_manifest(path)), "score": score}))

    def on_train_batch_end(self, trainer: Trainer, module: PolicyModule, *_: object) -> None:
        """Save if a checkpoint is due after this step, or its score is a new best."""
        self.finished_step = step = module.curriculum.step
        score = self._score(step)
        if is_due(trainer, module, self.config.checkpoint.every_n_steps) or self._is_best(trainer, score):
            self.save(trainer, module)

    def on_exception(self, trainer: Trainer, module: PolicyModule, exception: BaseException) -> None:
        """Save the last step if the run was asked to stop and the step has no checkpoint yet."""
        step = module.curriculum.step
        # Everything that follows an update has run, except perhaps the evaluation: a resumed run completes it.
        is_whole = step in (self.finished_step, self.evaluation.due_step)
        if isinstance(exception, StopRequested) and step > 0 and is_whole and not self._has(trainer, step):
            self.save(trainer, module)

    def state_dict(self) -> dict[str, bool]:
        """Return whether a callback had ended the run: a run that resumes from here ends as well."""
        return {"is_over": self.is_over}

    def load_state_dict(self, state_dict: dict[str, bool]) -> None:
        """Restore what `state_dict` returned."""
        self.is_over = state_dict["is_over"]

    def save(self, trainer: Trainer, module: PolicyModule) -> None:
        """Write the current step's checkpoint, whole or not at all; then remove those that need not stay.

        Raises:
            UserError: on all ranks, if the disk is full; all earlier checkpoints are still there.
        """
        partial = self._path(module.curriculum.step, PARTIAL)
        own: dict[str, int] = {}
        self.is_over = trainer.should_stop and module.curriculum.step < self.config.trainer.max_steps

        def write() -> None:
            _write_state(trainer, partial)
            own.update({file.name: file.stat().st_size for file in partial.glob(f"__{trainer.global_rank}_*.distcp")})

        self._on_all_ranks(trainer, module, lambda: self._make_folder(trainer, partial))
        self._on_all_ranks(trainer, module, write)
        # Each rank reports its own files: a network disk may show those of other nodes late.
        files = {name: size for each in gather(own) for name, size in each.items()}
        self._on_all_ranks(trainer, module, lambda: self._complete(trainer, module, files))
        if trainer.is_global_zero:
            self._remove_old()

    def _path(self, step: int, suffix: str = "") -> Path:
        return self.folder / f"step-{step:06d}{suffix}"

    def _has(self, trainer: Trainer, step: int) -> bool:
        """Return whether a step is saved; only rank 0 looks at the folder, so that all ranks do the same."""
        return gather(trainer.is_global_zero and not what_is_missing(self._path(step)))[0]

    def _score(self, step: int) -> dict[str, Any] | None:
        """Return the value of `checkpoint.best` in the evaluation at this very step; None without one."""
        name, result = self.config.checkpoint.best, self.evaluation.results.get(step)
        if not name or result is None:
            return None
        metrics = result.metrics()
        if name not in metrics:
            raise UserError(f"checkpoint.best={name}: must be one of {', '.join(metrics)}, or empty for none")
        return {"name": name, "value": metrics[name]} if math.isfinite(metrics[name]) else None

    def _is_best(self, trainer: Trainer, score: dict[str, Any] | None) -> bool:
        """Return whether a score, the same on all ranks, exceeds those of all checkpoints, which rank 0 looks up."""
        if score is None:
            return False
        best = best_checkpoint(self.folder, score["name"]) if trainer.is_global_zero else None
        best_score = read_manifest(best).score if best else None
        return gather(best_score is None or score["value"] > best_score["value"])[0]

    def _make_folder(self, trainer: Trainer, partial: Path) -> None:
        """Make an empty folder to write to."""
        if trainer.is_global_zero:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)

    def _complete(self, trainer: Trainer, module: PolicyModule, files: dict[str, int]) -> None:
        """Sync every file to the disk, then write the manifest, then rename the folder.

        `torch.distributed.checkpoint` has synced the files of weights and optimizer; the others are synced here, so
        that a power failure leaves no checkpoint that only looks complete: a file can have its size before its content.
        """
        if not trainer.is_global_zero:
            return
        assert module.model is not None
        step = module.curriculum.step
        partial, final = self._path(step, PARTIAL), self._path(step)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.flush()
        compose.save(self.config, partial / compose.SAVED_CONFIG)
        for name in ("meta.pt", compose.SAVED_CONFIG):
            sync(partial / name)
        manifest = Manifest(
            step=step,
            ranks=trainer.world_size,
            model=architecture(module.model.language_model.config.to_dict()),
            score=self._score(step),
            evaluation_due=self.evaluation.due_step == step,
            files={file.name: file.stat().st_size for file in sorted(partial.iterdir())} | files,
        )
        write_manifest(partial, manifest)
        if final.exists():  # a damaged one
            _remove(final)
        os.rename(partial, final)
        sync(self.folder)

    def _remove_old(self) -> None:
        """Remove all checkpoints but the newest and the best."""
        best = best_checkpoint(self.folder, self.config.checkpoint.best) if self.config.checkpoint.best else None
        for old in complete_checkpoints(self.folder)[: -self.config.checkpoint.keep]:
            if old != best:
                _remove(old)

    def _on_all_ranks(self, trainer: Trainer, module: PolicyModule, part: Callable[[], object]) -> None:
        """Do one part of a save; if it fails on one rank, remove what was written and raise on every rank."""
        error: BaseException | None = None
        try:
            part()
        except (Exception, CheckpointException) as caught:
            error = caught
        is_full = error is not None and disk_is_full(self.folder, error)
        outcomes = gather("full" if is_full else repr(error) if error else "")
        if not any(outcomes):
            return
        if trainer.is_global_zero:
            shutil.rmtree(self._path(module.curriculum.step, PARTIAL), ignore_errors=True)
        gather(None)  # only now may a rank raise: that can end the others
        if error is not None and not is_full:
            raise error
        if "full" in outcomes:
            raise UserError(self._full_message(module)) from error
        raise RuntimeError(f"another rank could not save a checkpoint: {next(filter(None, outcomes))}")

    def _full_message(self, module: PolicyModule) -> str:
        # float32 weights, and two moments of each that is trained
        need = sum(p.numel() * (12 if p.requires_grad else p.element_size()) for p in module.parameters())
        complete = complete_checkpoints(self.folder)
        instead = "free some space" + (" or set checkpoint.keep=1" if self.config.checkpoint.keep > 1 else "")
        after = f"ckpt=last resumes from {complete[-1].name}" if complete else "there is no complete checkpoint yet"
        return f"the disk of {self.folder} is full (a checkpoint needs about {_size(need)}): {instead}; {after}"


def _write_state(trainer: Trainer, partial: Path) -> None:
    """Run Lightning's part of a save, on all ranks."""
    try:
        trainer.save_checkpoint(partial)
    except Exception:
        # What fails after the sharded files is rank 0's meta.pt; by then the other ranks wait at Lightning's barrier.
        if trainer.is_global_zero and (partial / ".metadata").exists():
            trainer.strategy.barrier()
        raise


def _remove(checkpoint: Path) -> None:
    """Rename a checkpoint before removing its content, so that half of one never looks whole."""
    renamed = checkpoint.with_name(f"{checkpoint.name}.old{PARTIAL}")
    shutil.rmtree(renamed, ignore_errors=True)
    os.rename(checkpoint, renamed)
    shutil.rmtree(renamed, ignore_errors=True)


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
