"""The progress of long work between two steps: in the run's progress bar, or line by line if there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar

Advance = Callable[[int], object]


@contextmanager
def shown_progress(trainer: Trainer, description: str, total: int) -> Iterator[Advance]:
    """Show the progress of `total` parts on rank 0; yield a function to call with the number of parts just done."""
    bar = trainer.progress_bar_callback
    if not trainer.is_global_zero:
        yield lambda count: None
    elif isinstance(bar, Progress) and bar.is_live:
        with bar.task(description, total) as advance:
            yield advance
    else:
        yield Lines(description, total)


class Lines:
    """Progress for logs: a line for every tenth that is done."""

    def __init__(self, description: str, total: int) -> None:
        self.description, self.total, self.done = description, total, 0

    def __call__(self, count: int) -> None:
        """Count parts as done; print a line if another tenth is complete."""
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
        """Return the few numbers that show how the run is going."""
        metrics = trainer.callback_metrics
        return {label: format(metrics[tag].item(), form) for tag, label, form in self.SHOWN if tag in metrics}

    def _get_train_description(self, current_epoch: int) -> str:
        return "Rollout steps"

    @property
    def is_live(self) -> bool:
        """True if it moves on a terminal; in a log file it would appear only once it is over."""
        return self.progress is not None and self.progress.console.is_terminal

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show a second bar for work between two steps; yield a function that advances it by a number of parts."""
        assert self.progress is not None
        progress, task = self.progress, self._add_task(total, description)

        def advance(count: int) -> None:
            progress.advance(task, count)
            self.refresh()

        try:
            yield advance
        finally:
            progress.remove_task(task)
