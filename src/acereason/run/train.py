"""A whole run, from settings to a closing table."""

from __future__ import annotations

from lightning.pytorch import seed_everything

from acereason.config import Config
from acereason.curriculum import Curriculum
from acereason.policy.module import PolicyModule
from acereason.problems.problem import Problem
from acereason.rollout.data import RolloutDataModule
from acereason.run.build import build_trainer, make_deterministic, quiet, run_folder, write_run_files
from acereason.run.callbacks import HeldOutEvaluation
from acereason.run.checkpoints import find_checkpoint
from acereason.run.export import export_weights
from acereason.run.plan import print_plan
from acereason.run.report import print_report, write_curves


def train(config: Config, problems: list[Problem], held_out: list[Problem]) -> None:
    """Trains on `problems` as the settings say and leaves everything in the run's folder.

    Raises:
        UserError: a setting, file or model cannot work.
    """
    quiet()
    folder = run_folder(config)
    checkpoint = find_checkpoint(config.ckpt, folder / "checkpoints")
    evaluation = HeldOutEvaluation(config.evaluation.every_n_steps)
    trainer = build_trainer(config, evaluation)
    if trainer.is_global_zero:
        write_run_files(config)
        print_plan(config)
    seed_everything(config.seed, verbose=False)
    make_deterministic(trainer.strategy.root_device)
    curriculum = Curriculum.from_config(config.curriculum, config.problems.domain.value)
    policy = PolicyModule(config, curriculum)
    data = RolloutDataModule(config, curriculum, problems, held_out)
    trainer.fit(policy, data, ckpt_path=checkpoint, weights_only=False)
    if config.checkpoint.export:
        weights = policy.weights()
        if trainer.is_global_zero:
            export_weights(weights, config.model.path, folder / "export")
        else:
            for _ in weights:
                pass
    if trainer.is_global_zero:
        print_report(folder, evaluation.results, write_curves(folder))
