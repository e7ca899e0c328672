"""One sampling job over all engines: who samples which response, and where the rollouts belong afterwards."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

from acereason.config.schema import Work
from acereason.distributed.collectives import exchange, gather, rank_and_world, share
from acereason.engines.collect import Collected, Judged, SamplingJob, Submit, collect
from acereason.engines.engine import Engine, never
from acereason.engines.queue import EngineRanks, WorkQueue
from acereason.engines.rollout import Rollout
from acereason.errors import StopRequested
from acereason.problems.problem import Problem
from acereason.verifiers.verifier import Verdict


@dataclass(frozen=True)
class SharedRollouts:
    """The rollouts of a job on one rank.

    Attributes:
        groups: this rank's own, the prompts numbered `first` and on. Who owns what depends on the numbers alone, never
            on who generated it, so that a repeated run repeats it.
        first: number of the first of them.
        lengths: mean response length of every prompt of the job, tokens, on all ranks.
        seconds: `generate` and `verify_exposed`, of the slowest engine.
        idle: share of the job's time that engines spent waiting for the slowest, mean over engines.
    """

    groups: list[list[Rollout]]
    first: int
    lengths: list[float]
    seconds: dict[str, float]
    idle: float


class SharedEngines:
    """All engines of a run as one; all ranks call every method together.

    Args:
        engine: this rank's, or this rank's part of it.
        ranks, queue: how engines lie over the ranks and share prompts.
        submit, tokenizer: see `collect`.
        max_num_seqs: responses that an engine generates at the same time.
        work: how they share what there is to sample.
        stop_requested: whether this rank knows that the run was asked to leave.
    """

    def __init__(
        self,
        engine: Engine,
        ranks: EngineRanks,
        queue: WorkQueue,
        submit: Submit,
        tokenizer: Any,
        max_num_seqs: int,
        work: Work = Work.queue,
        stop_requested: Callable[[], bool] = never,
    ) -> None:
        self.engine, self.ranks, self.queue = engine, ranks, queue
        self.submit, self.tokenizer = submit, tokenizer
        self.max_num_seqs, self.work = max_num_seqs, work
        self.stop_requested = stop_requested

    def collect(self, job: SamplingJob, expected_lengths: Sequence[float] | None = None) -> SharedRollouts:
        """Have all prompts of a job answered and judged, and send each rank the rollouts that it owns.

        Args:
            job: prompts and sampling.
            expected_lengths: of the responses to each prompt, tokens; infinite where nothing is known.

        Raises:
            StopRequested: a rank was asked to leave before the last response was there.
        """
        return self._bring_home(self.sample(job, range(len(job)), expected_lengths), job)

    def sample(
        self,
        job: SamplingJob,
        numbers: Sequence[int],
        expected_lengths: Sequence[float] | None = None,
        judged: Judged | None = None,
    ) -> Collected:
        """Have some responses of a job sampled and judged; each engine keeps its own.

        Engines draw single responses from the queue, since those to one prompt are long together; the order lets those
        expected to take longest begin first (see `draw_order`).

        Args:
            job: prompts and sampling.
            numbers: which responses; the same on all ranks.
            expected_lengths: as for `collect`.
            judged: see `engines.collect.collect`; called on the rank that leads an engine alone.

        Raises:
            StopRequested: a rank was asked to leave before the last response was there.
        """
        # More than an even share at once would leave nothing for the others to draw.
        even = ceil(len(numbers) / self.ranks.engines)
        hand = even if self.work is Work.fixed else min(even, self.max_num_seqs)
        expected = expected_lengths or [inf] * len(job.prompts)
        order = draw_order([expected[number // job.samples] for number in numbers], self.ranks.engines, hand)
        collected = collect(
            self.engine,
            self.submit if self.ranks.leads else _leave_to_the_leader,
            self.tokenizer,
            job,
            (numbers[order[place]] for place in self.queue.numbers(len(numbers), hand)),
            even,
            lambda: self.ranks.poll(self.stop_requested),
            judged if self.ranks.leads or judged is None else _drop,
        )
        if not all(gather(collected.complete)):
            raise StopRequested
        return collected

    def _bring_home(self, collected: Collected, job: SamplingJob) -> SharedRollouts:
        mine = collected.rollouts if self.ranks.leads else {}
        rank, world = rank_and_world()
        prompts, samples = len(job.prompts), job.samples
        owner = {number: rank for rank in range(world) for number in share(prompts, rank, world)}
        outgoing: list[dict[int, Rollout]] = [{} for _ in range(world)]
        for number, rollout in mine.items():
            outgoing[owner[number // samples]][number] = rollout
        arrived = {number: rollout for incoming in exchange(outgoing) for number, rollout in incoming.items()}
        own_lengths = {number: len(rollout.generation.token_ids) for number, rollout in mine.items()}
        lengths = {number: length for each in gather(own_lengths) for number, length in each.items()}
        busy, exposed = zip(*gather((collected.generate_seconds, collected.verify_exposed_seconds)), strict=True)
        slowest = max(busy)
        own = share(prompts, rank, world)
        return SharedRollouts(
            groups=[[arrived[n * samples + sample] for sample in range(samples)] for n in own],
            first=own.start,
            lengths=[sum(lengths[n * samples + sample] for sample in range(samples)) / samples for n in range(prompts)],
            seconds={"generate": slowest, "verify_exposed": max(exposed)},
            idle=1 - sum(busy) / world / slowest if slowest else 0.0,
        )


def _drop(number: int, rollout: Rollout) -> None:
    """Leave a rollout to the leader of the engine, who has the same one."""


def _leave_to_the_leader(problem: Problem, response: str) -> Future[Verdict]:
    verdict: Future[Verdict] = Future()
    verdict.set_result(Verdict(0.0, "", "not judged here", 0.0))
    return verdict


def draw_order(expected_lengths: Sequence[float], engines: int, hand: int) -> list[int]:
    """The order of responses in the queue: those expected to be longest first, equal ones mixed.

    The first `hand` for each engine are dealt out like cards, so that no engine gets all the long ones: neighbours in
    the result are one engine's.
    """
    mixed = list(range(len(expected_lengths)))
    random.Random("draw order").shuffle(mixed)
    ranked = sorted(mixed, key=lambda number: -expected_lengths[number])
    first = ranked[: engines * hand]
    return [number for engine in range(engines) for number in first[engine::engines]] + ranked[len(first) :]
