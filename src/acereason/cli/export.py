"""`acereason export`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from acereason.cli.run_folder import run_folder
from acereason.config.compose import SAVED_CONFIG, load_saved
from acereason.config.schema import DType
from acereason.config.setting import setting
from acereason.errors import UserError


@dataclass
class ExportSettings:
    """What to export, and where to."""

    run: str
    """Folder of a run."""
    ckpt: str = setting("last", not_empty=True)
    """Checkpoint to export: `last` (newest), `best`, or its folder."""
    output: str = ""
    """Folder to write; empty takes `export-CHECKPOINT` in the run's folder."""
    dtype: DType = DType.float32
    """Type of the exported weights."""


def export(settings: ExportSettings) -> None:
    """Write the policy of a checkpoint in Hugging Face format."""
    folder = run_folder(settings.run)
    import torch

    from acereason.training.checkpoint_files import find_checkpoint
    from acereason.training.export import export_checkpoint

    checkpoint = find_checkpoint(settings.ckpt, folder / "checkpoints")
    if checkpoint is None:
        raise UserError(f"ckpt={settings.ckpt}: there is no complete checkpoint in {folder / 'checkpoints'}")
    output = Path(settings.output or folder / f"export-{checkpoint.name}")
    base = load_saved(folder / SAVED_CONFIG).model.path
    export_checkpoint(checkpoint, base, output, getattr(torch, settings.dtype.value))
    print(f"{checkpoint} → {output}")
