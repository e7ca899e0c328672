"""The data module: chooses prompts and turns them into judged rollouts of the policy as it is now."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import AutoTokenizer

from acereason import grpo
from acereason.config.schema import Config, EngineName
from acereason.distributed.collectives import gather, rank_and_world
from acereason.engines.collect import Phase, Prompt, check_lengths, make_prompt
from acereason.engines.engine import Engine, Sampling, never
from acereason.engines.queue import EngineRanks, Store, WorkQueue
from acereason.engines.rollout import rollout_seed
from acereason.engines.shared import SharedEngines
from acereason.errors import UserError
from acereason.evaluation.evaluate import HeldOutResults, evaluate
from acereason.problems.problem import Problem
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum
from acereason.rollout.draw import check_pool, choose_prompts
from acereason.verifiers.pool.pool import VerifierPool


class StepNumbers(Dataset[int]):
    """The rollout steps still to do. Nothing but numbers, so that a prefetched one can never be stale."""

    def __init__(self, steps: range) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> int:
        return self.steps[index]


class RolloutDataModule(LightningDataModule):
    """Owns the engine and the verifiers; makes a batch of rollouts for every step number.

    Rollouts are made in `on_before_batch_transfer`, which runs after the previous optimizer step, whatever is
    prefetched.

    Args:
        config: settings.
        curriculum: shared with the policy and the callbacks.
        problems: training problems of each source by its name.
        held_out: what evaluations ask, of all sources.
        engine, pool: what to use instead of starting them.
        store: of the process group, for the queue of work that engines share; None for one rank.
        stop_requested: whether this rank knows that the run was asked to leave.
        longest_response: longest response that the curriculum may ever ask for, tokens; what the engine is made for.

    Attributes:
        curriculum: what to draw and how to sample, read afresh at each step.
        problems: all training problems by id.
        sources: ids of the training problems of each source by its name.
        prompts: of training and held-out problems by id, once `setup` has run; draw from `problem_ids` instead.
        engine, pool, tokenizer, engines: there once `setup` has run.
        lengths: mean response length, tokens, of each problem when it was last trained on.
    """

    def __init__(
        self,
        config: Config,
        curriculum: Curriculum,
        problems: Mapping[str, list[Problem]],
        held_out: list[Problem],
        engine: Engine | None = None,
        pool: VerifierPool | None = None,
        store: Store | None = None,
        stop_requested: Callable[[], bool] = never,
        longest_response: int = 0,
    ) -> None:
        super().__init__()
        self.config = config
        self.curriculum = curriculum
        self.problems = {problem.id: problem for source in problems.values() for problem in source}
        self.sources = {name: [problem.id for problem in source] for name, source in problems.items()}
        self.held_out = held_out
        self.engine: Engine | None = engine
        self.pool: VerifierPool | None = pool
        self.tokenizer: Any = None
        self.engines: SharedEngines | None = None
        self.lengths: dict[str, float] = {}
        self.prompts: dict[str, Prompt] = {}
        self._store, self._stop_requested = store, stop_requested
        longest = (config.curriculum.max_response_tokens, config.evaluation.max_response_tokens, longest_response)
        self._longest_response = max(longest)
        self._synced_step: int | None = None
        self._checked_pool: tuple[list[str], str] | None = None

    def setup(self, stage: str) -> None:
        """Tokenises the prompts, starts the verifiers and the engine, once."""
        if self.tokenizer is not None:
            return
        self.tokenizer = AutoTokenizer.from_pretrained(self.config.model.path)
        everything = [*self.problems.values(), *self.held_out]
        self.prompts = {problem.id: make_prompt(problem, self.tokenizer) for problem in everything}
        self._chosen(self.curriculum.step)
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
        context = settings.max_model_len or model_context(path)
        check_lengths(list(self.prompts.values()), self._longest_response, context)
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        longest_prompt = max(len(prompt.ids) for prompt in self.prompts.values())
        if settings.name == EngineName.transformers:
            from acereason.engines.transformers_engine import TransformersEngine

            self.curriculum.hold_at_most(context - longest_prompt)
            return TransformersEngine(path, settings, device)
        from acereason.engines.vllm_engine import VLLMEngine

        length = settings.max_model_len or min(context, longest_prompt + self._longest_response)
        self.curriculum.hold_at_most(length - longest_prompt)
        return VLLMEngine(path, settings, length, device, engine_ranks.summed)

    def train_dataloader(self) -> DataLoader[int]:
        """Step numbers, from the next step to the last."""
        # One number even when all steps are done: Lightning leaves out a fit without batches, and with it the final
        # evaluation and export; `Checkpoints` ends such a run before its first batch.
        steps = range(self.curriculum.step, max(self.config.trainer.max_steps, self.curriculum.step + 1))
        return DataLoader(StepNumbers(steps), batch_size=None)

    def on_before_batch_transfer(self, batch: int, dataloader_idx: int) -> RolloutBatch:
        """The rollouts of the step that is next, sampled with the weights as they are now."""
        self.start_rollouts()
        return self.make_batch(self.curriculum.step)

    def start_rollouts(self) -> None:
        """Calls `on_rollouts_start` of the callbacks, in their order."""
        for callback in self.trainer.callbacks if self.trainer else []:  # type: ignore[attr-defined]
            if hook := getattr(callback, "on_rollouts_start", None):
                hook(self.trainer, self.trainer.lightning_module)  # type: ignore[union-attr]

    def make_batch(self, step: int) -> RolloutBatch:
        """Syncs the engine, draws the step's prompts, samples, verifies, and computes advantages.

        Raises:
            StopRequested: a rank was asked to leave before the last response was there.
        """
        assert self.engine is not None and self.engines is not None
        curriculum, started = self.curriculum, time.perf_counter()
        self.sync_engine()
        synced = time.perf_counter()
        ids, epoch, ends_epoch = self._chosen(step)
        phase = Phase(
            [self.prompts[problem_id] for problem_id in ids],
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
            epoch,
            ends_epoch,
            len(self.pool_ids()),
        )

    def _chosen(self, step: int) -> tuple[list[str], int, bool]:
        """See `choose_prompts`; the problems are those of all ranks together."""
        curriculum, (_, world) = self.curriculum, rank_and_world()
        if curriculum.prompts_per_step % world:
            prompts = f"curriculum.prompts_per_step={curriculum.prompts_per_step}"
            raise UserError(f"{prompts}: does not divide over {world} ranks")
        ids, count = self.pool_ids(), curriculum.prompts_per_step
        return choose_prompts(ids, self.config.seed, step, count, curriculum.pool_since)

    def pool_ids(self) -> list[str]:
        """Ids of the problems that prompts are drawn from now.

        Raises:
            UserError: a callback's pool has one that cannot be trained on, or one twice.
        """
        pool, domain = self.curriculum.pool, self.curriculum.domain
        if pool is None:
            return self.problem_ids(domain)
        if self._checked_pool != (pool, domain):
            check_pool(self.curriculum, self.problems, self.held_out)
            self._checked_pool = list(pool), domain
        return list(pool)

    def problem_ids(self, domain: str, source: str = "", levels: Sequence[int] | None = None) -> list[str]:
        """Ids of training problems, in the order of their sources.

        Args:
            domain: `math` or `code`.
            source: name of a source; empty for all.
            levels: lowest and highest; None for all, also those without one.
        """
        ids = self.sources[source] if source else list(self.problems)
        chosen = [self.problems[problem_id] for problem_id in ids if self.problems[problem_id].domain == domain]
        if levels is not None:
            low, high = levels
            chosen = [problem for problem in chosen if problem.level is not None and low <= problem.level <= high]
        return [problem.id for problem in chosen]

    def sync_engine(self) -> None:
        """Gives the engine the policy's weights, unless it has those of this step already."""
        assert self.engine is not None and self.trainer is not None
        if self._synced_step != self.curriculum.step:
            self.engine.sync(self._weights())
            self._synced_step = self.curriculum.step

    def _weights(self) -> Iterable[tuple[str, Tensor]]:
        weights: Iterator[tuple[str, Tensor]] = self.trainer.lightning_module.weights()  # type: ignore[union-attr, operator]
        return weights

    def validate(self) -> HeldOutResults | None:
        """Held-out evaluation of the policy as it is now, each domain by itself; None when nothing is held out."""
        assert self.engines is not None
        if not self.held_out:
            return None
        self.sync_engine()
        settings = self.config.evaluation
        # One limit for the whole run: else a longer one alone would look like a better policy.
        length = settings.max_response_tokens or self._longest_response
        domains = dict.fromkeys(problem.domain for problem in self.held_out)
        return HeldOutResults(
            {
                domain: evaluate(
                    self.engines,
                    [self.prompts[problem.id] for problem in self.held_out if problem.domain == domain],
                    Sampling(length, settings.temperature, settings.top_p),
                    samples=settings.samples_per_problem,
                    seed=self.config.seed,
                )
                for domain in domains
            }
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


def data_of(trainer: Trainer) -> RolloutDataModule:
    """Return the data module of a run.

    Raises:
        TypeError: the trainer has another one, or none.
    """
    data = getattr(trainer, "datamodule", None)
    if not isinstance(data, RolloutDataModule):
        raise TypeError(f"trainer.datamodule is {type(data).__name__}, not a RolloutDataModule")
    return data


def model_context(path: str) -> int:
    """Longest sequence, prompt and response, that a model's positions allow."""
    from transformers import AutoConfig

    return int(AutoConfig.from_pretrained(path).max_position_embeddings)


def shuffled(rewards: Tensor, seed: int, step: int) -> Tensor:
    """The same rewards `[groups, rollouts]` at random places: a control that teaches nothing."""
    flat = rewards.flatten().tolist()
    random.Random(f"shuffle/{seed}/{step}").shuffle(flat)
    return torch.tensor(flat).view_as(rewards)
