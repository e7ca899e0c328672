"""One phase of generation over all engines: who samples which response, and where the rollouts belong afterwards."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

from acereason.config.schema import Scheduling
from acereason.distributed.collectives import exchange, gather, rank_and_world, share
from acereason.engines.collect import Collected, Phase, Submit, collect
from acereason.engines.engine import Engine, never
from acereason.engines.queue import EngineRanks, WorkQueue
from acereason.engines.rollout import Rollout
from acereason.errors import StopRequested
from acereason.problems.problem import Problem
from acereason.verifiers.verifier import Verdict


@dataclass(frozen=True)
class SharedRollouts:
    """What a phase brought.

    Attributes:
        groups: this rank's own, the prompts numbered `first` and on. Who owns what depends on the numbers alone, never
            on who generated it, so that a repeated run repeats it.
        first: number of the first of them.
        lengths: mean response length of every prompt of the phase, tokens, on all ranks.
        seconds: `generate` and `verify_exposed`, of the slowest engine.
        idle: share of the phase that engines spent waiting for the slowest, mean over engines.
    """

    groups: list[list[Rollout]]
    first: int
    lengths: list[float]
    seconds: dict[str, float]
    idle: float


class SharedEngines:
    """All engines of a run as one; every method is called by all ranks alike.

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
        work: Scheduling = Scheduling.queue,
        stop_requested: Callable[[], bool] = never,
    ) -> None:
        self.engine, self.ranks, self.queue = engine, ranks, queue
        self.submit, self.tokenizer = submit, tokenizer
        self.max_num_seqs, self.work = max_num_seqs, work
        self.stop_requested = stop_requested

    def collect(self, phase: Phase, expected_lengths: Sequence[float] | None = None) -> SharedRollouts:
        """Has all prompts of a phase answered and judged.

        Engines draw single responses from the queue, since those to one prompt are long together; the order lets those
        expected to take longest begin first (see `draw_order`).

        Args:
            phase: prompts and sampling.
            expected_lengths: of the responses to each prompt, tokens; infinite where nothing is known.

        Raises:
            StopRequested: a rank was asked to leave before the last response was there.
        """
        # More than an even share at once would leave nothing for the others to draw.
        even = ceil(len(phase) / self.ranks.engines)
        hand = even if self.work is Scheduling.fixed else min(even, self.max_num_seqs)
        expected = expected_lengths or [inf] * len(phase.prompts)
        order = draw_order([expected[n // phase.samples] for n in range(len(phase))], self.ranks.engines, hand)
        collected = collect(
            self.engine,
            self.submit if self.ranks.leads else _leave_to_the_leader,
            self.tokenizer,
            phase,
            (order[place] for place in self.queue.numbers(len(phase), hand)),
            even,
            lambda: self.ranks.poll(self.stop_requested),
        )
        return self._bring_home(collected, phase)

    def _bring_home(self, collected: Collected, phase: Phase) -> SharedRollouts:
        mine = collected.rollouts if self.ranks.leads else {}
        if not all(gather(collected.complete)):
            raise StopRequested
        rank, world = rank_and_world()
        prompts, samples = len(phase.prompts), phase.samples
        owner = {number: rank for rank in range(world) for number in share(prompts, rank, world)}
        parcels: list[dict[int, Rollout]] = [{} for _ in range(world)]
        for number, rollout in mine.items():
            parcels[owner[number // samples]][number] = rollout
        arrived = {number: rollout for parcel in exchange(parcels) for number, rollout in parcel.items()}
        own_lengths = {number: len(rollout.generation.token_ids) for number, rollout in mine.items()}
        lengths = {number: length for each in gather(own_lengths) for number, length in each.items()}
        busy, exposed = zip(*gather((collected.generate_seconds, collected.verify_exposed_seconds)), strict=True)
        slowest = max(busy)
        seconds = {"generate": slowest, "verify_exposed": max(exposed)}
        return SharedRollouts(
            [[arrived[n * samples + sample] for sample in range(samples)] for n in share(prompts, rank, world)],
            share(prompts, rank, world).start,
            [sum(lengths[n * samples + sample] for sample in range(samples)) / samples for n in range(prompts)],
            seconds,
            1 - sum(busy) / world / slowest if slowest else 0.0,
        )


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
