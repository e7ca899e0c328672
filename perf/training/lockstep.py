"""Simulate training in lock-step: the part of the ranks' time that is work when micro-batches wait for the slowest.

    python -m perf.training.lockstep [--seeds 5] [--responses 2048] [--model deepseek-ai/DeepSeek-R1-Distill-Qwen-7B]

Arithmetic, not a measurement; no GPU, about a minute on one core. Micro-batches are planned by the package's own
`micro_batches` and, for comparison, as it used to plan them: in order, in runs of neighbours with equal numbers of
tokens. FSDP ties ranks together, so the k-th micro-batches of all ranks take as long as the one that costs most. Costs
are operations, linear in the tokens and quadratic in what attends to what, as `Cost` has them of the model's shape.

    efficiency   cost of all responses with each group's prompt computed once, over ranks x time in lock-step: waiting,
                 and prompts that are computed in more than one micro-batch, are waste
    prompts      part of the cost that is prompts computed again
    plan         seconds to plan, the same work on every rank

Lengths are log-normal with a part of the prompt and one of the sample, as in `share_work.py`, cut at 32,768; `mean` is
theirs before the cut. A reader may conclude how plans compare; left out are collectives, and that tokens of small
micro-batches take longer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from acereason.config.known_models import KNOWN_MODELS
from acereason.policy.cost import Cost
from acereason.policy.spread import MicroBatch, Size, micro_batches
from perf.script import command_line, start
from perf.tables import Table
from perf.training.share_work import PROMPT_SPREAD, SAMPLE_SPREAD

LIMIT = 36_864
"""model.micro_batch_tokens of the cluster files: a response of 32,768 tokens and a prompt of 4,096."""
GROUP, LONGEST, LONGEST_PROMPT = 16, 32_768, 4_096
PROMPT_MEDIAN, PROMPT_LENGTHS_SPREAD = 250, 0.7  # of the prompts' own lengths; assumptions
Plan = list[list[MicroBatch]]


def cost_of(name: str) -> Cost:
    """Return what tokens of a known model cost."""
    shape = {key: value for key, value in KNOWN_MODELS[name].items() if key != "model_type"}
    with torch.device("meta"):
        config = AutoConfig.for_model(KNOWN_MODELS[name]["model_type"], **shape)
        return Cost.of(AutoModelForCausalLM.from_config(config))


def draw(count: int, expected: int, seed: int) -> list[Size]:
    """Return the sizes of so many responses in groups."""
    generator = np.random.default_rng(seed)
    groups = -(-count // GROUP)
    centre = math.log(expected) - (PROMPT_SPREAD**2 + SAMPLE_SPREAD**2) / 2
    logs = centre + PROMPT_SPREAD * generator.standard_normal((groups, 1))
    lengths = np.exp(logs + SAMPLE_SPREAD * generator.standard_normal((groups, GROUP)))
    prompts = PROMPT_MEDIAN * np.exp(PROMPT_LENGTHS_SPREAD * generator.standard_normal(groups))
    responses = np.clip(lengths, 1, LONGEST).astype(int).ravel().tolist()
    prompts = np.clip(prompts, 20, LONGEST_PROMPT).astype(int).tolist()
    return [(number // GROUP, prompts[number // GROUP], length) for number, length in enumerate(responses[:count])]


def in_order(sizes: Sequence[Size], most: int) -> list[MicroBatch]:
    """Fill parts one after the other, in order, with at most so many tokens unless a single response is longer."""
    parts: list[MicroBatch] = []
    tokens, last = 0, None
    for number, (group, prompt, response) in enumerate(sizes):
        added = response + (prompt if group != last else 0)
        if not parts or tokens + added > most:
            parts.append([])
            tokens, added = 0, prompt + response
        parts[-1].append(number)
        tokens, last = tokens + added, group
    return parts


def by_tokens(sizes: Sequence[Size], ranks: int, limit: int) -> Plan:
    """Plan as before: runs of neighbours whose largest number of tokens is least, each split in order."""
    low, high = max(prompt + response for _, prompt, response in sizes), sum(p + r for _, p, r in sizes)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if len(in_order(sizes, middle)) <= ranks else (middle + 1, high)
    runs = in_order(sizes, high)
    plan = [[[run[n] for n in part] for part in in_order([sizes[n] for n in run], limit)] for run in runs]
    return plan + [[] for _ in range(ranks - len(plan))]


class Costs:
    """What micro-batches of these responses cost."""

    def __init__(self, sizes: Sequence[Size], cost: Cost) -> None:
        self.sizes = sizes
        prompts, lengths = (np.array(column, np.int64) for column in list(zip(*sizes, strict=True))[1:])
        self.prompts: list[int] = cost.of_first(prompts).tolist()
        self.responses: list[int] = (cost.of_first(prompts + lengths) - cost.of_first(prompts)).tolist()

    def of(self, batch: MicroBatch) -> int:
        """Return the cost of a micro-batch; each group's prompt counts once."""
        prompts = {self.sizes[number][0]: self.prompts[number] for number in batch}
        return sum(prompts.values()) + sum(self.responses[number] for number in batch)

    def figures(self, plan: Plan) -> tuple[float, float, int]:
        """Return the efficiency of a plan, the part of prompts computed again, and the micro-batches of a rank."""
        once, count = self.of(list(range(len(self.sizes)))), max(map(len, plan))
        costs = [[self.of(batch) for batch in batches] + [0] * (count - len(batches)) for batches in plan]
        lock_step = sum(max(together) for together in zip(*costs, strict=True))
        return once / (len(plan) * lock_step), sum(map(sum, costs)) / once - 1, count


