"""Simulates one generation phase on many engines: what a shared queue gains over a fixed split.

    python benchmarks/share_work.py [--seeds 5] [--engines 128]

An event simulation, not a measurement; no GPU, about ten seconds a seed. Each engine decodes its running
responses in lockstep; a step takes longer the more of them there are and the more tokens they hold. When the KV cache
is full, the youngest response waits and is computed again later, as in vLLM. All engines start at once and the phase
ends with the last response of the slowest. Means and standard deviations over seeds of two figures:

    idle      1 - mean(busy) / max(busy) over the engines, where busy is the time until an engine's own last response
    seconds   time until the last response of all

Every policy sees the same lengths. Left out: engines that differ in speed. A reader may conclude how policies compare
under these constants; the seconds are no promise.

    fixed split               each engine gets its equal, contiguous share of the prompts at the start
    queue                     engines draw a prompt whenever they have room for all its responses; an engine holds at
                              most its even share of all responses, so that the start starves nobody
    longest first             the same, prompts in the order of the last epoch's mean lengths
    ..., in one go            the same, but an engine fills all its room before the next one draws
    half the concurrency      queue, at half of the even share; only where that is less than the slots
    singly                    queue of single responses in random order: those to one prompt go to many engines
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from collections import deque
from dataclasses import dataclass
from statistics import mean, pstdev

import numpy as np

# A 7B policy of Qwen2.5's shape in bfloat16 on one H100.
WEIGHT_BYTES = 15.2e9  # 7.6e9 parameters
KV_BYTES = 28 * 2 * 4 * 128 * 2  # of one token: layers x (key, value) x KV heads x head width x bytes = 57,344
BANDWIDTH = 3.35e12  # bytes a second; so a step reads the weights in 4.5 ms, and 10,000 tokens of KV in 0.17 ms
FLOP = 15.2e9  # of one token: two a parameter
FLOPS = 0.6 * 989e12  # dense bfloat16, at 60% of the peak; 26 us a token, more than reading the weights from 177 on
LAUNCH = 1.5e-3  # seconds a step for scheduling, sampling and kernels; an assumption
KV_MEMORY = 40e9  # bytes; beside the weights and what the sleeping trainer keeps; 697,000 tokens
# Four such GPUs as one engine: weights, KV and arithmetic a quarter each, two all-reduces a layer at about 20 us.
REDUCE = 2 * 28 * 20e-6

PROMPT_TOKENS = 200
# Log-lengths are a prompt's part plus a sample's part, both normal: correlation 0.7^2 / (0.7^2 + 0.55^2) = 0.62
# between responses to the same prompt. The spreads are assumptions; 9% of the responses are cut at 16K, 3% at 32K.
PROMPT_SPREAD, SAMPLE_SPREAD = 0.7, 0.55
# Between epochs the policy changes: a prompt's mean length moves by about 20%, on top of the noise of few samples.
DRIFT = 0.2


@dataclass(frozen=True)
class Machine:
    """What decides the seconds of a decoding step, on all GPUs of an engine together."""

    gpus: int = 1

    @property
    def capacity(self) -> int:
        """Tokens that fit into the KV cache."""
        return int((self.gpus * (KV_MEMORY + WEIGHT_BYTES) - WEIGHT_BYTES) / KV_BYTES)

    def prefill(self, tokens: int) -> float:
        """Seconds."""
        return tokens * FLOP / FLOPS / self.gpus

    def decode(self, steps: int, running: int, context: int) -> float:
        """Seconds of `steps` steps of `running` responses that hold `context` tokens before the first of them."""
        matmul = max(WEIGHT_BYTES / BANDWIDTH, running * FLOP / FLOPS) / self.gpus
        fixed = LAUNCH + matmul + (REDUCE if self.gpus > 1 else 0.0)
        tokens_read = steps * context + running * steps * (steps - 1) // 2
        return steps * fixed + tokens_read * (KV_BYTES / BANDWIDTH / self.gpus)


class Engine:
    """One engine's clock, in seconds and in steps, its running and its waiting responses."""

    def __init__(self, machine: Machine, slots: int) -> None:
        self.machine, self.slots, self.capacity = machine, slots, machine.capacity
        self.seconds, self.step, self.context, self.started, self.to_prefill = 0.0, 0, 0, 0, 0
        self.running: list[tuple[int, int, int]] = []  # (last step, number by start, length), a heap
        self.waiting: deque[tuple[int, int]] = deque()  # (length, tokens it has already)

    @property
    def held(self) -> int:
        """Responses that it has to finish."""
        return len(self.running) + len(self.waiting)

    def add(self, prompt: list[int]) -> None:
        """Takes responses to one prompt, which is computed once for all of them."""
        self.to_prefill += PROMPT_TOKENS
        self.waiting += [(length, 0) for length in prompt]

    def run_until(self, count: int) -> None:
        """Decodes until no more than `count` responses are left."""
        while self.held > count:
            self._start_waiting()
            steps, room = self.running[0][0] - self.step, (self.capacity - self.context) // len(self.running)
            if steps <= room:
                self._decode(steps)
                _, _, length = heapq.heappop(self.running)
                self.context -= PROMPT_TOKENS + length
            else:
                self._decode(max(room, 0))
                self._preempt()

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
            heapq.heappush(self.running, (self.step + length - done, self.started, length))

    def _decode(self, steps: int) -> None:
        self.seconds += self.machine.prefill(self.to_prefill)
        self.seconds += self.machine.decode(steps, len(self.running), self.context)
        self.context += steps * len(self.running)
        self.step += steps
        self.to_prefill = 0

    def _preempt(self) -> None:
        youngest = max(self.running, key=lambda response: response[1])
        self.running.remove(youngest)
        heapq.heapify(self.running)
        last, _, length = youngest
        done = length - (last - self.step)
        self.context -= PROMPT_TOKENS + done
        self.waiting.appendleft((length, done))


