"""A whole run, from settings to a closing table."""

from __future__ import annotations

from lightning.pytorch import Callback, seed_everything

from acereason.config.schema import Config
from acereason.curricula.user_callbacks import longest_response
from acereason.distributed.collectives import gather
from acereason.distributed.environment import RankInfo
from acereason.distributed.group import join, leave
from acereason.distributed.lifeline import Lifeline
from acereason.errors import StopRequested
from acereason.planning.plan import print_plan
from acereason.policy.module import PolicyModule
from acereason.rollout.curriculum import Curriculum
from acereason.rollout.data import RolloutDataModule
from acereason.training.build import build_trainer, make_deterministic, quiet, write_run_files
from acereason.training.checkpoint_files import check_branch, check_fits, find_checkpoint, step_of
from acereason.training.curves import print_report, write_curves
from acereason.training.export_callbacks import FinalExport
from acereason.training.held_out import HeldOutEvaluation
from acereason.training.rewind import cut_back
from acereason.training.shared_problems import Problems, load_together
from acereason.training.stopping import Leave, say_goodbye


def train(
    config: Config,
    callbacks: list[Callback],
    problems: Problems | None,
    rank_info: RankInfo,
    lifeline: Lifeline,
) -> None:
    """Train with these settings and write everything to the run's folder.

    Args:
        config: settings.
        callbacks: the user's, made from the settings.
        problems: training problems by the names of their sources, and held-out ones; None: loaded here, with all ranks.
        rank_info: the rank of this process among all.
        lifeline: of this process.

    Raises:
        UserError: a setting, file or model cannot work.
    """
    quiet()
    lifeline.install_handlers()
    store = join(config, rank_info, lifeline)
    sources, held_out = problems or load_together(config)
    config.run.name, config.ckpt = gather((config.run.name, config.ckpt))[0]  # a name may hold the time
    folder = config.run.folder
    checkpoint = gather(find_checkpoint(config.ckpt, folder / "checkpoints"))[0]
    changed = check_fits(config, checkpoint) if checkpoint else []
    check_branch(checkpoint, folder / "checkpoints")
    if rank_info.rank == 0:
        cut_back(folder, step_of(checkpoint) if checkpoint else 0)
        write_run_files(config)
        print_plan(config, callbacks)
    evaluation = HeldOutEvaluation(config.evaluation.every_n_steps)
    last = [Leave(lifeline), *([FinalExport(folder / "export")] if config.checkpoint.export else [])]
    trainer = build_trainer(config, evaluation, *last, own=callbacks)
    seed_everything(config.seed, verbose=False)
    make_deterministic(trainer.strategy.root_device)
    curriculum = Curriculum.from_config(config)
    policy = PolicyModule(config, curriculum, changed)
    data = RolloutDataModule(
        config,
        curriculum,
        sources,
        held_out,
        store=store,
        stop_requested=lambda: lifeline.stop_requested,
        longest_response=longest_response(config, callbacks),
    )
    try:
        trainer.fit(policy, data, ckpt_path=checkpoint, weights_only=False)
    except StopRequested:
        data.teardown("fit")  # Lightning skips it when a run does not end by itself
        say_goodbye(curriculum.step, rank_info.rank, lifeline)
        leave()
        return
    if trainer.is_global_zero:
        print_report(folder, evaluation.results, write_curves(folder))
    leave()
