r"""Look for what is left over after very many math judgements, a part of them hostile.

    python -m perf.math.leaks [--judgements 100000] [--hostile 500] [--workers 2]

Everything goes through one verifier pool with short limits. First come harmless judgements alone, half of all, so that
workers live long and would show what they hoard; then harmless ones with the hostile ones spread among them, which cost
workers. Hostile are towers of powers, huge factorials, nested radicals, a million digits, 100,000 nested braces, random
bytes, unbalanced LaTeX and expressions that sympy is slow at, as answers and as gold answers.

Printed are resident memory of this process and of the largest worker, descriptors, threads and child processes before,
during and after, and how many judgements ended for which reason. Ends with 1 if descriptors, threads, children or
temporary files are left over, if this process grew by more than `--growth-mib` between the first
tenth of a part and its end, if a worker did in the first part, if a judgement is missing, or if a harmless one was
judged wrongly or not at all.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from acereason.verifiers.pool.pool import VerifierPool
from perf.leftovers import Held, held, held_table, more, settled, show_held
from perf.math.hostile import Item, items
from perf.pools import boxed, math_pool, submit_math
from perf.script import command_line, start
from perf.tables import Table

WAIT_SECONDS = 600.0
LEFT = ("descriptors", "threads", "children")


class Run:
    """Judgements batch by batch, and what was seen of them.

    Attributes:
        reasons: of verdicts, counted, of harmless and of hostile answers.
        wrongly: harmless ones that were judged wrongly or not at all, in words.
        slowest: judgement, seconds.
    """

    def __init__(self, pool: VerifierPool, batch: int) -> None:
        self.pool, self.batch = pool, batch
        self.reasons: dict[str, Counter[str]] = {"harmless": Counter(), "hostile": Counter()}
        self.wrongly: list[str] = []
        self.slowest = 0.0

    def part(self, stream: Iterator[Item], count: int) -> list[Held]:
        """Judge so many; return what was held after each batch."""
        seen = []
        for start_of_batch in range(0, count, self.batch):
            self._judge([next(stream) for _ in range(min(self.batch, count - start_of_batch))])
            seen.append(held())
        return seen

    def _judge(self, batch: list[Item]) -> None:
        futures = submit_math(self.pool, [item.gold for item in batch], [boxed(item.answer) for item in batch])
        for item, future in zip(batch, futures, strict=True):
            verdict = future.result(WAIT_SECONDS)
            self.slowest = max(self.slowest, verdict.seconds)
            self.reasons["hostile" if item.equal is None else "harmless"][verdict.reason] += 1
            if item.equal is not None and verdict.reason != ("correct" if item.equal else "wrong"):
                self.wrongly.append(f"{item.gold} against {item.answer}: {verdict.reason}")


def growth(parts: list[list[Held]]) -> list[tuple[str, float]]:
    """Return by how many MiB each part's end is above its first tenth; hostile judgements leave large workers."""
    pairs = [(seen[len(seen) // 10], seen[-1]) for seen in parts]
    return [
        ("this process in part 1", pairs[0][1].parent - pairs[0][0].parent),
        ("this process in part 2", pairs[1][1].parent - pairs[1][0].parent),
        ("the largest worker in part 1", pairs[0][1].worker - pairs[0][0].worker),
    ]


def judge_parts(options: argparse.Namespace, table: Table) -> tuple[Run, list[list[Held]]]:
    """Judge both parts with one pool; return the run and what was held in each part."""
    draw, half = random.Random(options.seed), options.judgements // 2
    started = time.perf_counter()
    with math_pool(options.workers, options.timeout_seconds, options.memory_mib) as pool:
        pool.wait_ready()
        run, parts = Run(pool, options.batch), []
        for count, hostile in ((half, 0), (options.judgements - half, options.hostile)):
            parts.append(run.part(items(count, hostile, draw), count))
            show_held(table, f"part {len(parts)}, first tenth", parts[-1][len(parts[-1]) // 10])
            show_held(table, f"part {len(parts)}, end", parts[-1][-1])
        seconds, replaced = time.perf_counter() - started, pool.replaced
    print(f"{seconds:.0f} s, {replaced} workers replaced, slowest judgement {run.slowest:.2f} s")
    return run, parts


def found(options: argparse.Namespace, folder: Path) -> list[str]:
    """Run both parts and print the figures; return what a clean run would not have, in words."""
    before, table = held(), held_table(f"{options.workers} workers")
    show_held(table, "before", before)
    run, parts = judge_parts(options, table)
    after = settled(before, LEFT)
    show_held(table, "pool closed", after)
    for name, counts in run.reasons.items():
        print(f"{name}: {dict(counts.most_common())}")
    grown = growth(parts)
    for who, mib in grown:
        print(f"{who} grew by {mib:.1f} MiB")
    return [
        *more(before, after, LEFT),
        *(f"left: {path}" for path in folder.rglob("*")),
        *(f"{who} grew by {mib:.0f} MiB" for who, mib in grown if mib > options.growth_mib),
        *(["no worker was seen"] if not parts[0][-1].worker else []),
        *(f"judged wrongly: {each}" for each in run.wrongly[:10]),
    ]


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run; so short a one says nothing about growth."""
    few = ("--judgements", "80", "--hostile", "6", "--batch", "20")
    return [*few, "--growth-mib", "1024", "--timeout-seconds", "5"]


def main(words: Sequence[str]) -> int:
    """Judge, look, report."""
    parser = command_line(__doc__)
    parser.add_argument("--judgements", type=int, default=100_000)
    parser.add_argument("--hostile", type=int, default=500, help="how many of them are hostile")
    parser.add_argument("--batch", type=int, default=500, help="judgements between two looks")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout-seconds", type=float, default=1.0)
    parser.add_argument("--memory-mib", type=int, default=1024)
    parser.add_argument("--growth-mib", type=float, default=64.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    if options.judgements < 2 or not 0 <= options.hostile <= options.judgements // 2:
        parser.error("--judgements must be at least 2, --hostile at most half of them")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        left = found(options, Path(folder))
    print("\n".join(left) or "nothing left over")
    return int(bool(left))


if __name__ == "__main__":
    start(main, smallest)