def fixed_split(prompts: list[list[int]], engines: int, machine: Machine, slots: int) -> list[float]:
    """Busy seconds of each engine when each gets its contiguous share of the prompts at the start."""
    every = [Engine(machine, slots) for _ in range(engines)]
    for number, prompt in enumerate(prompts):
        every[number * engines // len(prompts)].add(prompt)
    return finished(every)


def queue(
    prompts: list[list[int]], engines: int, machine: Machine, concurrency: int, seed: int, *, in_one_go: bool = False
) -> list[float]:
    """Busy seconds of each engine when whoever has room for all responses of a prompt draws the next one.

    Engines that have room at the same moment, as all do at the start, take turns in random order; with `in_one_go`
    each fills all its room before the next draws.
    """
    ties = random.Random(seed)
    every = [Engine(machine, concurrency) for _ in range(engines)]
    with_room = [(0.0, 0, ties.random(), number) for number in range(engines)]
    heapq.heapify(with_room)
    for prompt in prompts:
        _, _, tie, number = with_room[0]
        engine = every[number]
        engine.add(prompt)
        engine.run_until(max(concurrency - len(prompt), 0))
        turn = (0, tie) if in_one_go else (engine.held, ties.random())
        heapq.heapreplace(with_room, (engine.seconds, *turn, number))
    return finished(every)


def finished(engines: list[Engine]) -> list[float]:
    """Busy seconds of each engine once it has finished what it holds."""
    for engine in engines:
        engine.run_until(0)
    return [engine.seconds for engine in engines]


@dataclass(frozen=True)
class Workload:
    """So many prompts with so many responses each, on so many engines."""

    name: str
    prompts: int
    samples: int
    engines: int
    machine: Machine = Machine()

    def even_share(self, samples: int) -> int:
        """An engine's even share of all responses, rounded up to whole draws of `samples` responses."""
        return math.ceil(self.prompts * self.samples / samples / self.engines) * samples


@dataclass(frozen=True)
class Lengths:
    """A lognormal distribution of response lengths, cut at the longest; `mean` is what the median and the cut give."""

    median: int
    mean: int
    longest: int

    def draw(self, workload: Workload, seed: int) -> tuple[list[list[int]], list[list[int]]]:
        """Lengths of each prompt's responses, and the same prompts with the longest expected first."""
        generator = np.random.default_rng(seed)
        prompt = math.log(self.median) + PROMPT_SPREAD * generator.standard_normal((workload.prompts, 1))

        def responses(centre: np.ndarray) -> np.ndarray:
            noise = generator.standard_normal((workload.prompts, workload.samples))
            return np.clip(np.exp(centre + SAMPLE_SPREAD * noise), 1, self.longest).astype(int)

        now = responses(prompt)
        last_epoch = responses(prompt + DRIFT * generator.standard_normal((workload.prompts, 1)))
        order = np.argsort(-last_epoch.mean(axis=1), kind="stable")
        return now.tolist(), now[order].tolist()


def simulate(workload: Workload, lengths: Lengths, seed: int) -> dict[str, list[float]]:
    """Busy seconds of each engine under each policy."""
    prompts, longest_first = lengths.draw(workload, seed)
    engines, machine = workload.engines, workload.machine
    slots, share = machine.capacity // lengths.mean, workload.even_share(workload.samples)
    whole, half = (max(min(slots, part), workload.samples) for part in (share, share // 2))
    one = min(slots, workload.even_share(1))
    singly, singly_longest = ([[length] for prompt in order for length in prompt] for order in (prompts, longest_first))
    random.Random(seed).shuffle(singly)
    return {
        "fixed split": fixed_split(prompts, engines, machine, slots),
        "queue": queue(prompts, engines, machine, whole, seed),
        "longest first": queue(longest_first, engines, machine, whole, seed),
        "longest first, in one go": queue(longest_first, engines, machine, whole, seed, in_one_go=True),
        **({"half the concurrency": queue(prompts, engines, machine, half, seed)} if half < whole else {}),
        "singly": queue(singly, engines, machine, one, seed),
        "singly, in one go": queue(singly, engines, machine, one, seed, in_one_go=True),
        "singly, longest first": queue(singly_longest, engines, machine, one, seed),
    }


def report(workload: Workload, lengths: Lengths, seeds: int) -> None:
    """Prints one table."""
    runs = [simulate(workload, lengths, seed) for seed in range(seeds)]
    alone = workload.machine.decode(lengths.longest, 1, PROMPT_TOKENS)
    print(
        f"\n{workload.name}: {workload.prompts:,} prompts x {workload.samples} on {workload.engines} engines, "
        f"lengths to {lengths.longest // 1024}K, mean {lengths.mean:,}\n"
        f"  {workload.machine.capacity // lengths.mean} slots an engine, even share "
        f"{workload.even_share(workload.samples)} responses; one of the longest alone takes {alone:.0f} s\n"
        f"  {'policy':26}{'idle':>14}{'seconds':>17}{'to fixed':>10}"
    )
    for policy in runs[0]:
        idle = [100 * (1 - mean(run[policy]) / max(run[policy])) for run in runs]
        ends = [max(run[policy]) for run in runs]
        gain = 100 * (mean(ends) / mean(max(run["fixed split"]) for run in runs) - 1)
        spreads = pstdev(idle), pstdev(ends)
        print(f"  {policy:26}{mean(idle):7.1f} ± {spreads[0]:3.1f}%{mean(ends):10.1f} ± {spreads[1]:5.1f}{gain:+9.1f}%")


def main() -> None:
    """Prints a table for each distribution of lengths and each workload."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="draws of the lengths, 5 by default")
    parser.add_argument("--engines", type=int, default=128, help="engines of one GPU each, 128 by default")
    options = parser.parse_args()
    gpus = options.engines
    for lengths in (Lengths(5_020, 6_500, 16_384), Lengths(6_430, 9_000, 32_768)):
        for workload in (
            Workload("training step", 128, 8, gpus),
            Workload("training step", 128, 16, gpus),
            Workload("training step, few engines", 128, 16, max(gpus // 16, 1)),
            Workload("training step, tensor-parallel", 128, 16, max(gpus // 4, 1), Machine(gpus=4)),
            Workload("evaluation or refilter", 8_192, 16, gpus),
            Workload("benchmark of few problems", 30, 64, gpus),
        ):
            report(workload, lengths, options.seeds)


if __name__ == "__main__":
    main()
