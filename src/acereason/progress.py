"""How far long work between two steps is: in the run's progress bar, or line by line where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar

Advance = Callable[[int], object]


@contextmanager
def shown_progress(trainer: Trainer, description: str, total: int) -> Iterator[Advance]:
    """Shows work of `total` parts on rank 0; yields what is to be told how many more are done."""
    bar = trainer.progress_bar_callback
    if not trainer.is_global_zero:
        yield lambda count: None
    elif isinstance(bar, Progress) and bar.is_live:
        with bar.task(description, total) as advance:
            yield advance
    else:
        yield Lines(description, total)


class Lines:
    """A line for every tenth that is done, for logs."""

    def __init__(self, description: str, total: int) -> None:
        self.description, self.total, self.done = description, total, 0

    def __call__(self, count: int) -> None:
        """Counts, and prints when another tenth is full."""
        before, self.done = self.done, self.done + count
        if self.total and self.done * 10 // self.total > before * 10 // self.total:
            share = f"{self.done / self.total:.0%}"
            print(f"{self.description}: {self.done} of {self.total} ({share})", flush=True)


class Progress(RichProgressBar):
    """A bar of rollout steps with reward, length and tokens a second."""

    SHOWN = (
        ("reward/mean", "reward", ".2f"),
        ("response/length_mean", "length", ".0f"),
        ("throughput/tokens_per_second", "tokens/s", ".0f"),
        ("eval/pass@1", "held-out", ".2f"),
    )

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """The few numbers that tell how it goes."""
        metrics = trainer.callback_metrics
        return {label: format(metrics[tag].item(), form) for tag, label, form in self.SHOWN if tag in metrics}

    def _get_train_description(self, current_epoch: int) -> str:
        return "Rollout steps"

    @property
    def is_live(self) -> bool:
        """Whether somebody sees it move: not in a log file, where it is written once it is over."""
        return self.progress is not None and self.progress.console.is_terminal

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
        """A second bar for work between two steps; yields what moves it on by so many parts."""
        assert self.progress is not None
        progress, task = self.progress, self._add_task(total, description)

        def advance(count: int) -> None:
            progress.advance(task, count)
            self.refresh()

        try:
            yield advance
        finally:
            progress.remove_task(task)
