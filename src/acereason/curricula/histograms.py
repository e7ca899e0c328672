"""How solve rates are distributed: in words, and in TensorBoard before and after a refilter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import ceil
from pathlib import Path

import pyarrow.parquet as pq
import torch
from torch.utils.tensorboard import SummaryWriter

RANGES = 8
DEFAULT_ATTEMPTS = 16
BEFORE, AFTER = "curriculum/solve_rates_before", "curriculum/solve_rates_after"


def histogram(rates: Iterable[float], attempts: int) -> str:
    """How many problems were solved how often, such as `solved 0: 12, 1-2: 30, 16: 4 (of 16)`.

    Args:
        rates: shares.
        attempts: what they are shares of; rates from elsewhere count as the nearest.
    """
    numbers = Counter(_range(round(rate * attempts), attempts) for rate in rates)
    if not numbers:
        return "no problems"
    named = [
        f"{first}-{last}: {number}" if first < last else f"{last}: {number}"
        for (first, last), number in sorted(numbers.items())
    ]
    return f"solved {', '.join(named)} (of {attempts})"


def _range(solved: int, attempts: int) -> tuple[int, int]:
    """The numbers that are counted together with this one; none and all stand alone."""
    if solved in (0, attempts):
        return solved, solved
    width = ceil(attempts / RANGES)
    first = (solved - 1) // width * width + 1
    return first, min(first + width, attempts) - 1


def draw(writer: SummaryWriter, table: Path, step: int) -> None:
    """Writes the two histograms of a refilter to TensorBoard.

    Args:
        writer: a `SummaryWriter`.
        table: of solve rates and of what was kept; without it there is nothing to draw.
        step: the x-axis.
    """
    if not table.exists():
        return
    columns = pq.read_table(table, columns=["attempts", "solve_rate", "kept"]).to_pydict()
    attempts = max((number for number in columns["attempts"] if number), default=DEFAULT_ATTEMPTS)
    before = columns["solve_rate"]
    after = [rate for rate, is_kept in zip(before, columns["kept"], strict=True) if is_kept]
    # One bin for each number of solved attempts.
    edges = [(solved - 0.5) / attempts for solved in range(attempts + 2)]
    for tag, rates in ((BEFORE, before), (AFTER, after)):
        if rates:
            writer.add_histogram(tag, torch.tensor(rates, dtype=torch.float64), step, bins=edges)
