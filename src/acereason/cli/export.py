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
    adapter: bool = False
    """Write the LoRA adapters alone, in PEFT's format and float32, instead of a policy with them merged."""


def export(settings: ExportSettings) -> None:
    """Write the policy of a checkpoint in Hugging Face format."""
    folder = run_folder(settings.run)
    import torch

    from acereason.training.checkpoint_files import find_checkpoint
    from acereason.training.export import export_checkpoint
    from acereason.training.export_adapter import export_saved_adapter

    checkpoint = find_checkpoint(settings.ckpt, folder / "checkpoints")
    if checkpoint is None:
        raise UserError(f"ckpt={settings.ckpt}: there is no complete checkpoint in {folder / 'checkpoints'}")
    kind = "adapter" if settings.adapter else "export"
    output = Path(settings.output or folder / f"{kind}-{checkpoint.name}")
    model = load_saved(folder / SAVED_CONFIG).model
    if not settings.adapter:
        export_checkpoint(checkpoint, model.path, output, getattr(torch, settings.dtype.value), model)
    elif model.lora.rank:
        export_saved_adapter(checkpoint, model, output)
    else:
        raise UserError(f"adapter=true: {folder} has no adapters; it was trained with model.lora.rank=0")
    print(f"{checkpoint} → {output}")
