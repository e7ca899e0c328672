"""Times TRL's GRPOTrainer, which generates with transformers, step by step on the CPU.

    python benchmarks/trl_step.py POLICY PROMPTS STEPS [--micro-batch N] [--cache NAME] [--attention NAME]

POLICY is a model folder in Hugging Face format, PROMPTS a JSONL file with one prompt a line as a JSON string, at least
16 for each of the STEPS. Runs in the peer's environment (see `step_time.py`), not in this project's. The last line
printed is JSON: `steps` (wall seconds of each, rollouts and rewards included), `tokens` (sampled in each), `mixed`
(share of groups with both rewards) and `with` (versions and settings). The defaults are the fastest found for this
size of step.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from hash_reward import LEARNING_RATE, PROMPTS_PER_STEP, RESPONSE_TOKENS, ROLLOUTS_PER_PROMPT, hash_reward, mixed_share
from transformers import AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer


class StepClock(TrainerCallback):
    """Wall seconds from the start of each step to its end; TRL generates, rewards and trains in between."""

    def __init__(self) -> None:
        """Starts with no step timed."""
        self.seconds: list[float] = []
        self.started = 0.0

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        """Starts the clock."""
        self.started = time.perf_counter()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """Stops the clock."""
        self.seconds.append(time.perf_counter() - self.started)


class CountingReward:
    """The reward rule as TRL calls it, once a step; keeps each step's token count and share of mixed groups."""

    __name__ = "hash_reward"

    def __init__(self) -> None:
        """Starts with no step seen."""
        self.tokens: list[int] = []
        self.mixed: list[float] = []

    def __call__(self, completions: list[str], completion_ids: list[list[int]], **kwargs: Any) -> list[float]:
        """The reward of each completion."""
        rewards = [hash_reward(completion) for completion in completions]
        self.tokens.append(sum(len(ids) for ids in completion_ids))
        self.mixed.append(mixed_share(rewards))
        return rewards


def step_settings(options: argparse.Namespace, folder: str) -> GRPOConfig:
    """One on-policy float32 update on each batch of rollouts, every response exactly `RESPONSE_TOKENS` long."""
    rollouts = PROMPTS_PER_STEP * ROLLOUTS_PER_PROMPT
    return GRPOConfig(
        output_dir=folder,
        max_steps=options.steps,
        per_device_train_batch_size=options.micro_batch,
        gradient_accumulation_steps=rollouts // options.micro_batch,
        num_generations=ROLLOUTS_PER_PROMPT,
        max_completion_length=RESPONSE_TOKENS,
        generation_kwargs={"min_new_tokens": RESPONSE_TOKENS},
        cache_implementation=options.cache,
        temperature=1.0,
        num_iterations=1,
        beta=0.0,
        loss_type="dapo",
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        max_grad_norm=1.0,
        model_init_kwargs={"dtype": "float32", "attn_implementation": options.attention},
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=False,
        shuffle_dataset=False,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def read_prompts(path: Path, steps: int) -> list[str]:
    """The first `steps` batches of prompts.

    Raises:
        SystemExit: the file holds fewer.
    """
    prompts = [json.loads(line) for line in path.read_text().splitlines()]
    wanted = steps * PROMPTS_PER_STEP
    if len(prompts) < wanted:
        raise SystemExit(f"{path} has {len(prompts)} prompts; {steps} steps take {wanted}")
    return prompts[:wanted]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy")
    parser.add_argument("prompts", type=Path)
    parser.add_argument("steps", type=int)
    parser.add_argument("--micro-batch", type=int, default=64, help="responses of one forward and backward pass")
    parser.add_argument("--cache", default=None, help="cache_implementation of generation; TRL's own by default")
    parser.add_argument("--attention", default="sdpa", help="attn_implementation of the model")
    return parser.parse_args()


def main() -> None:
    """Trains for the steps asked for and prints their figures."""
    options = arguments()
    clock, reward = StepClock(), CountingReward()
    prompts = Dataset.from_dict({"prompt": read_prompts(options.prompts, options.steps)})
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=options.policy,
            reward_funcs=reward,
            args=step_settings(options, folder),
            train_dataset=prompts,
            processing_class=AutoTokenizer.from_pretrained(options.policy, padding_side="left"),
            callbacks=[clock],
        )
        trainer.train()
    versions = ", ".join(f"{name} {version(name)}" for name in ("trl", "transformers", "torch"))
    settings = f"micro-batches of {options.micro_batch}, {options.attention}, {torch.get_num_threads()} threads"
    figures = {"steps": clock.seconds, "tokens": reward.tokens, "mixed": reward.mixed}
    print(json.dumps({**figures, "with": f"{versions}; {settings}"}), flush=True)


if __name__ == "__main__":
    main()
