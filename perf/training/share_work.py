"""Simulate one generation phase on many engines: what sharing single responses gains over sharing prompts out.

    python -m perf.training.share_work [--seeds 5] [--engines 128] [--max-num-seqs 256]

An event simulation, not a measurement; no GPU, about two minutes on one core. Each engine decodes its running
responses in lockstep; a step takes longer the more of them there are and the more tokens they hold. When the KV cache
is full, the youngest response waits and is computed again later, as in vLLM. All engines start at once; the phase ends
with the last response of the slowest. Means and standard deviations over seeds: `idle` is 1 - mean(busy) / max(busy)
over the engines, where busy is the time until an engine's own last response; `seconds` the time until the last of all.
Every policy sees the same lengths. Left out: engines that differ in speed. A reader may conclude how policies compare
under these constants; the seconds are no promise.

    whole prompts     each engine gets an equal, contiguous share of the prompts, all responses to them, at the start
    fixed             `engine.work=fixed`: an equal, contiguous share of the order of `draw_order`
    queue             `engine.work=queue`: each engine starts with its hand of that order, as many as it has room for,
                      and draws the next response whenever one has ended
    unknown, known    nothing is expected of any prompt, as in the first epoch and in evaluations; or the mean length of
                      its responses in the last epoch
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, pstdev

import numpy as np

from acereason.distributed.collectives import share
from acereason.engines.shared import draw_order
from perf.script import command_line, start
from perf.tables import Table
from perf.training.decoding import PROMPT_TOKENS, Engine, Machine

# Log-lengths are a prompt's part plus a sample's part, both normal: correlation 0.7^2 / (0.7^2 + 0.55^2) = 0.62
# between responses to the same prompt. The spreads are assumptions; 9% of the responses are cut at 16K, 3% at 32K.
PROMPT_SPREAD, SAMPLE_SPREAD = 0.7, 0.55
DRIFT = 0.2  # of a prompt's mean length between epochs; the noise of few samples comes on top


@dataclass(frozen=True)
class Workload:
    """So many prompts with so many responses each, on so many engines; `repeated` ones had an epoch before."""

    name: str
    prompts: int
    samples: int
    engines: int
    machine: Machine = field(default_factory=Machine)
    repeated: bool = True

    @property
    def even_share(self) -> int:
        """An engine's, of the responses."""
        return math.ceil(self.prompts * self.samples / self.engines)


@dataclass(frozen=True)
class Lengths:
    """A lognormal distribution of response lengths, cut at the longest; `mean` is what the median and the cut give."""

    median: int
    mean: int
    longest: int

    def draw(self, workload: Workload, seed: int) -> tuple[list[int], list[float]]:
        """Return the length of each response, prompt by prompt, and what the last epoch had as its prompt's mean."""
        generator = np.random.default_rng(seed)
        prompt = math.log(self.median) + PROMPT_SPREAD * generator.standard_normal((workload.prompts, 1))

        centres = prompt, prompt + DRIFT * generator.standard_normal((workload.prompts, 1))
        noise = generator.standard_normal((2, workload.prompts, workload.samples))
        now, before = np.clip(np.exp(np.stack(centres) + SAMPLE_SPREAD * noise), 1, self.longest).astype(int)
        return now.ravel().tolist(), np.repeat(before.mean(axis=1), workload.samples).tolist()


