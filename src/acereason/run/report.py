"""What a run shows at its end: a table of what improved and a figure of its curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from rich.console import Console
from rich.table import Table
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from acereason.evaluation.evaluate import EvaluationResult

Curve = list[tuple[int, float]]
PANELS = {
    "Reward": {"reward/mean": "training", "eval/pass@1": "held-out pass@1"},
    "Groups": {"reward/solved_all": "all right", "reward/solved_none": "none right", "reward/mixed": "mixed"},
    "Response length (tokens)": {"response/length_mean": "mean", "response/length_p95": "95th percentile"},
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
    _error_bars(axes.flat[0], scalars)
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


def _error_bars(axis: Axes, scalars: dict[str, Curve]) -> None:
    errors = dict(scalars.get("eval/pass@1_standard_error", []))
    points = [(step, value, errors.get(step, 0.0)) for step, value in scalars.get("eval/pass@1", [])]
    if points:
        steps, values, bars = zip(*points, strict=True)
        axis.errorbar(steps, values, yerr=bars, fmt="o", markersize=3, capsize=2, color="C1")
    axis.set_ylim(0, 1)


def print_report(folder: Path, results: Mapping[int, EvaluationResult], figure: Path) -> None:
    """Prints held-out pass@1 before and after, by level where problems have one, and where to look on."""
    console = Console(width=100)
    if len(results) > 1:
        console.print(improvement_table(results[min(results)], results[max(results)]))
    console.print(f"curves       {figure}\nTensorBoard  tensorboard --logdir {folder.parent}\neverything   {folder}")


def improvement_table(before: EvaluationResult, after: EvaluationResult) -> Table:
    """Held-out pass@1 of two evaluations side by side."""
    table = Table(title=f"Held-out pass@1, {len(before.solve_rates)} problems × {before.samples} samples")
    for column in ("", "before", "after", "change"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row(
        "all",
        f"{before.pass_at_1:.3f} ± {before.standard_error:.3f}",
        f"{after.pass_at_1:.3f} ± {after.standard_error:.3f}",
        f"{after.pass_at_1 - before.pass_at_1:+.3f}",
    )
    for level, (old, new) in _by_level(before, after).items():
        table.add_row(f"level {level}", f"{old:.3f}", f"{new:.3f}", f"{new - old:+.3f}")
    table.add_row("length", f"{before.length_mean:.1f}", f"{after.length_mean:.1f}", "tokens")
    table.add_row("truncated", f"{before.truncated:.1%}", f"{after.truncated:.1%}", "")
    return table


def _by_level(before: EvaluationResult, after: EvaluationResult) -> dict[int, tuple[float, float]]:
    levels = sorted({level for level, _ in before.solve_rates if level is not None})
    return {level: (_mean_at(before, level), _mean_at(after, level)) for level in levels}


def _mean_at(result: EvaluationResult, level: int) -> float:
    rates = [rate for problem_level, rate in result.solve_rates if problem_level == level]
    return sum(rates) / len(rates)
