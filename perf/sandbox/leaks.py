r"""Looks for what is left over after very many code judgements, a third of them hostile.

    python benchmarks/code_leaks.py [--judgements 10000] [--hostile 3333] [--workers 2]

Harmless programs (`code_programs.py`) have known verdicts. Hostile ones (`code_hostile.py`) fork and outlive their
parents, start threads, eat memory, disk and output, leave files, shared memory and sockets, ignore signals, kill and
stop all they can reach, and write to every descriptor; they have a limit of 0.3 s.

Printed before, during and after: memory of this process, of the largest worker and of the largest process that forks
(MiB); descriptors of this process and the most of a worker; processes below this one, threads of this one. New entries
of /tmp, /dev/shm, control groups, mounts and System V objects are named at the end, whoever made them: run it where
nothing else does. Processes that lose their parent become children of this one, so none escapes the count. Ends with
1 if anything is left over or has grown by more than `--growth-mib` since the first tenth, or if a verdict is wrong.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass

from code_hostile import hostile
from code_programs import Item, harmless
from math_leaks import resident, status
from process_tree import adopt_orphans, bury_the_dead, command, descriptors, generations, machine, workers

from acereason.config.schema import SandboxConfig
from acereason.verifiers.pool.pool import VerifierPool

BATCH = 250
WAIT_SECONDS = 600.0
POOL_MEMORY_MIB = 2048
END_SECONDS = 5.0


@dataclass(frozen=True)
class Held:
    """What this process and those below it hold at a moment; memory in MiB."""

    parent: float
    worker: float
    forking: float
    descriptors: int
    of_worker: int
    processes: int
    threads: int


def held() -> Held:
    """A look at this process and all below."""
    levels, here = generations(), os.getpid()
    return Held(
        parent=resident(here),
        worker=max(map(resident, workers()), default=0.0),
        forking=max((resident(process) for level in levels[1:] for process in level), default=0.0),
        descriptors=descriptors(here),
        of_worker=max(map(descriptors, workers()), default=0),
        processes=sum(map(len, levels)),
        threads=int(status(here)["Threads"]),
    )


def show(name: str, seen: Held) -> None:
    """One line of the table."""
    memory = f"{seen.parent:9.1f}{seen.worker:9.1f}{seen.forking:9.1f}"
    print(
        f"{name:14}{memory}{seen.descriptors:13}{seen.of_worker:11}{seen.processes:11}{seen.threads:9}",
        flush=True,
    )


class Run:
    """Judges batch by batch and keeps what it sees."""

    def __init__(self, pool: VerifierPool, draw: random.Random) -> None:
        self.pool, self.draw = pool, draw
        self.reasons: dict[str, Counter[str]] = {}
        self.wrongly: list[str] = []
        self.slowest = 0.0

    def part(self, judgements: int, hostile_ones: int) -> list[Held]:
        """Judges so many, the hostile ones at random places; what was held after each batch."""
        places, seen = set(self.draw.sample(range(judgements), hostile_ones)), []
        for start in range(0, judgements, BATCH):
            numbers = range(start, min(start + BATCH, judgements))
            self._batch([(hostile if number in places else harmless)(self.draw, number) for number in numbers])
            seen.append(held())
            if len(seen) % 4 == 1:
                show(f"{numbers[-1] + 1} judged", seen[-1])
        return seen

    def _batch(self, batch: list[Item]) -> None:
        futures = [self.pool.submit_answer(item.problem, item.program) for item in batch]
        for item, future in zip(batch, futures, strict=True):
            verdict = future.result(WAIT_SECONDS)
            self.slowest = max(self.slowest, verdict.seconds)
            self.reasons.setdefault(item.kind, Counter())[verdict.reason] += 1
            if not item.is_right(verdict):
                self.wrongly.append(f"{item.kind}, number {item.problem.id}: {verdict.reason}")


def held_at_the_end(before: Held) -> Held:
    """As `held`, once the kernel is done with what the closed pool has killed."""
    end = time.monotonic() + END_SECONDS
    while True:
        bury_the_dead()
        after = held()
        if (after.processes <= before.processes and after.threads <= before.threads) or time.monotonic() > end:
            return after
        time.sleep(0.05)


def left_over(before: Held, seen: list[Held], after: Held, limit: float) -> list[str]:
    """What a clean run would not have, in words."""
    found = [
        f"{getattr(after, name) - getattr(before, name)} {name} left"
        for name in ("descriptors", "processes", "threads")
        if getattr(after, name) > getattr(before, name)
    ]
    first, last = seen[len(seen) // 10], seen[-1]
    for name in ("parent", "worker", "forking"):
        grown = getattr(last, name) - getattr(first, name)
        print(f"{name}: grew by {grown:.1f} MiB since the first tenth")
        found += [f"{name} grew by {grown:.0f} MiB"] * (grown > limit)
    for name in ("descriptors", "of_worker", "processes"):
        if getattr(last, name) > getattr(first, name):
            found.append(f"{name}: {getattr(first, name)} after the first tenth, {getattr(last, name)} at the end")
    return found + [f"left: {process} {command(process)}" for level in generations() for process in level]


def run(options: argparse.Namespace) -> list[str]:
    """Judges everything, prints the figures; what was left over or wrong."""
    sandbox = SandboxConfig(memory_mib=options.memory_mib, output_mib=4, tmp_mib=16)
    before, machine_before = held(), machine()
    show("before", before)
    started = time.perf_counter()
    with VerifierPool(options.workers, 5.0, POOL_MEMORY_MIB, domains=("code",), sandbox=sandbox) as pool:
        pool.wait_ready()
        judging = Run(pool, random.Random(options.seed))
        seen = judging.part(options.judgements, options.hostile)
        show("end", seen[-1])
        replaced = pool.replaced
    seconds = time.perf_counter() - started
    after = held_at_the_end(before)
    show("pool closed", after)
    print(f"\n{seconds:.0f} s, {replaced} workers replaced, slowest judgement {judging.slowest:.2f} s")
    for kind, counts in sorted(judging.reasons.items()):
        print(f"{kind}: {dict(counts.most_common())}")
    wrong = [f"judged wrongly: {each}" for each in judging.wrongly[:10]]
    return left_over(before, seen, after, options.growth_mib) + machine_before.left_over() + wrong


def main() -> int:
    """Judges, looks, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judgements", type=int, default=10_000)
    parser.add_argument("--hostile", type=int, default=3_333, help="how many of them are hostile")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory-mib", type=int, default=512, help="what a program may use")
    parser.add_argument("--growth-mib", type=float, default=32.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not 0 <= options.hostile <= options.judgements:
        parser.error("--hostile must be at most --judgements")
    adopt_orphans()
    print(f"{options.workers} workers, {os.cpu_count()} cores, {platform.platform()}")
    columns = "   parent   worker  forking  descriptors  of worker  processes  threads"
    print(f"{'':14}{columns}")
    found = run(options)
    print("\n".join(found) or "nothing left over")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
