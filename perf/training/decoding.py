"""The simulated engine of `share_work.py`: how long it decodes, and which responses wait while its cache is full."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Machine:
    """What decides the seconds of a decoding step, on all GPUs of an engine together."""

    gpus: int = 1

    @property
    def capacity(self) -> int:
        """Tokens that fit into the KV cache."""
        return int((self.gpus * (KV_MEMORY + WEIGHT_BYTES) - WEIGHT_BYTES) / KV_BYTES)

    def decode(self, steps: int, running: int, context: int) -> float:
        """Return the seconds of `steps` steps of `running` responses that hold `context` tokens before the first."""
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
        """Take a response."""
        self.to_prefill += PROMPT_TOKENS
        self.waiting.append((length, 0))

    def run_until(self, count: int) -> float:
        """Decode until no more than `count` responses are left; return its clock."""
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
