"""`acereason report`."""

from __future__ import annotations

from dataclasses import dataclass

from acereason.cli.run_folder import run_folder


@dataclass
class ReportSettings:
    """What to draw."""

    run: str
    """Folder of a run."""


def report(settings: ReportSettings) -> None:
    """Draw a run's curves again, from its event files."""
    folder = run_folder(settings.run)
    from acereason.training.curves import write_curves

    print(write_curves(folder))
