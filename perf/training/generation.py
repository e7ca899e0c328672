"""Time our generation on the CPU against bare `llm.generate` of the same vLLM engine, and print the ratio.

    python -m perf.training.generation [--rounds 7] [--prompts 16]

Both sample responses of the same length to the same prompts of the laptop policy, in turn, in one process. Bare means
neither a seed for each request nor log-probs, which training needs; the rows below it add them one by one, so that the
difference shows where the time goes. What may be concluded: which share of the speed of vLLM itself our way of driving
it leaves. Not how fast vLLM is on a GPU, where a seed and a log-prob cost other shares.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import AutoTokenizer

from acereason.config.compose import compose
from acereason.engines.engine import Request, Sampling
from acereason.engines.prompt import make_prompt
from acereason.engines.vllm_engine import VLLMEngine
from acereason.problems.laptop import laptop_problems
from acereason.training.build import quiet
from perf.script import ROOT, command_line, start
from perf.tables import Table
from perf.training.equal_work import LEVELS

OURS, BARE = "ours", "bare llm.generate"


class Sides:
    """One engine, and the ways to have it answer the same requests.

    Args:
        policy: model folder.
        prompts: of a job.
        samples: responses to each prompt.
        tokens: of every response.
    """

    def __init__(self, policy: str, prompts: int, samples: int, tokens: int) -> None:
        self.tokens = tokens
        tokenizer = AutoTokenizer.from_pretrained(policy)
        problems = laptop_problems("math", "train", prompts, LEVELS)
        self.prompts = [make_prompt(problem, tokenizer).ids for problem in problems for _ in range(samples)]
        length = max(map(len, self.prompts)) + tokens
        config = compose(["recipe=laptop_math", f"engine.max_num_seqs={len(self.prompts)}"])
        self.engine = VLLMEngine(policy, config.engine, length, torch.device("cpu"))

    def ours(self) -> int:
        """Generate as in training; return the number of tokens."""
        requests = [Request(number, ids, number) for number, ids in enumerate(self.prompts)]
        sampling = Sampling(self.tokens, ignore_eos=True)
        return sum(len(generation.token_ids) for generation in self.engine.generate(requests, sampling))

    def vllm(self, *, seeds: bool = False, logprobs: bool = False) -> int:
        """Generate by `llm.generate`; return the number of tokens."""
        from vllm import SamplingParams

        parameters = [
            SamplingParams(
                max_tokens=self.tokens,
                ignore_eos=True,
                detokenize=False,
                seed=number if seeds else None,
                logprobs=0 if logprobs else None,
            )
            for number in range(len(self.prompts))
        ]
        prompts: list[Any] = [{"prompt_token_ids": list(ids)} for ids in self.prompts]
        outputs = self.engine.llm.generate(prompts, parameters, use_tqdm=False)
        return sum(len(output.outputs[0].token_ids) for output in outputs)

    def all(self) -> dict[str, Callable[[], int]]:
        """Return the ways by their names."""
        return {
            OURS: self.ours,
            BARE: self.vllm,
            "  with seeds": lambda: self.vllm(seeds=True),
            "  with log-probs": lambda: self.vllm(logprobs=True),
            "  with both": lambda: self.vllm(seeds=True, logprobs=True),
        }


def speeds(ways: dict[str, Callable[[], int]], rounds: int) -> dict[str, list[float]]:
    """Return tokens a second of each way in each round, taking turns; one more round before them is warm-up."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            speed = way() / (time.perf_counter() - started)
            if number:
                found[name].append(speed)
    return found


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run."""
    return ["--rounds", "1", "--prompts", "2", "--samples", "2", "--tokens", "4"]


def main(words: Sequence[str]) -> None:
    """Take turns and report."""
    parser = command_line(__doc__)
    parser.add_argument("--policy", default=str(ROOT / "models" / "laptop"), help="model folder")
    parser.add_argument("--rounds", type=int, default=7, help="times that each way generates")
    parser.add_argument("--prompts", type=int, default=16, help="prompts of a job")
    parser.add_argument("--samples", type=int, default=16, help="responses to each prompt")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of a response")
    options = parser.parse_args(words)
    if min(options.rounds, options.prompts, options.samples, options.tokens) < 1:
        parser.error("every number must be at least 1")
    quiet()
    sides = Sides(options.policy, options.prompts, options.samples, options.tokens)
    found = speeds(sides.all(), options.rounds)
    size = f"{options.prompts} prompts x {options.samples} responses x {options.tokens} tokens"
    table = Table(f"tokens a second, {size}, {options.rounds} rounds", "median", "slowest", "fastest", "of bare")
    bare = median(found[BARE])
    for name, each in found.items():
        table.row(
            name, *(f"{value:,.0f}" for value in (median(each), min(each), max(each))), f"{median(each) / bare:.2f}"
        )
    ratios = [ours / theirs for ours, theirs in zip(found[OURS], found[BARE], strict=True)]
    print(f"\nours / bare: {median(found[OURS]) / bare:.3f}; round by round {', '.join(f'{r:.2f}' for r in ratios)}")


if __name__ == "__main__":
    start(main, smallest)
