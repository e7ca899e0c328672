r"""Look for what is left over after very many code judgements, a third of them hostile.

    python -m perf.sandbox.leaks [--judgements 10000] [--hostile 3333] [--workers 2]

Harmless programs (`programs.py` of `perf/code/`) have known verdicts. Hostile ones (`hostile.py`) fork and outlive
their parents, start threads, eat memory, disk and output, leave files, shared memory and sockets, ignore signals, kill
and stop all they can reach, and write to every descriptor; they have a limit of 0.3 s.

Printed before, during and after: memory of this process, of the largest worker and of the largest process that forks
(MiB); descriptors of this process and the most of a worker; processes below this one, threads of this one. New entries
of /tmp, /dev/shm, control groups, mounts and System V objects are named at the end, whoever made them: run it where
nothing else does, or with `--not-alone`, when only what hostile programs have named `leak_…` counts. Processes that
lose their parent become children of this one, so none escapes the count. Ends with 1 if anything is left over or has
grown by more than `--growth-mib` since the first tenth, or if a verdict is wrong.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from acereason.config.schema import SandboxConfig
from acereason.verifiers.pool.pool import VerifierPool
from perf.code.programs import Item, harmless
from perf.leftovers import Held, held, held_table, machine, more, processes_left, settled, show_held
from perf.pools import code_pool
from perf.processes import adopt_orphans, bury_the_dead
from perf.sandbox.hostile import hostile
from perf.script import command_line, start
from perf.tables import Table

WAIT_SECONDS = 600.0
LEFT = ("descriptors", "processes", "threads")
GROWING = ("descriptors", "of_worker", "processes")
MEMORY = ("parent", "worker", "forking")
TENTHS = 10


class Run:
    """Judgements batch by batch, and what was seen of them.

    Attributes:
        reasons: of verdicts, counted, by the kind of program.
        wrongly: programs that did not get a verdict that they may get, in words.
        slowest: judgement, seconds.
    """

    def __init__(self, pool: VerifierPool, table: Table, options: argparse.Namespace) -> None:
        self.pool, self.table, self.options = pool, table, options
        self.draw = random.Random(options.seed)
        self.reasons: dict[str, Counter[str]] = {}
        self.wrongly: list[str] = []
        self.slowest = 0.0

    def judge(self) -> list[Held]:
        """Judge everything, the hostile programs at random places; return what was held after each batch."""
        judgements, size, seen = self.options.judgements, self.options.batch, list[Held]()
        places = set(self.draw.sample(range(judgements), self.options.hostile))
        for first in range(0, judgements, size):
            numbers = range(first, min(first + size, judgements))
            self._batch([self._item(number, number in places) for number in numbers])
            seen.append(held())
            if len(seen) % 4 == 1:
                show_held(self.table, f"{numbers[-1] + 1} judged", seen[-1])
        if len(seen) >= TENTHS:
            seen.append(settled(seen[len(seen) // TENTHS], GROWING))
        show_held(self.table, "end", seen[-1])
        return seen

    def _item(self, number: int, is_hostile: bool) -> Item:
        if is_hostile:
            return hostile(self.draw, number, self.options.limit_seconds)
        return harmless(self.draw, number)

    def _batch(self, batch: list[Item]) -> None:
        futures = [self.pool.submit_answer(item.problem, item.program) for item in batch]
        for item, future in zip(batch, futures, strict=True):
            verdict = future.result(WAIT_SECONDS)
            self.slowest = max(self.slowest, verdict.seconds)
            self.reasons.setdefault(item.kind, Counter())[verdict.reason] += 1
            if not item.is_right(verdict):
                self.wrongly.append(f"{item.kind}, number {item.problem.id}: {verdict.reason}")


def grown(seen: list[Held], limit: float) -> list[str]:
    """Print by how much memory has grown since the first tenth; return what has grown too much, in words.

    Nothing has in fewer than ten batches: the first one may be over before all workers have started.
    """
    first, last = seen[len(seen) // TENTHS], seen[-1]
    found = []
    for name in MEMORY:
        mib = getattr(last, name) - getattr(first, name)
        print(f"{name}: grew by {mib:.1f} MiB since the first tenth")
        found += [f"{name} grew by {mib:.0f} MiB"] * (mib > limit)
    return found + more(first, last, GROWING) if len(seen) >= TENTHS else []


def found(options: argparse.Namespace) -> list[str]:
    """Judge everything and print the figures; return what a clean run would not have, in words."""
    sandbox = SandboxConfig(memory_mib=options.memory_mib, output_mib=4, tmp_mib=16)
    before, machine_before = held(), machine()
    table = held_table(f"{options.workers} workers")
    show_held(table, "before", before)
    started = time.perf_counter()
    with code_pool(options.workers, sandbox) as pool:
        pool.wait_ready()
        run = Run(pool, table, options)
        seen = run.judge()
        seconds, replaced = time.perf_counter() - started, pool.replaced
    after = settled(before, LEFT, bury_the_dead)
    show_held(table, "pool closed", after)
    print(f"\n{seconds:.0f} s, {replaced} workers replaced, slowest judgement {run.slowest:.2f} s")
    for kind, counts in sorted(run.reasons.items()):
        print(f"{kind}: {dict(counts.most_common())}")
    return [
        *more(before, after, LEFT),
        *grown(seen, options.growth_mib),
        *processes_left(),
        *machine_before.left_over(not options.not_alone),
        *(["no worker was seen"] if not seen[-1].worker else []),
        *(f"judged wrongly: {each}" for each in run.wrongly[:10]),
    ]


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run."""
    return [*("--judgements", "60", "--hostile", "12", "--batch", "20", "--limit-seconds", "1"), "--not-alone"]


def main(words: Sequence[str]) -> int:
    """Judge, look, report."""
    parser = command_line(__doc__)
    parser.add_argument("--judgements", type=int, default=10_000)
    parser.add_argument("--hostile", type=int, default=3_333, help="how many of them are hostile")
    parser.add_argument("--batch", type=int, default=250, help="judgements between two looks")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory-mib", type=int, default=512, help="what a program may use")
    parser.add_argument("--limit-seconds", type=float, default=0.3, help="what a hostile program may take")
    parser.add_argument("--growth-mib", type=float, default=32.0)
    parser.add_argument("--not-alone", action="store_true", help="others work on this machine")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    if not 0 <= options.hostile <= options.judgements:
        parser.error("--hostile must be at most --judgements")
    adopt_orphans()
    left = found(options)
    print("\n".join(left) or "nothing left over")
    return int(bool(left))


if __name__ == "__main__":
    start(main, smallest)
