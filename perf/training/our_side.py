"""Our side of `step_time.py`: whole GRPO steps on the CPU, rollouts by vLLM, rewards by a coin.

    python benchmarks/our_step.py POLICY PROMPTS STEPS

PROMPTS holds one JSON string a line. A step is everything from the end of the last to its own: weight sync, generation,
rewards, update. The last line printed is a JSON object: seconds, tokens and share of mixed groups by step.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from hash_reward import LEARNING_RATE, PROMPTS_PER_STEP, RESPONSE_TOKENS, ROLLOUTS_PER_PROMPT, hash_reward, mixed_share
from lightning.fabric.plugins.environments import TorchElasticEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor

from acereason.config.compose import compose
from acereason.config.schema import Config
from acereason.distributed.environment import claim_alone
from acereason.engines.collect import Prompt
from acereason.engines.engine import Engine, Generation, Request, Sampling
from acereason.policy.module import PolicyModule
from acereason.problems.problem import Problem
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum
from acereason.rollout.data import RolloutDataModule
from acereason.training.build import quiet
from acereason.verifiers.verifier import Verdict


class FullLength:
    """An engine whose responses all have the longest length."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def generate(self, requests: Iterable[Request], sampling: Sampling, *rest: Any) -> Iterator[Generation]:
        """See `Engine.generate`."""
        return self.engine.generate(requests, replace(sampling, ignore_eos=True), *rest)

    def sync(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """See `Engine.sync`."""
        self.engine.sync(weights)

    def sleep(self) -> None:
        """See `Engine.sleep`."""
        self.engine.sleep()

    def close(self) -> None:
        """See `Engine.close`."""
        self.engine.close()


class Coin:
    """Stands where the verifiers' pool does."""

    def submit(self, problem: Problem, response: str) -> Future[Verdict]:
        """A verdict at once."""
        verdict: Future[Verdict] = Future()
        verdict.set_result(Verdict(hash_reward(response), "", "coin", 0.0))
        return verdict

    def close(self) -> None:
        """Nothing to end."""


class TimedData(RolloutDataModule):
    """The data module with prompts as they are given."""

    def setup(self, stage: str) -> None:
        """Takes each question as the whole prompt."""
        super().setup(stage)
        for problem in self.problems.values():
            ids = tuple(self.tokenizer.encode(problem.question, add_special_tokens=False))
            self.prompts[problem.id] = Prompt(problem, problem.question, ids)
        if not isinstance(self.engine, FullLength):
            assert self.engine is not None and self.engines is not None
            self.engine = self.engines.engine = FullLength(self.engine)


class StepClock(Callback):
    """Notes what each step took and made."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.tokens: list[int] = []
        self.mixed: list[float] = []
        self.phases: list[dict[str, float]] = []

    def on_train_start(self, *_: object) -> None:
        """Starts the clock."""
        self.started = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: RolloutBatch, _: int) -> None:
        """Stops it and starts it again."""
        now = time.perf_counter()
        self.seconds.append(now - self.started)
        self.started = now
        self.tokens.append(sum(len(rollout.generation.token_ids) for rollout in batch.rollouts))
        self.mixed.append(mixed_share(batch.rewards.flatten().tolist()))
        self.phases.append(batch.seconds)


def settings(policy: str, steps: int) -> Config:
    """The laptop recipe with the sizes that both sides share."""
    return compose(
        [
            "recipe=laptop_math",
            "run.name=step_time",
            f"model.path={policy}",
            f"trainer.max_steps={steps}",
            f"curriculum.max_response_tokens={RESPONSE_TOKENS}",
            f"curriculum.prompts_per_step={PROMPTS_PER_STEP}",
            f"curriculum.rollouts_per_prompt={ROLLOUTS_PER_PROMPT}",
            f"curriculum.learning_rate={LEARNING_RATE}",
        ]
    )


def main() -> None:
    """Runs the steps and prints the figures."""
    policy, prompts, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
    quiet()
    claim_alone()
    config = settings(policy, steps)
    with open(prompts) as lines:
        problems = [Problem(str(n), "math", json.loads(line)) for n, line in enumerate(lines)]
    curriculum = Curriculum.from_config(config.curriculum, "math")
    clock = StepClock()
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
        trainer.fit(PolicyModule(config, curriculum), TimedData(config, curriculum, problems, [], pool=pool))
    phases = {name: round(sorted(p[name] for p in clock.phases)[steps // 2], 4) for name in clock.phases[0]}
    figures = {"steps": clock.seconds, "tokens": clock.tokens, "mixed": clock.mixed, "with": f"medians {phases}"}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
