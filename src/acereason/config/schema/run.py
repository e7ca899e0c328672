"""Settings of the run itself: its folder, ranks, checkpoints, logs and callbacks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acereason.config.schema.choices import Accelerator, DType
from acereason.config.setting import setting

RANKS = ("trainer.devices", "trainer.num_nodes")
"""Settings whose product is the number of ranks, once `resolve_ranks` has replaced zeros."""


def _stays_inside(run: RunConfig) -> str:
    leaves = Path(run.name).is_absolute() or ".." in Path(run.name).parts
    return f"must be a folder under run.root={run.root}" if leaves else ""


@dataclass
class RunConfig:
    """Where a run keeps its files."""

    name: str = setting("", check=_stays_inside)
    """Folder of this run under `run.root`; empty means the recipe's name and the time."""
    root: str = "runs"
    """Folder that holds all runs; what `tensorboard --logdir` is given."""

    @property
    def folder(self) -> Path:
        """Where this run keeps everything."""
        return Path(self.root) / self.name


@dataclass
class TrainerConfig:
    """How long and on what to train."""

    max_steps: int = setting(100, ge=0)
    """Rollout steps; each makes `grpo.updates_per_batch` optimizer steps."""
    devices: int = setting(0, ge=0)
    """Ranks on each node; 0 takes what torchrun or SLURM started, and 1 without them."""
    num_nodes: int = setting(0, ge=0)
    """Nodes; 0 takes what torchrun or SLURM started, and 1 without them."""
    shard_ranks: int = setting(0, ge=0, divides=RANKS)
    """Neighbouring ranks that hold one copy of the policy between them; 0 is all ranks, fewer replicate it (HSDP)."""
    timeout_minutes: float = setting(240.0, gt=0)
    """How long a rank waits for the others where the phases of a step meet; longer than the longest rollout."""
    nccl_timeout_minutes: float = setting(20.0, gt=0)
    """How long a GPU waits for the others in a collective of NCCL, for which ranks have met just before."""
    port: int = setting(0, ge=0, le=65535)
    """Port on which ranks find each other when this program starts them itself; 0 takes a free one."""
    accelerator: Accelerator = Accelerator.auto
    """`auto` takes CUDA where there is any."""
    device_memory_gib: float = setting(0.0, ge=0)
    """Memory of one GPU, GiB, for the plan alone, which is often made where there is none; 0 is unknown."""

    @property
    def ranks(self) -> int:
        """Ranks of the whole run."""
        return max(self.devices, 1) * max(self.num_nodes, 1)


@dataclass
class CheckpointConfig:
    """Checkpoints and export."""

    every_n_steps: int = setting(0, ge=0)
    """Rollout steps between checkpoints; 0 saves only at the end."""
    keep: int = setting(2, ge=1)
    """Newest checkpoints that stay on disk."""
    best: str = "eval/pass@1"
    """Scalar of the evaluation whose best checkpoint is saved and stays on disk as well; empty for none."""
    export: bool = True
    """Write the final policy in Hugging Face format to the run's `export` folder."""
    export_stages: bool = True
    """Write the policy at the end of each stage in the same format, to the run's `stages` folder."""
    export_dtype: DType = DType.float32
    """Type of the exported weights."""


@dataclass
class LogConfig:
    """What a run shows and writes."""

    samples: int = setting(2, ge=0)
    """Rollouts written to TensorBoard as text at each step."""
    rollouts: bool = True
    """Write every rollout to Parquet, one file a step."""
    progress_bar: bool = True
    """Show the progress bar."""


@dataclass
class CallbackConfig:
    """A Lightning callback: a class and the arguments of its constructor."""

    class_path: str = ""
    """Where the class is, for example callbacks.length_extension.LengthExtension."""
    init_args: dict[str, Any] = setting({})
    """Keyword arguments of the constructor."""
