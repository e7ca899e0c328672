"""One sampling job over all engines: which engine samples which response, and which rank gets the rollouts."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

from acereason.config.schema import Scheduling
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
        groups: of the prompts that this rank owns, numbered from `first`. Ownership depends on the numbers alone, never
            on which engine generated a response, so that a repeated run gives the same.
        first: number of the first of these prompts.
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
        engine: this rank's engine, or its part of one.
        ranks, queue: how ranks form engines, and how engines share responses.
        submit, tokenizer: see `collect`.
        max_num_seqs: responses that an engine generates at the same time.
        work: how engines share what there is to sample.
        stop_requested: returns whether this rank was asked to stop the run.
    """

    def __init__(
        self,
        engine: Engine,
        ranks: EngineRanks,
        queue: WorkQueue,
        submit: Submit,
        tokenizer: Any,
        max_num_seqs: int,
        work: Scheduling = Scheduling.queue,
        stop_requested: Callable[[], bool] = never,
    ) -> None:
        self.engine, self.ranks, self.queue = engine, ranks, queue
        self.submit, self.tokenizer = submit, tokenizer
        self.max_num_seqs, self.work = max_num_seqs, work
        self.stop_requested = stop_requested

    def collect(self, job: SamplingJob, expected_lengths: Sequence[float] | None = None) -> SharedRollouts:
        """Sample and judge all responses of a job, and send each rank the rollouts that it owns.

        Args:
            job: prompts and sampling.
            expected_lengths: of the responses to each prompt, tokens; infinite if unknown.

        Raises:
            StopRequested: a rank was asked to stop before the last response was finished.
        """
        return self._send_to_owners(self.sample(job, range(len(job)), expected_lengths), job)

    def sample(
        self,
        job: SamplingJob,
        numbers: Sequence[int],
        expected_lengths: Sequence[float] | None = None,
        judged: Judged | None = None,
    ) -> Collected:
        """Sample and judge some responses of a job; each engine keeps its own.

        Engines draw single responses from the queue, because responses to the same prompt tend to be equally long.
        Those that are expected to be longest begin first (see `draw_order`).

        Args:
            job: prompts and sampling.
            numbers: which responses; the same on all ranks.
            expected_lengths: as for `collect`.
            judged: see `engines.collect.collect`; called only on the rank that leads an engine.

        Raises:
            StopRequested: a rank was asked to stop before the last response was finished.
        """
        # More than an even share at once would leave nothing for the others to draw.
        even = ceil(len(numbers) / self.ranks.engines)
        hand = even if self.work is Scheduling.fixed else min(even, self.max_num_seqs)
        expected = expected_lengths or [inf] * len(job.prompts)
        order = draw_order([expected[number // job.samples] for number in numbers], self.ranks.engines, hand)
        collected = collect(
            self.engine,
            self.submit if self.ranks.leads else _leave_to_leader,
            self.tokenizer,
            job,
            (numbers[order[place]] for place in self.queue.numbers(len(numbers), hand)),
            even,
            lambda: self.ranks.poll(self.stop_requested),
            judged if self.ranks.leads or judged is None else _ignore,
        )
        if not all(gather(collected.complete)):
            raise StopRequested
        return collected

    def _send_to_owners(self, collected: Collected, job: SamplingJob) -> SharedRollouts:
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


def _ignore(number: int, rollout: Rollout) -> None:
    """Do nothing with a rollout: the leader of the engine has the same one."""


def _leave_to_leader(problem: Problem, response: str) -> Future[Verdict]:
    verdict: Future[Verdict] = Future()
    verdict.set_result(Verdict(0.0, "", "not judged here", 0.0))
    return verdict


def draw_order(expected_lengths: Sequence[float], engines: int, hand: int) -> list[int]:
    """Return the order of responses in the queue: those expected to be longest first, equal ones shuffled.

    The first `hand` of each engine are dealt out like cards, so that no engine gets all the long ones; the hand of one
    engine stands together in the result.
    """
    mixed = list(range(len(expected_lengths)))
    random.Random("draw order").shuffle(mixed)
    ranked = sorted(mixed, key=lambda number: -expected_lengths[number])
    first = ranked[: engines * hand]
    return [number for engine in range(engines) for number in first[engine::engines]] + ranked[len(first) :]
