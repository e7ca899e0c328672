"""The numbers of an ablation as a Markdown table, and its place in a page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from perf.ablations.ablation import Ablation, Column
from perf.ablations.figures import Scalars, spread

TEN = 10
"""Steps that the first and the last part of a curve have."""


def value(run: Scalars, column: Column) -> float:
    """Return a column's number of one run.

    Raises:
        KeyError: the run never logged its scalar.
    """
    values = [number for _, number in run[column.tag]]
    return {
        "first": values[0],
        "last": values[-1],
        "mean of the first 10": mean(values[:TEN]),
        "mean of the last 10": mean(values[-TEN:]),
        "sum": sum(values),
    }[column.part]


def cell(runs: Sequence[Scalars], column: Column) -> str:
    """Return mean ± standard deviation over runs."""
    values = [value(run, column) * column.unit for run in runs]
    return f"{mean(values):{column.form}} ± {spread(values):{column.form}}"


def table(ablation: Ablation, runs: Mapping[str, Sequence[Scalars]]) -> str:
    """Return Markdown: a row for each arm, mean ± standard deviation over seeds.

    Args:
        ablation: what to show.
        runs: the runs of each arm by its name, one a seed.
    """
    header = ["", *(column.title for column in ablation.columns), "seeds"]
    rows = [
        [arm.label, *(cell(runs[arm.name], column) for column in ablation.columns), str(len(runs[arm.name]))]
        for arm in ablation.arms
    ]
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def put(page: Path, name: str, text: str) -> None:
    """Write a table between the marks `<!-- table: NAME -->` and `<!-- end -->` of a page.

    Raises:
        ValueError: the page has no such marks.
    """
    before, start, end = page.read_text(encoding="utf-8"), f"<!-- table: {name} -->", "<!-- end -->"
    pattern = re.compile(f"{re.escape(start)}\n.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(before):
        raise ValueError(f"{page}: has no {start} … {end} to put the table in")
    page.write_text(pattern.sub(lambda _: f"{start}\n{text}\n{end}", before, count=1), encoding="utf-8")
