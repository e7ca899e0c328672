"""Simulates one generation phase on many engines: what sharing single responses gains over sharing prompts out.

    python benchmarks/share_work.py [--seeds 5] [--engines 128] [--max-num-seqs 256]

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

import argparse
import heapq
import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, pstdev

import numpy as np

from acereason.distributed.collectives import share
from acereason.engines.shared import draw_order

# A 7B policy of Qwen2.5's shape in bfloat16 on one H100.
WEIGHT_BYTES = 15.2e9  # 7.6e9 parameters
KV_BYTES = 28 * 2 * 4 * 128 * 2  # of one token: layers x (key, value) x KV heads x head width x bytes = 57,344
BANDWIDTH = 3.35e12  # bytes a second; so a step reads the weights in 4.5 ms, and 10,000 tokens of KV in 0.17 ms
FLOP = 15.2e9  # of one token: two a parameter
FLOPS = 0.6 * 989e12  # dense bfloat16, at 60% of the peak; 26 us a token, more than reading the weights from 177 on
LAUNCH = 1.5e-3  # seconds a step for scheduling, sampling and kernels; an assumption
KV_MEMORY = 40e9  # bytes; beside the weights and what the sleeping trainer keeps; 697,000 tokens
REDUCE = 2 * 28 * 20e-6  # seconds a step where several GPUs are one engine: two all-reduces a layer at about 20 us

PROMPT_TOKENS = 200
# Log-lengths are a prompt's part plus a sample's part, both normal: correlation 0.7^2 / (0.7^2 + 0.55^2) = 0.62
# between responses to the same prompt. The spreads are assumptions; 9% of the responses are cut at 16K, 3% at 32K.
PROMPT_SPREAD, SAMPLE_SPREAD = 0.7, 0.55
DRIFT = 0.2  # of a prompt's mean length between epochs; the noise of few samples comes on top


@dataclass(frozen=True)
class Machine:
    """What decides the seconds of a decoding step, on all GPUs of an engine together."""

    gpus: int = 1

    @property
    def capacity(self) -> int:
        """Tokens that fit into the KV cache."""
        return int((self.gpus * (KV_MEMORY + WEIGHT_BYTES) - WEIGHT_BYTES) / KV_BYTES)

    def decode(self, steps: int, running: int, context: int) -> float:
        """Seconds of `steps` steps of `running` responses that hold `context` tokens before the first of them."""
        matmul = max(WEIGHT_BYTES / BANDWIDTH, running * FLOP / FLOPS) / self.gpus
        fixed = LAUNCH + matmul + (REDUCE if self.gpus > 1 else 0.0)
        tokens_read = steps * context + running * steps * (steps - 1) // 2
        return steps * fixed + tokens_read * (KV_BYTES / BANDWIDTH / self.gpus)


class Engine:
    """One engine's clock, in seconds and in steps, its running and its waiting responses."""

    def __init__(self, machine: Machine, slots: int, lengths: Sequence[int] = ()) -> None:
        self.machine, self.slots, self.capacity = machine, slots, machine.capacity
        self.seconds, self.step, self.context, self.started = 0.0, 0, 0, 0
        self.to_prefill = PROMPT_TOKENS * len(lengths)
        self.running: dict[int, tuple[int, int]] = {}  # by number of start: last step, length; the youngest stands last
        self.ends: list[tuple[int, int]] = []  # last step and number of start, a heap; some no longer run
        self.waiting = deque((length, 0) for length in lengths)  # with the tokens it has already

    def add(self, length: int) -> None:
        """Takes a response."""
        self.to_prefill += PROMPT_TOKENS
        self.waiting.append((length, 0))

    def run_until(self, count: int) -> float:
        """Decodes until no more than `count` responses are left; returns its clock."""
        while len(self.running) + len(self.waiting) > count:
            self._start_waiting()
            while self.ends[0][1] not in self.running:
                heapq.heappop(self.ends)
            last, first = self.ends[0]
            room = (self.capacity - self.context) // len(self.running)
            if last - self.step <= room:
                self._decode(last - self.step)
                self.context -= PROMPT_TOKENS + self.running.pop(first)[1]
            else:
                self._decode(max(room, 0))
                _, (last, length) = self.running.popitem()
                self.context -= PROMPT_TOKENS + length - (last - self.step)
                self.waiting.appendleft((length, length - (last - self.step)))
        return self.seconds

    def _start_waiting(self) -> None:
        while self.waiting and len(self.running) < self.slots:
            length, done = self.waiting[0]
            # Room for a step is kept, or a response that was preempted would start only to be preempted again.
            if self.context + PROMPT_TOKENS + done + len(self.running) + 1 > self.capacity:
                return
            self.waiting.popleft()
            self.to_prefill += done
            self.context += PROMPT_TOKENS + done
            self.started += 1
            self.running[self.started] = self.step + length - done, length
            heapq.heappush(self.ends, (self.step + length - done, self.started))

    def _decode(self, steps: int) -> None:
        self.seconds += self.to_prefill * FLOP / FLOPS / self.machine.gpus
        self.seconds += self.machine.decode(steps, len(self.running), self.context)
        self.context += steps * len(self.running)
        self.step, self.to_prefill = self.step + steps, 0