def fixed_split(lengths: Sequence[int], workload: Workload, slots: int, unit: int = 1) -> list[float]:
    """Return the busy seconds of each engine when each gets its share of `lengths`, in whole units of so many."""
    ranges = [share(len(lengths) // unit, engine, workload.engines) for engine in range(workload.engines)]
    parts = [lengths[unit * numbers.start : unit * numbers.stop] for numbers in ranges]
    return [Engine(workload.machine, slots, part).run_until(0) for part in parts]


def queue(lengths: Sequence[int], workload: Workload, room: int, first: Iterable[int]) -> list[float]:
    """Return the busy seconds of each engine when any with less than `room` responses draws the next of `lengths`.

    `first` says which engine draws the first, the second … response, until all are full.
    """
    every = [Engine(workload.machine, room) for _ in range(workload.engines)]
    waiting = iter(lengths)
    for number, length in zip(first, waiting, strict=False):
        every[number].add(length)
    with_room = [(engine.run_until(room - 1), number) for number, engine in enumerate(every)]
    heapq.heapify(with_room)
    for length in waiting:
        _, number = with_room[0]
        every[number].add(length)
        heapq.heapreplace(with_room, (every[number].run_until(room - 1), number))
    return [engine.run_until(0) for engine in every]


def simulate(workload: Workload, lengths: Lengths, slots: int, seed: int) -> dict[str, list[float]]:
    """Return the busy seconds of each engine under each policy."""
    responses, last_epoch = lengths.draw(workload, seed)
    room = min(workload.even_share, slots)
    in_one_go = [engine for engine in range(workload.engines) for _ in range(room)][: len(responses)]
    expectations = [math.inf] * len(responses), last_epoch
    orders = [draw_order(expected, workload.engines, room) for expected in expectations]
    unknown, known = ([responses[number] for number in order] for order in orders)
    results = {
        "whole prompts": fixed_split(responses, workload, slots, workload.samples),
        "fixed, unknown": fixed_split(unknown, workload, slots),
        "queue, unknown": queue(unknown, workload, room, in_one_go),
    }
    if workload.repeated:
        dealt = draw_order(last_epoch, workload.engines, workload.even_share)
        results["fixed, known"] = fixed_split([responses[number] for number in dealt], workload, slots)
        results["queue, known"] = queue(known, workload, room, in_one_go)
    return results


def report(workload: Workload, lengths: Lengths, slots: int, seeds: int) -> None:
    """Print one table."""
    runs = [simulate(workload, lengths, slots, seed) for seed in range(seeds)]
    alone = workload.machine.decode(lengths.longest, 1, PROMPT_TOKENS)
    table = Table(
        f"{workload.name}: {workload.prompts:,} prompts x {workload.samples} on {workload.engines} engines, "
        f"lengths to {lengths.longest // 1024}K, mean {lengths.mean:,}\n"
        f"even share {workload.even_share} responses, room {min(workload.even_share, slots)}, cache for "
        f"{workload.machine.capacity // lengths.mean} whole ones; one of the longest alone takes {alone:.0f} s",
        *("idle", "seconds", "to prompts"),
        width=17,
    )
    base = mean(max(run["whole prompts"]) for run in runs)
    for policy in runs[0]:
        idle = [1 - mean(run[policy]) / max(run[policy]) for run in runs]
        ends = [max(run[policy]) for run in runs]
        busy = f"{mean(ends):.1f} ± {pstdev(ends):5.1f}"
        table.row(policy, f"{mean(idle):.1%} ± {pstdev(idle):4.1%}", busy, f"{mean(ends) / base - 1:+.1%}")


def workloads(engines: int, scale: float) -> list[Workload]:
    """Return what is simulated, with `scale` times as many prompts."""

    def prompts(count: int) -> int:
        return max(1, round(count * scale))

    return [
        Workload("training step", prompts(128), 8, engines),
        Workload("training step", prompts(128), 16, engines),
        Workload("training step, few engines", prompts(128), 16, max(engines // 16, 1)),
        Workload("training step, tensor-parallel", prompts(128), 16, max(engines // 4, 1), Machine(gpus=4)),
        Workload("evaluation", prompts(8_192), 16, engines, repeated=False),
        Workload("benchmark of few problems", prompts(30), 64, engines, repeated=False),
    ]


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run."""
    return ["--seeds", "1", "--engines", "16", "--scale", "0.03"]


def main(words: Sequence[str]) -> None:
    """Print a table for each distribution of lengths and each workload."""
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="draws of the lengths, 5 by default")
    parser.add_argument("--engines", type=int, default=128, help="engines of one GPU each, 128 by default")
    parser.add_argument("--max-num-seqs", type=int, default=256, help="engine.max_num_seqs, 256 by default")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the prompts of every workload")
    options = parser.parse_args(words)
    for lengths in (Lengths(5_020, 6_500, 16_384), Lengths(6_430, 9_000, 32_768)):
        for workload in workloads(options.engines, options.scale):
            report(workload, lengths, options.max_num_seqs, options.seeds)


if __name__ == "__main__":
    start(main, smallest)