def report(options: tuple[int, int, int], ranks: int, expected: int, cost: Cost, table: Table) -> None:
    """Print one row: means over seeds, and the lowest efficiency."""
    seeds, responses, limit = options
    before, now, seconds = [], [], []
    for seed in range(seeds):
        sizes = draw(responses, expected, seed)
        costs = Costs(sizes, cost)
        before.append(costs.figures(by_tokens(sizes, ranks, limit)))
        started = time.perf_counter()
        plan = micro_batches(sizes, ranks, limit, cost)
        seconds.append(time.perf_counter() - started)
        now.append(costs.figures(plan))
    efficiency, prompts, count = (mean(values) for values in zip(*now, strict=True))
    old, _, old_count = (mean(values) for values in zip(*before, strict=True))
    cells = (f"{old:.3f}", f"{old_count:.1f}", f"{efficiency:.3f}", f"{min(now)[0]:.3f}", f"{count:.1f}")
    table.row(f"{ranks} x mean {expected:,}", *cells, f"{prompts:.1%}", f"{mean(seconds):.2f}")


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run."""
    return ["--seeds", "1", "--responses", "64"]


def main(words: Sequence[str]) -> None:
    """Print a row for each number of ranks and mean length."""
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="draws of the lengths, 5 by default")
    parser.add_argument("--responses", type=int, default=2048, help="of an update, 2,048 by default")
    parser.add_argument("--limit", type=int, default=LIMIT, help="model.micro_batch_tokens, 36,864 by default")
    parser.add_argument("--model", default="deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", choices=sorted(KNOWN_MODELS))
    options = parser.parse_args(words)
    cost = cost_of(options.model)
    title = f"{options.responses:,} responses in groups of {GROUP}, micro-batches of {options.limit:,} tokens"
    headings = "by tokens", "micro-b.", "by cost", "lowest", "micro-b.", "prompts", "plan s"
    table = Table(f"{title}, {options.model}: efficiency in lock-step", *headings, width=9)
    for ranks in (128, 32, 8, 2, 1):
        for expected in (9_000, 14_000):
            report((options.seeds, options.responses, options.limit), ranks, expected, cost, table)


if __name__ == "__main__":
    start(main, smallest)
