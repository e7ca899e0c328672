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

from acereason.curricula.history import HISTORY, read_history
from acereason.evaluation.evaluate import EvaluationResult, HeldOutResults

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


def stage_table(results: Mapping[int, HeldOutResults], starts: list[tuple[int, str]]) -> Table:
    """Held-out pass@1 and response length at the end of each stage."""
    last = max(results)
    ends = {"start": 0} | {name: step for (_, name), (step, _) in zip(starts, [*starts[1:], (last, "")], strict=True)}
    rows = {name: results[step].domains for name, step in ends.items() if step in results}
    table = Table(title="Held-out at the end of each stage")
    domains = list(results[last].domains)
    for column in ("", "step", *(f"{domain} {what}" for domain in domains for what in ("pass@1", "tokens"))):
        table.add_column(column, justify="right" if column else "left")
    for name, found in rows.items():
        cells = [(f"{d.pass_at_1:.3f} ± {d.standard_error:.3f}", f"{d.length_mean:.1f}") for d in found.values()]
        table.add_row(name, str(ends[name]), *(cell for pair in cells for cell in pair))
    return table


def improvement_table(before: EvaluationResult, after: EvaluationResult, domain: str = "") -> Table:
    """Held-out pass@1 of two evaluations side by side; `domain` is for the title."""
    asked = f"{len(before.solve_rates)} problems × {before.samples} samples"
    table = Table(title=f"Held-out {domain + ' ' if domain else ''}pass@1, {asked}")
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
