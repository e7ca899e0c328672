"""The data module: it chooses prompts and turns them into judged rollouts of the current policy."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from math import inf
from typing import Any, Protocol, cast

import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from acereason import grpo
from acereason.config.schema import Config
from acereason.distributed.collectives import gather, rank_and_world
from acereason.engines.collect import SamplingJob
from acereason.engines.engine import Engine, Sampling, never
from acereason.engines.prompt import Prompt
from acereason.engines.queue import Store
from acereason.engines.rollout import rollout_seed
from acereason.engines.session import Session, open_session
from acereason.engines.shared import SharedEngines
from acereason.errors import UserError
from acereason.evaluation.evaluate import FOLDER, HeldOutResults, evaluate, evaluation_key
from acereason.problems.problem import Problem
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum
from acereason.rollout.draw import check_pool, choose_prompts
from acereason.verifiers.pool.pool import VerifierPool


class StepNumbers(Dataset[int]):
    """The remaining rollout steps: only their numbers, so that a prefetched one can never be stale."""

    def __init__(self, steps: range) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> int:
        return self.steps[index]


class Policy(Protocol):
    """The part of the policy that the data module needs."""

    def weights(self, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
        """Yield (Hugging Face name, whole tensor of `dtype`); a collective: every rank has to iterate over all."""
        ...


class RolloutDataModule(LightningDataModule):
    """A session of engine and verifiers that has the policy's weights, and makes a batch of rollouts for each step.

    Rollouts are made in `on_before_batch_transfer`, which runs after the previous optimizer step even if step numbers
    are prefetched.

    Args:
        config: settings.
        curriculum: shared with the policy and the callbacks.
        problems: training problems of each source by its name.
        held_out: problems of the evaluations, from all sources.
        engine, pool: used instead of new ones.
        store: of the process group, for the queue of work that engines share; None for one rank.
        stop_requested: returns whether this rank was asked to stop the run.
        longest_response: longest response that the curriculum may ever ask for, tokens; the engine is sized for it.

    Attributes:
        curriculum: what to draw and how to sample, read afresh at each step.
        problems: all training problems by id.
        sources: ids of the training problems of each source by its name.
        session: engine, verifiers, tokenizer and prompts; None until `setup` has run, and after `teardown`.
        prompts: of training and held-out problems by id, once `setup` has run; draw from `problem_ids` instead.
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
        self.session: Session | None = None
        self.lengths: dict[str, float] = {}
        self.prompts: dict[str, Prompt] = {}
        self._engine, self._pool = engine, pool
        self._store, self._stop_requested = store, stop_requested
        longest = (config.curriculum.max_response_tokens, config.evaluation.max_response_tokens, longest_response)
        self._longest_response = max(longest)
        self._open = ExitStack()
        self._synced_step: int | None = None
        self._checked_pool: tuple[list[str], str] | None = None

    def setup(self, stage: str) -> None:
        """Open the session, once: prompts as tokens, verifiers, engine."""
        if self.session is not None:
            return
        self._choose(self.curriculum.step)
        self.session = self._open.enter_context(
            open_session(
                self.config,
                [*self.problems.values(), *self.held_out],
                longest_response=self._longest_response,
                device=self.trainer.strategy.root_device if self.trainer else None,
                store=self._store,
                stop_requested=self._stop_requested,
                engine=self._engine,
                pool=self._pool,
            )
        )
        self.prompts = self.session.prompts
        self.curriculum.hold_at_most(self.session.longest_response)
        self.session.engine.sleep()

    @property
    def engines(self) -> SharedEngines:
        """All engines of the run as one; available once `setup` has run."""
        assert self.session is not None, "setup comes first"
        return self.session.engines

    def train_dataloader(self) -> DataLoader[int]:
        """Return step numbers, from the next step to the last."""
        # One number even if all steps are done: Lightning skips a fit without batches, and with it the final evaluation
        # and export; `Checkpoints` ends such a run before its first batch.
        steps = range(self.curriculum.step, max(self.config.trainer.max_steps, self.curriculum.step + 1))
        return DataLoader(StepNumbers(steps), batch_size=None)

    def on_before_batch_transfer(self, batch: int, dataloader_idx: int) -> RolloutBatch:
        """Return the rollouts of the next step, sampled with the weights as they are now."""
        self.start_rollouts()
        return self.make_batch(self.curriculum.step)

    def start_rollouts(self) -> None:
        """Call `on_rollouts_start` of the callbacks, in their order."""
        for callback in self.trainer.callbacks if self.trainer else []:  # type: ignore[attr-defined]
            if hook := getattr(callback, "on_rollouts_start", None):
                hook(self.trainer, self.trainer.lightning_module)  # type: ignore[union-attr]

    def make_batch(self, step: int) -> RolloutBatch:
        """Sync the engine, draw the step's prompts, sample, verify, and compute advantages.

        Raises:
            StopRequested: a rank was asked to stop before the last response was finished.
        """
        curriculum, started = self.curriculum, time.perf_counter()
        self.sync_engine()
        synced = time.perf_counter()
        ids, epoch, ends_epoch = self._choose(step)
        job = SamplingJob(
            [self.prompts[problem_id] for problem_id in ids],
            curriculum.rollouts_per_prompt,
            Sampling(curriculum.max_response_tokens, curriculum.temperature, curriculum.top_p),
            lambda problem, sample: rollout_seed(self.config.seed, step, problem.id, sample),
        )
        collected = self.engines.collect(job, [self.lengths.get(problem_id, inf) for problem_id in ids])
        self.engines.engine.sleep()
        self._synced_step = None  # a sleeping engine may drop its weights
        self.lengths |= dict(zip(ids, collected.lengths, strict=True))
        rewards = torch.tensor([[float(rollout.verdict.reward) for rollout in group] for group in collected.groups])
        if self.config.rewards.shuffle:
            everyone = shuffled(torch.cat(gather(rewards)), self.config.seed, step)
            rewards = everyone[collected.first : collected.first + len(rewards)]
        return RolloutBatch(
            step=step,
            groups=collected.groups,
            rewards=rewards,
            advantages=grpo.advantages(rewards, self.config.grpo.advantage),
            temperature=curriculum.temperature,
            seconds={"sync": max(gather(synced - started)), **collected.seconds},
            first=collected.first,
            total_groups=len(ids),
            idle=collected.idle,
            epoch=epoch,
            ends_epoch=ends_epoch,
            pool_size=len(self.pool_ids()),
        )

    def _choose(self, step: int) -> tuple[list[str], int, bool]:
        """Return the result of `choose_prompts` for all ranks together."""
        curriculum, (_, world) = self.curriculum, rank_and_world()
        if curriculum.prompts_per_step % world:
            prompts = f"curriculum.prompts_per_step={curriculum.prompts_per_step}"
            raise UserError(f"{prompts}: is not a multiple of the {world} ranks")
        ids, count = self.pool_ids(), curriculum.prompts_per_step
        return choose_prompts(ids, self.config.seed, step, count, curriculum.pool_since)

    def pool_ids(self) -> list[str]:
        """Return the ids of the problems that prompts are now drawn from.

        Raises:
            UserError: a callback's pool has an id that cannot be trained on, or the same id twice.
        """
        pool, domain = self.curriculum.pool, self.curriculum.domain
        if pool is None:
            return self.problem_ids(domain)
        if self._checked_pool != (pool, domain):
            check_pool(self.curriculum, self.problems, self.held_out)
            self._checked_pool = list(pool), domain
        return list(pool)

    def problem_ids(self, domain: str, source: str = "", levels: Sequence[int] | None = None) -> list[str]:
        """Return ids of training problems, in the order of their sources.

        Args:
            domain: `math` or `code`.
            source: name of a source; empty for all.
            levels: lowest and highest; None for all problems, also those without a level.
        """
        ids = self.sources[source] if source else list(self.problems)
        chosen = [self.problems[problem_id] for problem_id in ids if self.problems[problem_id].domain == domain]
        if levels is not None:
            low, high = levels
            chosen = [problem for problem in chosen if problem.level is not None and low <= problem.level <= high]
        return [problem.id for problem in chosen]

    def sync_engine(self) -> None:
        """Give the engine the policy's weights, unless it already has those of this step."""
        if self._synced_step != self.curriculum.step:
            self.engines.engine.sync(self._policy.weights(getattr(torch, self.config.engine.dtype.value)))
            self._synced_step = self.curriculum.step

    @property
    def _policy(self) -> Policy:
        assert self.trainer is not None
        return cast(Policy, self.trainer.lightning_module)

    def decided_by(self, ids: Sequence[str]) -> str:
        """Return what now decides the responses to some problems and their verdicts, besides how they are sampled."""
        assert self.session is not None, "setup comes first"
        return self.session.decided_by(ids, self.curriculum.step)

    def validate(self) -> HeldOutResults | None:
        """Evaluate the current policy on the held-out problems; return None if nothing is held out.

        The responses go to the run's `evaluations` folder.

        Raises:
            StopRequested: a rank was asked to stop; judged responses stay on disk.
        """
        if not self.held_out:
            return None
        self.sync_engine()
        settings, ids = self.config.evaluation, [problem.id for problem in self.held_out]
        # One limit for the whole run: otherwise a longer limit alone would look like a better policy.
        length = settings.max_response_tokens or self._longest_response
        sampling, samples = Sampling(length, settings.temperature, settings.top_p), settings.samples_per_problem
        key = evaluation_key(self.config.seed, self.decided_by(ids))
        table = self.config.run.folder / FOLDER / f"step-{self.curriculum.step:06d}.parquet"
        prompts, keep_texts = [self.prompts[problem_id] for problem_id in ids], self.config.log.rollouts
        return evaluate(self.engines, prompts, sampling, samples=samples, key=key, table=table, keep_texts=keep_texts)

    def teardown(self, stage: str) -> None:
        """Close the session: end the verifiers and free the engine."""
        self._open.close()
        self.session = None

    def state_dict(self) -> dict[str, Any]:
        """Return the response lengths that the next epoch expects; the same on all ranks."""
        return {"lengths": self.lengths}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the expected lengths of a checkpoint."""
        self.lengths = dict(state_dict["lengths"])


def data_of(trainer: Trainer) -> RolloutDataModule:
    """Return the data module of a run.

    Raises:
        TypeError: the trainer has another data module, or none.
    """
    data = getattr(trainer, "datamodule", None)
    if not isinstance(data, RolloutDataModule):
        raise TypeError(f"trainer.datamodule is {type(data).__name__}, not a RolloutDataModule")
    return data


def shuffled(rewards: Tensor, seed: int, step: int) -> Tensor:
    """Return the same rewards `[groups, rollouts]` in random places: a control that teaches nothing."""
    flat = rewards.flatten().tolist()
    random.Random(f"shuffle/{seed}/{step}").shuffle(flat)
    return torch.tensor(flat).view_as(rewards)
