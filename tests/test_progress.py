"""Long work between two steps shows how far it is, on a terminal and in a log."""

import io

import pytest
from lightning.pytorch.callbacks.progress.rich_progress import CustomProgress
from rich.console import Console

from acereason.errors import StopRequested
from acereason.progress import Lines, Progress


def test_without_a_bar_there_is_a_line_for_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines("Solve rates", 30)
    for _ in range(15):
        lines(2)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 10
    assert printed[0] == "Solve rates: 4 of 30 (13%)"
    assert printed[-1] == "Solve rates: 30 of 30 (100%)"


def test_the_run_has_a_bar_for_it_while_it_lasts() -> None:
    bar = Progress()
    bar.progress = CustomProgress(console=Console(file=io.StringIO(), force_terminal=True))
    assert bar.is_live
    with pytest.raises(StopRequested), bar.task("Solve rates", 30) as advance:
        advance(20)
        advance(4)
        assert [(task.description, task.completed, task.total) for task in bar.progress.tasks] == [
            ("Solve rates", 24, 30)
        ]
        raise StopRequested
    assert bar.progress.tasks == []
