"""Kill the pool's workers and the processes they fork programs from, again and again, during a batch of judgements.

    python -m perf.sandbox.kills [--judgements 1000] [--every 0.2 0.5] [--workers 2] [--seed 0]

A thread sends SIGKILL to a random worker, and in turn to a process that programs are forked from or its keeper, every
0.2 to 0.5 s while the batch is judged. The programs (`programs.py` of `perf/code/`, one in ten from `hostile.py`) have
known verdicts and sleep a little, so that kills hit judgements in their middle. Ends with 1 unless workers and the
others were killed and every single program gets its known verdict.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from perf.code.programs import Item, harmless
from perf.leftovers import processes_left
from perf.pools import code_pool
from perf.processes import adopt_orphans, parents, workers
from perf.sandbox.hostile import hostile
from perf.script import command_line, start
from perf.tables import Table

WAIT_SECONDS = 600.0
HOSTILE_SHARE = 0.1
SORTS = ("worker", "forking parent")


class Killer(threading.Thread):
    """Thread that kills a process of the pool now and then, until told to stop.

    Attributes:
        killed: how many of which sort.
    """

    def __init__(self, every: tuple[float, float], draw: random.Random) -> None:
        super().__init__(daemon=True)
        self.killed: Counter[str] = Counter()
        self._every, self._draw, self._stopped = every, draw, threading.Event()

    def run(self) -> None:
        """Kill until `stop`."""
        turns = cycle(SORTS)
        while not self._stopped.wait(self._draw.uniform(*self._every)):
            sort = next(turns)
            chosen = workers() if sort == SORTS[0] else forking_parents()
            if chosen:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._draw.choice(chosen), signal.SIGKILL)
                    self.killed[sort] += 1

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self.join()


def forking_parents() -> list[int]:
    """Return what programs are forked from, and what keeps it: children of the workers and theirs."""
    tree, of_pool = parents(), workers()
    keepers = {process for process, parent in tree.items() if parent in of_pool}
    return [process for process, parent in tree.items() if process in keepers or parent in keepers]


def items(options: argparse.Namespace, draw: random.Random) -> list[Item]:
    """Make the batch."""
    return [
        hostile(draw, number, options.limit_seconds, known=True)
        if draw.random() < HOSTILE_SHARE
        else harmless(draw, number, options.pause)
        for number in range(options.judgements)
    ]


def judge(batch: list[Item], options: argparse.Namespace, killer: Killer) -> list[str]:
    """Judge the batch while the killer is at work; return what is not as it must be, in words."""
    counts, wrongly = Counter[str](), []
    with code_pool(options.workers) as pool:
        pool.wait_ready()
        started = time.perf_counter()
        killer.start()
        futures = [pool.submit_answer(item.problem, item.program) for item in batch]
        for item, future in zip(batch, futures, strict=True):
            verdict = future.result(WAIT_SECONDS)
            counts[verdict.reason] += 1
            if not item.is_right(verdict):
                wrongly.append(f"{item.kind}, number {item.problem.id}: {verdict.reason}, not {item.reasons}")
        killer.stop()
        seconds, replaced = time.perf_counter() - started, pool.replaced
    table = Table(f"{len(batch)} judgements in {seconds:.0f} s, {options.workers} workers", "number")
    for sort in SORTS:
        table.row(f"{sort}s killed", killer.killed[sort])
    table.row("workers replaced", replaced)
    for reason, count in counts.most_common():
        table.row(f"judged {reason}", count)
    return wrongly + [f"no {sort} was killed" for sort in SORTS if not killer.killed[sort]]


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run."""
    return [*("--judgements", "20", "--every", "0.6", "1", "--pause", "0.3"), "--limit-seconds", "1"]


def main(words: Sequence[str]) -> int:
    """Judge and report."""
    parser = command_line(__doc__)
    parser.add_argument("--judgements", type=int, default=1000)
    parser.add_argument("--every", type=float, nargs=2, default=(0.2, 0.5), metavar=("LEAST", "MOST"), help="seconds")
    parser.add_argument("--limit-seconds", type=float, default=0.3, help="what a hostile program may take")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds that a program sleeps")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    adopt_orphans()
    draw = random.Random(options.seed)
    found = judge(items(options, draw), options, Killer(tuple(options.every), draw))
    time.sleep(1.0)
    found += processes_left()
    print("\n".join(found) or "every verdict as it must be, no process left")
    return int(bool(found))


if __name__ == "__main__":
    start(main, smallest)