@dataclass(frozen=True)
class Workload:
    """So many prompts with so many responses each, on so many engines; `repeated` ones had an epoch before."""

    name: str
    prompts: int
    samples: int
    engines: int
    machine: Machine = Machine()
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
        """The length of each response, prompt by prompt, and what the last epoch had as its prompt's mean."""
        generator = np.random.default_rng(seed)
        prompt = math.log(self.median) + PROMPT_SPREAD * generator.standard_normal((workload.prompts, 1))

        centres = prompt, prompt + DRIFT * generator.standard_normal((workload.prompts, 1))
        noise = generator.standard_normal((2, workload.prompts, workload.samples))
        now, before = np.clip(np.exp(np.stack(centres) + SAMPLE_SPREAD * noise), 1, self.longest).astype(int)
        return now.ravel().tolist(), np.repeat(before.mean(axis=1), workload.samples).tolist()


def fixed_split(lengths: Sequence[int], workload: Workload, slots: int, unit: int = 1) -> list[float]:
    """Busy seconds of each engine when each gets its contiguous share of `lengths`, in whole units of so many."""
    ranges = [share(len(lengths) // unit, engine, workload.engines) for engine in range(workload.engines)]
    parts = [lengths[unit * numbers.start : unit * numbers.stop] for numbers in ranges]
    return [Engine(workload.machine, slots, part).run_until(0) for part in parts]


def queue(lengths: Sequence[int], workload: Workload, room: int, first: Iterable[int]) -> list[float]:
    """Busy seconds of each engine when whoever holds less than `room` responses draws the next of `lengths`.

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
    """Busy seconds of each engine under each policy."""
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
    """Prints one table."""
    runs = [simulate(workload, lengths, slots, seed) for seed in range(seeds)]
    alone = workload.machine.decode(lengths.longest, 1, PROMPT_TOKENS)
    print(
        f"\n{workload.name}: {workload.prompts:,} prompts x {workload.samples} on {workload.engines} engines, "
        f"lengths to {lengths.longest // 1024}K, mean {lengths.mean:,}\n"
        f"  even share {workload.even_share} responses, room {min(workload.even_share, slots)}, cache for "
        f"{workload.machine.capacity // lengths.mean} whole ones; one of the longest alone takes {alone:.0f} s\n"
        f"  {'policy':22}{'idle':>15}{'seconds':>17}{'to prompts':>12}"
    )
    base = mean(max(run["whole prompts"]) for run in runs)
    for policy in runs[0]:
        idle = [1 - mean(run[policy]) / max(run[policy]) for run in runs]
        ends = [max(run[policy]) for run in runs]
        end = f"{mean(ends):.1f} ± {pstdev(ends):5.1f}"
        print(f"  {policy:22}{mean(idle):8.1%} ± {pstdev(idle):4.1%}{end:>17}{mean(ends) / base - 1:+12.1%}")


def main() -> None:
    """Prints a table for each distribution of lengths and each workload."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="draws of the lengths, 5 by default")
    parser.add_argument("--engines", type=int, default=128, help="engines of one GPU each, 128 by default")
    parser.add_argument("--max-num-seqs", type=int, default=256, help="engine.max_num_seqs, 256 by default")
    options = parser.parse_args()
    gpus, slots = options.engines, options.max_num_seqs
    for lengths in (Lengths(5_020, 6_500, 16_384), Lengths(6_430, 9_000, 32_768)):
        for workload in (
            Workload("training step", 128, 8, gpus),
            Workload("training step", 128, 16, gpus),
            Workload("training step, few engines", 128, 16, max(gpus // 16, 1)),
            Workload("training step, tensor-parallel", 128, 16, max(gpus // 4, 1), Machine(gpus=4)),
            Workload("evaluation", 8_192, 16, gpus, repeated=False),
            Workload("benchmark of few problems", 30, 64, gpus, repeated=False),
        ):
            report(workload, lengths, slots, options.seeds)


if __name__ == "__main__":
    main()
