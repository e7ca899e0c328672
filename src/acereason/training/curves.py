"""What a run shows at its end: a table of what improved and a figure of its curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from acereason.curricula.history import HISTORY, read_history
from acereason.evaluation.evaluate import HeldOutResults
from acereason.evaluation.tables import improvement_table, stage_table

Curve = list[tuple[int, float]]
PANELS = {
    "Reward": {"reward/mean": "training"},
    "Groups": {"reward/solved_all": "all right", "reward/solved_none": "none right", "reward/mixed": "mixed"},
    "Response length (tokens)": {
        "response/length_mean": "mean",
        "response/length_p95": "95th percentile",
        "eval/length_mean": "held-out mean",
        "eval/math_length_mean": "held-out math, mean",
        "eval/code_length_mean": "held-out code, mean",
        "curriculum/max_response_tokens": "limit",
    },
    "Truncated responses": {"response/truncated": "share"},
    "Entropy (nats a token)": {"policy/entropy": "sampled"},
    "Engine/policy log-prob gap": {"rollout/logprob_gap_max": "largest", "rollout/logprob_gap_mean": "mean"},
}


def read_scalars(folder: Path) -> dict[str, Curve]:
    """Every scalar of a run's event files as (step, value), the newest where a step was written twice."""
    events = EventAccumulator(str(folder / "events"), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: sorted({event.step: event.value for event in events.Scalars(tag)}.items())
        for tag in events.Tags()["scalars"]
    }


def write_curves(folder: Path) -> Path:
    """Draws the run's curves to `figures/curves.png` and returns its path."""
    scalars = read_scalars(folder)
    figure, axes = plt.subplots(2, 3, figsize=(13, 7), layout="constrained")
    for axis, (title, lines) in zip(axes.flat, PANELS.items(), strict=True):
        _panel(axis, title, {label: scalars.get(tag, []) for tag, label in lines.items()})
        _stages(axis, stage_starts(folder), max((step for step, _ in scalars.get("reward/mean", [])), default=0))
    _held_out(axes.flat[0], scalars)
    axes.flat[-1].set_yscale("log")
    figure.suptitle(folder.name)
    path = folder / "figures" / "curves.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def _panel(axis: Axes, title: str, lines: dict[str, Curve]) -> None:
    for label, curve in lines.items():
        if curve:
            axis.plot(*zip(*curve, strict=True), label=label, linewidth=1.3)
    axis.set_title(title, fontsize=10)
    axis.set_xlabel("rollout step")
    axis.grid(alpha=0.3)
    if any(lines.values()):
        axis.legend(fontsize=8)


def stage_starts(folder: Path) -> list[tuple[int, str]]:
    """First step and name of each stage of a run's curriculum; empty for a run without stages."""
    changes = [change for change in read_history(folder / HISTORY) if change.what == "stage"]
    return [(change.step, str(change.after)) for change in changes]


def _stages(axis: Axes, starts: list[tuple[int, str]], last: int) -> None:
    """A line where each stage begins, and its name above its part."""
    ends = [*(step for step, _ in starts[1:]), last][: len(starts)]
    for number, ((step, name), end) in enumerate(zip(starts, ends, strict=True)):
        if number:
            axis.axvline(step, color="0.5", linewidth=0.8, linestyle="--")
        place = ((step + end) / 2, 1.0)
        axis.annotate(
            name, place, xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=7, color="0.35"
        )
    if starts:
        axis.set_title(axis.get_title(), fontsize=10, pad=16)


def _held_out(axis: Axes, scalars: dict[str, Curve]) -> None:
    """Held-out pass@1 with error bars; of several domains each one's, instead of their mean."""
    names = [name for name in ("math_", "code_") if f"eval/{name}pass@1" in scalars] or [""]
    for number, name in enumerate(names, 1):
        errors = dict(scalars.get(f"eval/{name}pass@1_standard_error", []))
        points = [(step, value, errors.get(step, 0.0)) for step, value in scalars.get(f"eval/{name}pass@1", [])]
        if points:
            steps, values, bars = zip(*points, strict=True)
            label = f"held-out {name.replace('_', ' ')}pass@1"
            axis.errorbar(steps, values, bars, fmt="o-", ms=3, lw=1.3, capsize=2, color=f"C{number}", label=label)
    if axis.lines:
        axis.legend(fontsize=8)
    axis.set_ylim(0, 1)


def print_report(folder: Path, results: Mapping[int, HeldOutResults], figure: Path) -> None:
    """Prints held-out pass@1 before and after, by stage and level where there are any, and where to look on."""
    console = Console(width=100)
    starts = stage_starts(folder)
    if len(results) > 2 and len(starts) > 1:
        console.print(stage_table(results, starts))
    if len(results) > 1:
        before, after = results[min(results)].domains, results[max(results)].domains
        for domain in before:
            console.print(improvement_table(before[domain], after[domain], domain if len(before) > 1 else ""))
    console.print(f"curves       {figure}\nTensorBoard  tensorboard --logdir {folder.parent}\neverything   {folder}")
