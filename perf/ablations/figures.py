"""One figure of an ablation: a line for each arm, the mean over seeds, in a band of one standard deviation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from statistics import mean, stdev

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from acereason.training.curves import Curve
from perf.ablations.ablation import Ablation, Over, Panel

Scalars = Mapping[str, Curve]
"""What a run logged: (step, value) by tag."""

PANEL_WIDTH = 4.3
"""Inches."""

AXES: dict[Over, tuple[str, str, float]] = {
    "steps": ("rollout step", "", 1.0),
    "seconds": ("time of all rollout steps (min)", "time/step", 1 / 60),
    "tokens": ("response tokens (thousands)", "response/tokens", 1 / 1000),
}
"""Label of each horizontal axis, the scalar that adds up to it, and its unit."""


@dataclass(frozen=True)
class Band:
    """One arm's line: at each point the means over seeds of both axes, and the spread of the vertical one."""

    x: list[float]
    y: list[float]
    spread: list[float]


def spread(values: Sequence[float]) -> float:
    """Return the sample standard deviation; 0 of one value."""
    return stdev(values) if len(values) > 1 else 0.0


def band(runs: Sequence[Scalars], panel: Panel) -> Band:
    """Return the line of an arm from its runs, one a seed, at the steps that all of them have."""
    curves = [smooth(run.get(panel.tag, []), panel.window) for run in runs]
    steps = sorted(set.intersection(*(set(curve) for curve in curves)))
    _, tag, unit = AXES[panel.over]
    places = [summed(run.get(tag, []), unit) if tag else {step: step for step in steps} for run in runs]
    return Band(
        [mean(place.get(step, 0.0) for place in places) for step in steps],
        [mean(curve[step] for curve in curves) for step in steps],
        [spread([curve[step] for curve in curves]) for step in steps],
    )


def smooth(curve: Curve, window: int) -> dict[int, float]:
    """Return, by step, the mean of a curve's last `window` values."""
    values = [value for _, value in curve]
    return {step: mean(values[max(0, place + 1 - window) : place + 1]) for place, (step, _) in enumerate(curve)}


def summed(curve: Curve, unit: float) -> dict[int, float]:
    """Return, by step, the sum of a curve so far; 0 before the first step."""
    sums = accumulate(value * unit for _, value in curve)
    return {0: 0.0, **dict(zip((step for step, _ in curve), sums, strict=True))}


def draw(ablation: Ablation, runs: Mapping[str, Sequence[Scalars]], path: Path) -> None:
    """Draw an ablation.

    Args:
        ablation: what to draw.
        runs: the runs of each arm by its name, one a seed.
        path: file to write.
    """
    count, width = len(ablation.panels), PANEL_WIDTH * len(ablation.panels)
    columns = legend_columns([arm.label for arm in ablation.arms], width)
    height = 3.4 + 0.2 * math.ceil(len(ablation.arms) / columns)
    figure, axes = plt.subplots(1, count, figsize=(width, height), layout="constrained", squeeze=False)
    for axis, panel in zip(axes.flat, ablation.panels, strict=True):
        for number, arm in enumerate(ablation.arms):
            _line(axis, band(runs[arm.name], panel), arm.label, f"C{number}")
        axis.set_xlabel(AXES[panel.over][0])
        axis.set_ylabel(panel.title)
        axis.grid(alpha=0.3)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=9)
    seeds = min(len(runs[arm.name]) for arm in ablation.arms)
    figure.suptitle(
        f"{ablation.name} (after {ablation.paper}): mean ± standard deviation of {seeds} seeds", fontsize=11
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def legend_columns(labels: Sequence[str], width: float) -> int:
    """Return how many labels fit beside each other into a figure of so many inches."""
    widest = max(map(len, labels)) * 0.075 + 0.6
    return max(1, min(len(labels), int(width / widest)))


def _line(axis: Axes, line: Band, label: str, colour: str) -> None:
    marker = "o" if len(line.x) < 15 else None
    axis.plot(line.x, line.y, label=label, color=colour, linewidth=1.4, marker=marker, markersize=3)
    low = [value - width for value, width in zip(line.y, line.spread, strict=True)]
    high = [value + width for value, width in zip(line.y, line.spread, strict=True)]
    axis.fill_between(line.x, low, high, color=colour, alpha=0.15, linewidth=0)
