"""Evaluations as tables for people."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from acereason.evaluation.evaluate import EvaluationResult, HeldOutResults


def stage_table(results: Mapping[int, HeldOutResults], starts: list[tuple[int, str]]) -> Table:
    """Return held-out pass@1 and response length at the end of each stage."""
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
    """Return held-out pass@1 of two evaluations side by side; `domain` is for the title."""
    asked = f"{len(before.problems)} problems × {before.samples} samples"
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
    levels = sorted({scores.level for scores in before.problems if scores.level is not None})
    return {level: (_mean_at(before, level), _mean_at(after, level)) for level in levels}


def _mean_at(result: EvaluationResult, level: int) -> float:
    rates = [sum(scores.rewards) / len(scores.rewards) for scores in result.problems if scores.level == level]
    return sum(rates) / len(rates)
