"""Compare the decisions of a curriculum on 1 rank with those on 2 ranks.

    python -m perf.resume.same_decisions [KEY=VALUE ...]

Trains the curriculum of `curriculum_kills.py` on both. Gradients are summed up in another order on 2 ranks, so the
policy would differ in its last bits and soon in its responses; with a learning rate of 0 both make the same rollouts,
and the histories of their curricula must be the same, byte by byte. Exit code 0 when they are. Log-probs of the
transformers engine depend in their last bits on how many responses it computes at once; with it they are left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from perf.resume.compare_runs import TIMES
from perf.resume.curriculum_kills import curriculum
from perf.resume.killing import Run
from perf.script import command_line, start
from perf.tables import Table

TRANSFORMERS = "engine.name=transformers"


def history(run: Run) -> list[str]:
    """Return the changes of a run's curriculum, one a line."""
    return (run.folder / "curriculum.jsonl").read_text().splitlines()


def rollouts(run: Run, left_out: list[str]) -> pa.Table:
    """Return the rollouts of all ranks, without some columns."""
    tables = [pq.read_table(path) for path in sorted((run.folder / "rollouts").glob("*.parquet"))]
    rows = pa.concat_tables(tables).sort_by([(name, "ascending") for name in ("step", "problem", "sample")])
    return rows.drop_columns(left_out)


def compare(one: Run, two: Run, left_out: list[str]) -> int:
    """Print how the runs on 1 and on 2 ranks compare; return the exit code."""
    made, histories = [rollouts(run, left_out) for run in (one, two)], [history(run) for run in (one, two)]
    table = Table("on 1 and on 2 ranks", "1 rank", "2 ranks", "same")
    table.row("rollouts", *map(len, made), made[0].equals(made[1]))
    table.row("changes", *map(len, histories), histories[0] == histories[1])
    for ours, theirs in zip(*histories, strict=False):
        if ours != theirs:
            print(f"1 rank: {ours}\n2 ranks: {theirs}")
            break
    return int(not made[0].equals(made[1]) or histories[0] != histories[1])


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run: the first stage and the refilter at its end."""
    return [TRANSFORMERS, "trainer.max_steps=6", "checkpoint.every_n_steps=6", "checkpoint.export_stages=false"]


def main(words: Sequence[str]) -> int:
    """Train on 1 and on 2 ranks at the same time, and compare."""
    parser = command_line(__doc__)
    parser.add_argument("words", nargs="*")
    settings = [*curriculum(0.0), *parser.parse_args(words).words]
    with tempfile.TemporaryDirectory() as root:
        with Run(Path(root), "one", 1, settings) as one, Run(Path(root), "two", 2, settings) as two:
            one.finish()
            two.finish()
        return compare(one, two, [*TIMES, *(["logprobs"] if TRANSFORMERS in settings else [])])


if __name__ == "__main__":
    start(main, smallest)
