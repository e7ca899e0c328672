"""Our side of `step_time.py`: whole GRPO steps on the CPU, rollouts by vLLM, rewards by a coin.

    python -m perf.training.our_side POLICY WORK

WORK is JSON text (`equal_work.py`). A step is everything from the end of the last to its own: weight sync, generation,
rewards, update. The last line printed is a JSON object: seconds, tokens and share of mixed groups by step.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from concurrent.futures import Future
from dataclasses import replace
from statistics import median
from typing import Any

from lightning.fabric.plugins.environments import TorchElasticEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy

from acereason.config.compose import compose
from acereason.config.schema import Config
from acereason.distributed.environment import claim_alone
from acereason.policy.module import PolicyModule
from acereason.problems.laptop import laptop_problems
from acereason.problems.problem import Problem
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum
from acereason.rollout.data import RolloutDataModule
from acereason.training.build import quiet
from acereason.verifiers.verifier import Verdict
from perf.training.equal_work import LEARNING_RATE, LEVELS, Work, hash_reward


class Coin:
    """Judge in place of the verifiers' pool."""

    def submit(self, problem: Problem, response: str) -> Future[Verdict]:
        """Return a verdict at once."""
        verdict: Future[Verdict] = Future()
        verdict.set_result(Verdict(hash_reward(response), "", "coin", 0.0))
        return verdict

    def close(self) -> None:
        """Do nothing: there is nothing to end."""


class FullLengthData(RolloutDataModule):
    """The data module, with an engine whose responses all have the longest length."""

    def setup(self, stage: str) -> None:
        """Start the engine and have it sample past the end token."""
        super().setup(stage)
        engine: Any = self.engines.engine
        generate = engine.generate
        engine.generate = lambda requests, sampling, *rest: generate(
            requests, replace(sampling, ignore_eos=True), *rest
        )


class StepClock(Callback):
    """What each step took and made."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.seconds: list[float] = []
        self.tokens: list[int] = []
        self.mixed: list[float] = []
        self.phases: list[dict[str, float]] = []

    def on_train_start(self, *_: object) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: RolloutBatch, _: int) -> None:
        """Stop it and start it again."""
        now = time.perf_counter()
        self.seconds.append(now - self.started)
        self.started = now
        self.tokens.append(sum(len(rollout.generation.token_ids) for rollout in batch.rollouts))
        self.mixed.append(self.work.mixed_share(batch.rewards.flatten().tolist()))
        times = {
            name.removeprefix("time/"): value for name, value in module.metrics.items() if name.startswith("time/")
        }
        self.phases.append({tag.removeprefix("time/"): value for tag, value in times.items()})


def settings(policy: str, work: Work) -> Config:
    """Return the laptop recipe with the sizes that both sides share."""
    return compose(
        [
            "recipe=laptop_math",
            "run.name=step_time",
            f"model.path={policy}",
            f"trainer.max_steps={work.steps}",
            f"curriculum.max_response_tokens={work.tokens}",
            f"curriculum.prompts_per_step={work.prompts}",
            f"curriculum.rollouts_per_prompt={work.rollouts}",
            f"curriculum.learning_rate={LEARNING_RATE}",
        ]
    )


def train(policy: str, work: Work) -> StepClock:
    """Train; return what the steps took."""
    config, clock = settings(policy, work), StepClock(work)
    curriculum = Curriculum.from_config(config)
    problems = {"problems": laptop_problems("math", "train", work.steps * work.prompts, LEVELS)}
    pool: Any = Coin()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            strategy=ModelParallelStrategy(data_parallel_size=1, tensor_parallel_size=1),
            plugins=TorchElasticEnvironment(),
            max_epochs=1,
            callbacks=[clock],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        data = RolloutDataModule if work.natural else FullLengthData
        trainer.fit(PolicyModule(config, curriculum), data(config, curriculum, problems, [], pool=pool))
    return clock


def main() -> None:
    """Run the steps and print the figures."""
    quiet()
    claim_alone()
    clock = train(sys.argv[1], Work.of_text(sys.argv[2]))
    phases = {name: round(median(phases[name] for phases in clock.phases), 4) for name in clock.phases[0]}
    figures = {"steps": clock.seconds, "tokens": clock.tokens, "mixed": clock.mixed}
    print(json.dumps({**figures, "with": f"medians {phases}"}))


if __name__ == "__main__":
    main()
