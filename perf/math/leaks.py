r"""Looks for what is left over after very many math judgements, a part of them hostile.

    python benchmarks/math_leaks.py [--judgements 100000] [--hostile 500] [--workers 2]

Everything goes through one verifier pool with short limits. First come harmless judgements alone, half of all, so that
workers live long and would show what they hoard; then harmless ones with the hostile ones spread among them, which cost
workers. Hostile are towers of powers, huge factorials, nested radicals, a million digits, 100,000 nested braces, random
bytes, unbalanced LaTeX and expressions that sympy is slow at, as answers and as gold answers.

Printed are resident memory of this process and of the largest worker, descriptors, threads, child processes and
temporary files before, during and after, and how many judgements ended for which reason. Ends with 1 if descriptors,
threads, children or temporary files are left over, if this process grew by more than `--growth-mib` between the first
tenth of a part and its end, if a worker did in the first part, if a judgement is missing, or if a harmless one was
judged wrongly or not at all.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from math_hostile import Item, items

from acereason.problems.problem import Problem
from acereason.verifiers.pool.pool import VerifierPool

BATCH = 500
WAIT_SECONDS = 600.0


@dataclass(frozen=True)
class Held:
    """What this process and its workers hold at a moment; memory in MiB."""

    parent: float
    worker: float
    descriptors: int
    threads: int
    children: int
    files: int


def status(pid: int) -> dict[str, str]:
    """The kernel's account of a process; empty when it has just gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return dict(line.split(":", 1) for line in lines)


def resident(pid: int) -> float:
    """Resident memory in MiB; 0 for a process that is gone or a zombie."""
    return int(status(pid).get("VmRSS", "0").split()[0]) / 1024


def children() -> list[int]:
    """Child processes of all threads, zombies too."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that ends meanwhile
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


def held(folder: str) -> Held:
    """A look at this process; `folder` is where temporary files would be."""
    here, below = os.getpid(), children()
    return Held(
        parent=resident(here),
        worker=max(map(resident, below), default=0.0),
        descriptors=len(os.listdir("/proc/self/fd")),
        threads=int(status(here)["Threads"]),
        children=len(below),
        files=sum(len(names) + len(folders) for _, folders, names in os.walk(folder)),
    )


class Run:
    """Judges items batch by batch and keeps what it sees."""

    def __init__(self, pool: VerifierPool, folder: str) -> None:
        self.pool, self.folder = pool, folder
        self.reasons: dict[str, Counter[str]] = {"harmless": Counter(), "hostile": Counter()}
        self.wrongly: list[str] = []
        self.slowest = 0.0

    def part(self, stream: Iterator[Item], count: int) -> list[Held]:
        """Judges so many; what was held after each batch."""
        seen = []
        for start in range(0, count, BATCH):
            self._batch([next(stream) for _ in range(min(BATCH, count - start))], start)
            seen.append(held(self.folder))
        return seen

    def _batch(self, batch: list[Item], start: int) -> None:
        futures = [
            self.pool.submit(
                Problem(str(start + place), "math", "", answer=item.gold), rf"</think> \boxed{{{item.answer}}}"
            )
            for place, item in enumerate(batch)
        ]
        for item, future in zip(batch, futures, strict=True):
            verdict = future.result(WAIT_SECONDS)
            self.slowest = max(self.slowest, verdict.seconds)
            self.reasons["hostile" if item.equal is None else "harmless"][verdict.reason] += 1
            if item.equal is not None and verdict.reason != ("correct" if item.equal else "wrong"):
                self.wrongly.append(f"{item.gold} against {item.answer}: {verdict.reason}")


def show(name: str, seen: Held) -> None:
    """One line of the table."""
    print(
        f"{name:24}{seen.parent:12.1f}{seen.worker:12.1f}{seen.descriptors:12}{seen.threads:12}{seen.children:12}"
        f"{seen.files:12}",
        flush=True,
    )


def held_at_the_end(before: Held, folder: str) -> Held:
    """As `held`, once the kernel is done with a thread that Python has already joined."""
    for _ in range(100):
        after = held(folder)
        if after.threads <= before.threads:
            break
        time.sleep(0.02)
    return after


def growth(parts: list[list[Held]]) -> list[tuple[str, float]]:
    """By how many MiB each part's end is above its first tenth; hostile judgements leave large workers behind."""
    pairs = [(seen[len(seen) // 10], seen[-1]) for seen in parts]
    return [
        ("this process in part 1", pairs[0][1].parent - pairs[0][0].parent),
        ("this process in part 2", pairs[1][1].parent - pairs[1][0].parent),
        ("the largest worker in part 1", pairs[0][1].worker - pairs[0][0].worker),
    ]


def left_over(before: Held, after: Held, wrongly: list[str], grown: list[tuple[str, float]], limit: float) -> list[str]:
    """What a clean run would not have, in words."""
    found = [
        f"{getattr(after, name) - getattr(before, name)} {name} left"
        for name in ("descriptors", "threads", "children", "files")
        if getattr(after, name) > getattr(before, name)
    ]
    found += [f"{who} grew by {mib:.0f} MiB" for who, mib in grown if mib > limit]
    return found + [f"judged wrongly: {each}" for each in wrongly[:10]]


def run_parts(options: argparse.Namespace, folder: str) -> list[str]:
    """Both parts through one pool, with the figures printed; what was left over."""
    draw, half = random.Random(options.seed), options.judgements // 2
    before = held(folder)
    show("before", before)
    started = time.perf_counter()
    with VerifierPool(options.workers, options.timeout_seconds, options.memory_mib) as pool:
        pool.wait_ready()
        run, parts = Run(pool, folder), []
        for count, hostile in ((half, 0), (options.judgements - half, options.hostile)):
            parts.append(run.part(items(count, hostile, draw), count))
            show(f"part {len(parts)}, first tenth", parts[-1][len(parts[-1]) // 10])
            show(f"part {len(parts)}, end", parts[-1][-1])
        replaced = pool.replaced
    seconds = time.perf_counter() - started
    after = held_at_the_end(before, folder)
    show("pool closed", after)
    print(f"\n{seconds:.0f} s, {replaced} workers replaced, slowest judgement {run.slowest:.2f} s")
    for name, counts in run.reasons.items():
        print(f"{name}: {dict(counts.most_common())}")
    grown = growth(parts)
    for who, mib in grown:
        print(f"{who} grew by {mib:.1f} MiB")
    return left_over(before, after, run.wrongly, grown, options.growth_mib)


def main() -> int:
    """Judges, looks, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judgements", type=int, default=100_000)
    parser.add_argument("--hostile", type=int, default=500, help="how many of them are hostile")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout-seconds", type=float, default=1.0)
    parser.add_argument("--memory-mib", type=int, default=1024)
    parser.add_argument("--growth-mib", type=float, default=64.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.judgements < 2 or not 0 <= options.hostile <= options.judgements // 2:
        parser.error("--judgements must be at least 2, --hostile at most half of them")
    print(f"{options.workers} workers, {os.cpu_count()} cores, {platform.platform()}")
    columns = ("parent MiB", "worker MiB", "descriptors", "threads", "children", "files")
    print(f"{'':24}" + "".join(f"{column:>12}" for column in columns))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        found = run_parts(options, folder)
    print("\n".join(found) or "nothing left over")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
