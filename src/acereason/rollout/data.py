"""The data module: chooses prompts and turns them into judged rollouts of the policy as it is now."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import AutoTokenizer

from acereason import grpo
from acereason.config import Config, EngineName
from acereason.curriculum import Curriculum
from acereason.errors import UserError
from acereason.evaluation.evaluate import EvaluationResult, evaluate
from acereason.problems.problem import Problem
from acereason.ranks.collectives import gather
from acereason.ranks.queue import EngineRanks, Store, WorkQueue
from acereason.rewards.pool import VerifierPool
from acereason.rollout.collect import Phase, Prompt, check_lengths, make_prompt
from acereason.rollout.engine import Engine, Sampling, never
from acereason.rollout.rollout import RolloutBatch, rollout_seed
from acereason.rollout.shared import SharedEngines


class StepNumbers(Dataset[int]):
    """The rollout steps still to do. Nothing but numbers, so that a prefetched one can never be stale."""

    def __init__(self, steps: range) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> int:
        return self.steps[index]


def choose_prompts(ids: list[str], seed: int, step: int, count: int) -> list[str]:
    """The problems of one rollout step: epoch after epoch, each in a fresh order, never one twice in a step.

    A pure function of its arguments, so that a resumed run draws what the uninterrupted one did.

    Raises:
        UserError: fewer problems than the step takes.
    """
    if len(ids) < count:
        raise UserError(
            f"curriculum.prompts_per_step={count} is more than the {len(ids)} problems to draw from: lower it, "
            "give more problems, or filter fewer out"
        )
    steps_per_epoch = len(ids) // count
    epoch, position = divmod(step, steps_per_epoch)

    def place(problem_id: str) -> bytes:
        return hashlib.blake2b(f"{seed}/{epoch}/{problem_id}".encode(), digest_size=8).digest()

    return sorted(ids, key=place)[position * count : (position + 1) * count]


class RolloutDataModule(LightningDataModule):
    """Owns the engine and the verifiers; makes a batch of rollouts for every step number.

    Rollouts are made in `on_before_batch_transfer`, which runs after the previous optimizer step, whatever is
    prefetched.

    Args:
        store: of the process group, for the queue of work that engines share; None for one rank.
        stop_requested: whether this rank knows that the run was asked to leave.

    Attributes:
        curriculum: what to draw and how to sample, read afresh at each step.
        engine, pool, tokenizer, engines: there once `setup` has run.
        lengths: mean response length, tokens, of each problem when it was last trained on.
    """

    def __init__(
        self,
        config: Config,
        curriculum: Curriculum,
        problems: list[Problem],
        held_out: list[Problem],
        engine: Engine | None = None,
        pool: VerifierPool | None = None,
        store: Store | None = None,
        stop_requested: Callable[[], bool] = never,
    ) -> None:
        super().__init__()
        self.config = config
        self.curriculum = curriculum
        self.problems = {problem.id: problem for problem in problems}
        self.held_out = held_out
        self.engine: Engine | None = engine
        self.pool: VerifierPool | None = pool
        self.tokenizer: Any = None
        self.engines: SharedEngines | None = None
        self.lengths: dict[str, float] = {}
        self._store, self._stop_requested = store, stop_requested
        self._prompts: dict[str, Prompt] = {}
        self._synced_step: int | None = None

    def setup(self, stage: str) -> None:
        """Tokenises the prompts, starts the verifiers and the engine, once."""
        if self.tokenizer is not None:
            return
        self.tokenizer = AutoTokenizer.from_pretrained(self.config.model.path)
        everything = [*self.problems.values(), *self.held_out]
        self._prompts = {problem.id: make_prompt(problem, self.tokenizer) for problem in everything}
        choose_prompts(list(self.problems), self.config.seed, 0, self.curriculum.prompts_per_step)
        rewards = self.config.rewards
        if self.pool is None:
            domains = tuple(dict.fromkeys(problem.domain for problem in everything))
            limits = (rewards.workers, rewards.timeout_seconds, rewards.memory_mib)
            self.pool = VerifierPool(*limits, domains, self.config.sandbox)
        settings = self.config.engine
        engine_ranks = EngineRanks(settings.tensor_parallel_size)
        if self.engine is None:
            self.engine = self._start_engine(engine_ranks)
        queue = WorkQueue(engine_ranks, self._store)
        self.engines = SharedEngines(
            self.engine,
            engine_ranks,
            queue,
            self.pool.submit,
            self.tokenizer,
            settings.max_num_seqs,
            settings.work,
            self._stop_requested,
        )
        self.engine.sleep()

    def _start_engine(self, engine_ranks: EngineRanks) -> Engine:
        settings, path = self.config.engine, self.config.model.path
        longest_response = max(self.curriculum.max_response_tokens, self.config.evaluation.max_response_tokens)
        context = settings.max_model_len or model_context(path)
        check_lengths(list(self._prompts.values()), longest_response, context)
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if settings.name == EngineName.transformers:
            from acereason.rollout.transformers_engine import TransformersEngine

            return TransformersEngine(path, settings, device)
        from acereason.rollout.vllm_engine import VLLMEngine

        longest_prompt = max(len(prompt.ids) for prompt in self._prompts.values())
        length = settings.max_model_len or min(context, longest_prompt + longest_response)
        return VLLMEngine(path, settings, length, device, engine_ranks.summed)

    def train_dataloader(self) -> DataLoader[int]:
        """Step numbers, from the next step to the last."""
        # One number even when all steps are done: Lightning leaves out a fit without batches, and with it the final
        # evaluation and export; `Checkpoints` ends such a run before its first batch.
        steps = range(self.curriculum.step, max(self.config.trainer.max_steps, self.curriculum.step + 1))
        return DataLoader(StepNumbers(steps), batch_size=None)

    def on_before_batch_transfer(self, batch: int, dataloader_idx: int) -> RolloutBatch:
        """The rollouts of the step that is next, sampled with the weights as they are now."""
        return self.make_batch(self.curriculum.step)

    def make_batch(self, step: int) -> RolloutBatch:
        """Syncs the engine, draws the step's prompts, samples, verifies, and computes advantages.

        Raises:
            StopRequested: a rank was asked to leave before the last response was there.
        """
        assert self.engine is not None and self.engines is not None
        curriculum, started = self.curriculum, time.perf_counter()
        self.sync_engine()
        synced = time.perf_counter()
        ids = self._chosen(step)
        phase = Phase(
            [self._prompts[problem_id] for problem_id in ids],
            curriculum.rollouts_per_prompt,
            Sampling(curriculum.max_response_tokens, curriculum.temperature, curriculum.top_p),
            lambda problem, sample: rollout_seed(self.config.seed, step, problem.id, sample),
        )
        collected = self.engines.collect(phase, [self.lengths.get(problem_id, inf) for problem_id in ids])
        self.engine.sleep()
        self.lengths |= dict(zip(ids, collected.lengths, strict=True))
        rewards = torch.tensor([[float(rollout.verdict.reward) for rollout in group] for group in collected.groups])
        if self.config.rewards.shuffle:
            everyone = shuffled(torch.cat(gather(rewards)), self.config.seed, step)
            rewards = everyone[collected.first : collected.first + len(rewards)]
        advantages = grpo.advantages(rewards, self.config.grpo.advantage)
        seconds = {"sync": max(gather(synced - started)), **collected.seconds}
        return RolloutBatch(
            step,
            collected.groups,
            rewards,
            advantages,
            curriculum.temperature,
            seconds,
            collected.first,
            len(ids),
            collected.idle,
        )

    def _chosen(self, step: int) -> list[str]:
        """The problems of a step, over all ranks."""
        curriculum = self.curriculum
        ids = list(self.problems) if curriculum.pool is None else curriculum.pool
        return choose_prompts(ids, self.config.seed, step, curriculum.prompts_per_step)

    def sync_engine(self) -> None:
        """Gives the engine the policy's weights, unless it has those of this step already."""
        assert self.engine is not None and self.trainer is not None
        if self._synced_step != self.curriculum.step:
            self.engine.sync(self._weights())
            self._synced_step = self.curriculum.step

    def _weights(self) -> Iterable[tuple[str, Tensor]]:
        weights: Iterator[tuple[str, Tensor]] = self.trainer.lightning_module.weights()  # type: ignore[union-attr, operator]
        return weights

    def validate(self) -> EvaluationResult | None:
        """Held-out evaluation of the policy as it is now; None when nothing is held out."""
        assert self.engines is not None
        if not self.held_out:
            return None
        self.sync_engine()
        settings = self.config.evaluation
        length = settings.max_response_tokens or self.curriculum.max_response_tokens
        return evaluate(
            self.engines,
            [self._prompts[problem.id] for problem in self.held_out],
            Sampling(length, settings.temperature, settings.top_p),
            samples=settings.samples_per_problem,
            seed=self.config.seed,
        )

    def teardown(self, stage: str) -> None:
        """Ends the verifiers and frees the engine."""
        if self.pool is not None:
            self.pool.close()
        if self.engine is not None:
            self.engine.close()
        self.pool = self.engine = self.engines = None

    def state_dict(self) -> dict[str, Any]:
        """What the next epoch expects of each problem; the same on all ranks."""
        return {"lengths": self.lengths}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the expectations of a checkpoint."""
        self.lengths = dict(state_dict["lengths"])


def model_context(path: str) -> int:
    """Longest sequence, prompt and response, that a model's positions allow."""
    from transformers import AutoConfig

    return int(AutoConfig.from_pretrained(path).max_position_embeddings)


def shuffled(rewards: Tensor, seed: int, step: int) -> Tensor:
    """The same rewards `[groups, rollouts]` at random places: a control that teaches nothing."""
    flat = rewards.flatten().tolist()
    random.Random(f"shuffle/{seed}/{step}").shuffle(flat)
    return torch.tensor(flat).view_as(rewards)
