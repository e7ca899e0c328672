"""A whole run, from settings to a closing table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer, seed_everything

from acereason.config import Config
from acereason.curriculum import Curriculum
from acereason.errors import StopRequested
from acereason.policy.module import PolicyModule
from acereason.problems.problem import Problem
from acereason.ranks.collectives import gather
from acereason.ranks.environment import Place
from acereason.ranks.group import join, leave
from acereason.ranks.lifeline import Lifeline
from acereason.rollout.data import RolloutDataModule
from acereason.run.build import build_trainer, make_deterministic, quiet, run_folder, write_run_files
from acereason.run.callbacks import HeldOutEvaluation
from acereason.run.checkpoint_files import check_branch, check_fits, find_checkpoint, step_of
from acereason.run.continuation import cut_back
from acereason.run.export import export_weights
from acereason.run.plan import print_plan
from acereason.run.report import print_report, write_curves
from acereason.run.stopping import Leave, say_goodbye


class FinalExport(Callback):
    """Writes the trained policy in Hugging Face format."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        """All ranks gather each weight; rank 0 writes it."""
        weights = module.weights()
        if trainer.is_global_zero:
            export_weights(weights, module.config.model.path, self.folder)
        for _ in weights:  # the other ranks' part, and what rank 0 has not asked for
            pass


def train(config: Config, problems: list[Problem], held_out: list[Problem], place: Place, lifeline: Lifeline) -> None:
    """Trains on `problems` as the settings say and leaves everything in the run's folder.

    Raises:
        UserError: a setting, file or model cannot work.
    """
    quiet()
    lifeline.install_handlers()
    store = join(config, place, lifeline)
    config.run.name, config.ckpt = gather((config.run.name, config.ckpt))[0]  # a name may hold the time
    folder = run_folder(config)
    checkpoint = gather(find_checkpoint(config.ckpt, folder / "checkpoints"))[0]
    changed = check_fits(config, checkpoint) if checkpoint else []
    check_branch(checkpoint, folder / "checkpoints")
    if place.rank == 0:
        cut_back(folder, step_of(checkpoint) if checkpoint else 0)
        write_run_files(config)
        print_plan(config)
    evaluation = HeldOutEvaluation(config.evaluation.every_n_steps)
    last = [Leave(lifeline), *([FinalExport(folder / "export")] if config.checkpoint.export else [])]
    trainer = build_trainer(config, evaluation, *last)
    seed_everything(config.seed, verbose=False)
    make_deterministic(trainer.strategy.root_device)
    curriculum = Curriculum.from_config(config.curriculum, config.problems.domain.value)
    policy = PolicyModule(config, curriculum, changed)
    data = RolloutDataModule(
        config, curriculum, problems, held_out, store=store, stop_requested=lambda: lifeline.stop_requested
    )
    try:
        trainer.fit(policy, data, ckpt_path=checkpoint, weights_only=False)
    except StopRequested:
        data.teardown("fit")  # Lightning leaves it out when a run does not end by itself
        say_goodbye(curriculum.step, place.rank, lifeline)
        leave()
        return
    if trainer.is_global_zero:
        print_report(folder, evaluation.results, write_curves(folder))
    leave()
