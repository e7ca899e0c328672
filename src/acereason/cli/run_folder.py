"""The folder of a run, as the setting `run` of several commands names it."""

from __future__ import annotations

from pathlib import Path

from acereason.config.compose import SAVED_CONFIG
from acereason.errors import UserError


def run_folder(value: str) -> Path:
    """Return the folder that `run=` names.

    Raises:
        UserError: it is not the folder of a run.
    """
    folder = Path(value)
    if not (folder / SAVED_CONFIG).exists():
        raise UserError(f"run={value} is not the folder of a run (it has no {SAVED_CONFIG})")
    return folder
