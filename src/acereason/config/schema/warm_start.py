"""Settings of a warm start: those of a run, and how it learns from worked solutions."""

from __future__ import annotations

from dataclasses import dataclass

from acereason.config.schema import Config
from acereason.config.setting import group, setting


@dataclass
class WarmStartSettings:
    """How `scripts/warm_start.py` learns from worked solutions (all ours)."""

    output: str = setting("", not_empty=True)
    """Folder to write, in Hugging Face format, for `model.path` of a run; must be given."""
    solution: str = ""
    """Field that holds the worked solution, dots reach inside; empty tries the usual names."""
    epochs: int = setting(1, ge=1)
    """Passes over the solutions."""
    max_steps: int = setting(0, ge=0)
    """Optimizer steps at most; 0 takes all of the epochs."""
    solutions_per_step: int = setting(32, ge=1)
    """Solutions of one optimizer step, over all ranks."""
    learning_rate: float = setting(2e-5, gt=0)
    """AdamW learning rate at its highest; it falls linearly to zero at the end."""
    warmup_steps: int = setting(5, ge=0)
    """Optimizer steps over which the learning rate rises linearly from 0."""


@dataclass
class WarmStartConfig(Config):
    """A whole warm start; its model, problems, prompts, optimizer and ranks are those of the run that follows."""

    warm_start: WarmStartSettings = group(WarmStartSettings)
