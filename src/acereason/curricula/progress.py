"""How far long work between two steps is: in the run's progress bar, or line by line where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lightning.pytorch import Trainer

from acereason.run.callbacks import Progress

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
