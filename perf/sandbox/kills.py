"""Kills the pool's workers and the processes they fork programs from, again and again, during a batch of judgements.

    python benchmarks/code_kills.py [--judgements 1000] [--every 0.2 0.5] [--workers 2] [--seed 0]

A thread sends SIGKILL to a random worker, or to a process that programs are forked from or its keeper, every 0.2 to
0.5 s while the batch is judged. The programs (`code_programs.py`, one in ten from `code_hostile.py`) have known
verdicts and sleep a little, so that kills hit judgements in their middle. Ends with 1 unless every single one gets its
known verdict.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import random
import signal
import sys
import threading
import time
from collections import Counter

from code_hostile import hostile
from code_programs import Item, harmless
from process_tree import adopt_orphans, bury_the_dead, command, generations, parents, workers

from acereason.config.schema import SandboxConfig
from acereason.verifiers.pool.pool import VerifierPool

WAIT_SECONDS = 600.0
POOL_MEMORY_MIB = 2048
HOSTILE_SHARE = 0.1


class Killer(threading.Thread):
    """Kills a process of the pool now and then, until told to stop.

    Attributes:
        killed: how many of which sort.
    """

    def __init__(self, every: tuple[float, float], draw: random.Random) -> None:
        super().__init__(daemon=True)
        self.killed: Counter[str] = Counter()
        self._every, self._draw, self._stopped = every, draw, threading.Event()

    def run(self) -> None:
        """Kills until `stop`."""
        while not self._stopped.wait(self._draw.uniform(*self._every)):
            sort = self._draw.choice(("worker", "forking parent"))
            chosen = workers() if sort == "worker" else forking_parents()
            if chosen:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._draw.choice(chosen), signal.SIGKILL)
                    self.killed[sort] += 1

    def stop(self) -> None:
        """Ends it."""
        self._stopped.set()
        self.join()


def forking_parents() -> list[int]:
    """What programs are forked from, and what keeps it: children of the workers and theirs."""
    tree, of_pool = parents(), workers()
    keepers = {process for process, parent in tree.items() if parent in of_pool}
    return [process for process, parent in tree.items() if process in keepers or parent in keepers]


def items(options: argparse.Namespace, draw: random.Random) -> list[Item]:
    """The batch."""
    return [
        hostile(draw, number, known=True) if draw.random() < HOSTILE_SHARE else harmless(draw, number, options.pause)
        for number in range(options.judgements)
    ]


def judge(batch: list[Item], options: argparse.Namespace, killer: Killer) -> list[str]:
    """Judges the batch while the killer is at work; the verdicts that are not as they must be."""
    counts, wrongly = Counter[str](), []
    with VerifierPool(options.workers, 5.0, POOL_MEMORY_MIB, domains=("code",), sandbox=SandboxConfig()) as pool:
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
        print(f"{len(batch)} judgements in {time.perf_counter() - started:.0f} s, {pool.replaced} workers replaced")
    print(f"killed: {dict(killer.killed)}")
    print(f"reasons: {dict(counts.most_common())}")
    return wrongly


def main() -> int:
    """Judges and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judgements", type=int, default=1000)
    parser.add_argument("--every", type=float, nargs=2, default=(0.2, 0.5), metavar=("LEAST", "MOST"), help="seconds")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds that a program sleeps")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    adopt_orphans()
    print(f"{options.workers} workers, {os.cpu_count()} cores, {platform.platform()}")
    draw = random.Random(options.seed)
    found = judge(items(options, draw), options, Killer(tuple(options.every), draw))
    time.sleep(1.0)
    bury_the_dead()
    found += [f"left: {process} {command(process)}" for level in generations() for process in level]
    print("\n".join(found) or "every verdict as it must be, no process left")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
