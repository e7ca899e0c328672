"""Time TRL's GRPOTrainer, which generates with transformers, step by step on the CPU.

    python -m perf.training.trl_side POLICY PROMPTS WORK [--micro-batch N] [--cache NAME] [--attention NAME]

POLICY is a model folder in Hugging Face format, PROMPTS a JSONL file with one prompt a line as a JSON string, enough
for all steps of WORK, which is JSON text (`equal_work.py`). Runs in the peer's environment (see `step_time.py`), not in
this project's. The last line printed is JSON: `steps` (wall seconds of each, rollouts and rewards included), `tokens`
(sampled in each), `mixed` (share of groups with both rewards) and `with` (versions and settings). The defaults are the
fastest found for the default work.
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
from transformers import AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from perf.training.equal_work import LEARNING_RATE, Work, hash_reward


class StepClock(TrainerCallback):
    """Wall seconds from the start of each step to its end; TRL generates, rewards and trains in between."""

    def __init__(self) -> None:
        """Start with no step timed."""
        self.seconds: list[float] = []
        self.started = 0.0

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """Stop the clock."""
        self.seconds.append(time.perf_counter() - self.started)


class CountingReward:
    """The reward rule as TRL calls it, once a step; keeps each step's token count and share of mixed groups."""

    __name__ = "hash_reward"

    def __init__(self, work: Work) -> None:
        """Start with no step seen."""
        self.work = work
        self.tokens: list[int] = []
        self.mixed: list[float] = []

    def __call__(self, completions: list[str], completion_ids: list[list[int]], **kwargs: Any) -> list[float]:
        """Return the reward of each completion."""
        rewards = [hash_reward(completion) for completion in completions]
        self.tokens.append(sum(len(ids) for ids in completion_ids))
        self.mixed.append(self.work.mixed_share(rewards))
        return rewards


def step_settings(options: argparse.Namespace, folder: str) -> GRPOConfig:
    """Return settings with one on-policy float32 update on each batch of rollouts."""
    work: Work = options.work
    return GRPOConfig(
        output_dir=folder,
        max_steps=work.steps,
        per_device_train_batch_size=options.micro_batch,
        gradient_accumulation_steps=work.prompts * work.rollouts // options.micro_batch,
        num_generations=work.rollouts,
        max_completion_length=work.tokens,
        generation_kwargs=None if work.natural else {"min_new_tokens": work.tokens},
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


def read_prompts(path: Path, work: Work) -> list[str]:
    """Return the prompts of all steps.

    Raises:
        SystemExit: the file holds fewer.
    """
    prompts = [json.loads(line) for line in path.read_text().splitlines()]
    wanted = work.steps * work.prompts
    if len(prompts) < wanted:
        raise SystemExit(f"{path} has {len(prompts)} prompts; {work.steps} steps take {wanted}")
    return prompts[:wanted]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy")
    parser.add_argument("prompts", type=Path)
    parser.add_argument("work", type=Work.of_text)
    parser.add_argument("--micro-batch", type=int, default=64, help="responses of one forward and backward pass")
    parser.add_argument("--cache", default=None, help="cache_implementation of generation; TRL's own by default")
    parser.add_argument("--attention", default="sdpa", help="attn_implementation of the model")
    options = parser.parse_args()
    options.micro_batch = min(options.micro_batch, options.work.prompts * options.work.rollouts)
    return options


def main() -> None:
    """Train for the steps asked for and print their figures."""
    options = arguments()
    clock, reward = StepClock(), CountingReward(options.work)
    prompts = Dataset.from_dict({"prompt": read_prompts(options.prompts, options.work)})
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
