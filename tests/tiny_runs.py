"""Small real runs for the tests: the laptop policy under Lightning and FSDP2, with the test's own engine and judge."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from transformers import AutoTokenizer

from acereason.config.compose import compose
from acereason.config.schema import Config, DType, EngineConfig
from acereason.curricula.user_callbacks import longest_response, user_callbacks
from acereason.distributed.environment import claim_alone
from acereason.engines.collect import Submit
from acereason.engines.engine import Engine, Generation
from acereason.engines.prompt import Prompt, make_prompt
from acereason.engines.queue import EngineRanks, WorkQueue
from acereason.engines.rollout import Rollout
from acereason.engines.scripted_engine import ScriptedEngine
from acereason.engines.shared import SharedEngines
from acereason.engines.transformers_engine import TransformersEngine
from acereason.policy.module import PolicyModule
from acereason.problems.laptop import laptop_problems
from acereason.problems.problem import Problem
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum
from acereason.rollout.data import RolloutDataModule
from acereason.training.build import build_trainer, quiet
from acereason.training.checkpoint_files import find_checkpoint
from acereason.training.checkpoints import Checkpoints
from acereason.training.held_out import HeldOutEvaluation
from acereason.training.writers import RolloutWriter
from acereason.verifiers.verifier import Verdict

MODEL = "models/laptop"
CPU = torch.device("cpu")
Judge = Callable[[Problem, str], float]


@cache
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(MODEL)


@cache
def problems(count: int = 8) -> list[Problem]:
    return laptop_problems("math", "train", count, (2, 3))


@cache
def prompts(count: int = 8) -> list[Prompt]:
    return [make_prompt(problem, tokenizer()) for problem in problems(count)]


def transformers_engine(max_num_seqs: int = 64, dtype: DType = DType.float32) -> TransformersEngine:
    return TransformersEngine(MODEL, EngineConfig(dtype=dtype, max_num_seqs=max_num_seqs), CPU)


def alone(engine: Engine, submit: Submit) -> SharedEngines:
    """Return the engines of a run with one engine on one rank."""
    ranks = EngineRanks()
    return SharedEngines(engine, ranks, WorkQueue(ranks, None), submit, tokenizer(), 64)


def starts_with_a(problem: Problem, response: str) -> float:
    """Return a toy reward that the laptop policy earns in nearly half of its responses, with their first token."""
    return float(response.startswith("a"))


class JudgeHere:
    """A judge that calls a plain function, at once and in this process, for rewards that no verifier gives."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.closed = False

    def submit(self, problem: Problem, response: str) -> "Future[Verdict]":
        reward = float(self.judge(problem, response))
        future: Future[Verdict] = Future()
        future.set_result(Verdict(reward, response[:1], "correct" if reward else "wrong", 0.0))
        return future

    def close(self) -> None:
        self.closed = True


def rollout(
    reward: float = 0.0,
    response_ids: Sequence[int] = (5, 6, 0),
    *,
    logprobs: Sequence[float] | None = None,
    truncated: bool = False,
    reason: str = "",
    sample: int = 0,
    prompt: Prompt | None = None,
) -> Rollout:
    """Return a rollout as `collect` would make it; log-probs are -1 each unless given."""
    prompt = prompt or prompts(1)[0]
    response = tokenizer().decode(response_ids, skip_special_tokens=True)
    generation = Generation(
        sample, tuple(response_ids), tuple(logprobs or [-1.0] * len(response_ids)), truncated=truncated
    )
    verdict = Verdict(reward, response[:1], reason or ("correct" if reward else "wrong"), 0.0)
    return Rollout(prompt.problem, sample, prompt.ids, prompt.text, generation, response, verdict)


def rollout_batch(
    groups: list[list[Rollout]], advantages: torch.Tensor | None = None, step: int = 0, temperature: float = 1.0
) -> RolloutBatch:
    rewards = torch.tensor([[r.verdict.reward for r in group] for group in groups])
    if advantages is None:
        advantages = rewards - rewards.mean(dim=1, keepdim=True)
    return RolloutBatch(step=step, groups=groups, rewards=rewards, advantages=advantages, temperature=temperature)


def tiny_config(root: Path, *overrides: str) -> Config:
    """Return the math recipe with 2 prompts × 4 rollouts of at most 2 tokens, and weights that only rewards move."""
    return compose(
        [
            "recipe=laptop_math",
            "engine.name=transformers",
            f"run.root={root}",
            "run.name=tiny",
            "trainer.max_steps=2",
            "curriculum.max_response_tokens=2",
            "curriculum.prompts_per_step=2",
            "curriculum.rollouts_per_prompt=4",
            "curriculum.learning_rate=1e-3",
            "optimizer.weight_decay=0",
            "evaluation.every_n_steps=0",
            "evaluation.samples_per_problem=2",
            "log.progress_bar=false",
            *overrides,
        ]
    )


@dataclass
class Recorder(Callback):
    """A callback that keeps each step's batch, its metrics, and the learning rate that the optimizer used."""

    batches: list[RolloutBatch] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.batches.append(batch)
        self.metrics.append({name: value.item() for name, value in trainer.callback_metrics.items()})
        self.learning_rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def of(self, name: str) -> list[float]:
        return [metrics[name] for metrics in self.metrics]


class Then(Callback):
    """A callback that calls a function after every rollout step."""

    def __init__(self, function: Callable[[Trainer, Any], None]) -> None:
        self.function = function

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: object) -> None:
        self.function(trainer, module)


@dataclass
class Fitted:
    """What remains of a run."""

    config: Config
    policy: PolicyModule
    trainer: Trainer
    evaluation: HeldOutEvaluation
    recorder: Recorder
    folder: Path

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in self.policy.weights()}


def fit(
    config: Config,
    *,
    engine: Engine | None = None,
    judge: Judge = starts_with_a,
    callbacks: Sequence[Callback] = (),
    whole: bool = False,
) -> Fitted:
    """Train as `training/train.py` does, in this process; `whole` keeps evaluation, rollout files and checkpoints."""
    quiet()
    claim_alone()
    evaluation = HeldOutEvaluation(config.evaluation.every_n_steps)
    own = user_callbacks(config)
    trainer = build_trainer(config, evaluation, own=own)
    ours = trainer.callbacks
    if not whole:
        ours = [c for c in ours if not isinstance(c, HeldOutEvaluation | RolloutWriter | Checkpoints)]
    recorder = Recorder()
    trainer.callbacks = [*callbacks, *ours, recorder]
    curriculum = Curriculum.from_config(config)
    policy = PolicyModule(config, curriculum)
    engine = engine or transformers_engine(dtype=config.engine.dtype)
    if isinstance(getattr(engine, "engine", engine), ScriptedEngine):
        config.rollout.max_gap = math.inf  # its log-probs are made up
    longest = longest_response(config, own)
    sources = {"problems": problems(8)}
    data = RolloutDataModule(
        config, curriculum, sources, problems(12)[8:], engine, JudgeHere(judge), longest_response=longest
    )
    folder = config.run.folder
    trainer.fit(policy, data, ckpt_path=find_checkpoint(config.ckpt, folder / "checkpoints"), weights_only=False)
    return Fitted(config, policy, trainer, evaluation, recorder, folder)
