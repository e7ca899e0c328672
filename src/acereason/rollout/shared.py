"""One phase of generation over all engines: who answers which prompt, and where the rollouts belong afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

from acereason.errors import StopRequested
from acereason.problems.problem import Problem
from acereason.ranks.collectives import exchange, gather, rank_and_world, share
from acereason.ranks.queue import EngineRanks, PromptQueue
from acereason.rewards.verifier import Verdict
from acereason.rollout.collect import Collected, Phase, Submit, collect
from acereason.rollout.engine import Engine, never
from acereason.rollout.rollout import Rollout


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
        stop_requested: whether this rank knows that the run was asked to leave.
    """

    def __init__(
        self,
        engine: Engine,
        ranks: EngineRanks,
        queue: PromptQueue,
        submit: Submit,
        tokenizer: Any,
        stop_requested: Callable[[], bool] = never,
    ) -> None:
        self.engine, self.ranks, self.queue = engine, ranks, queue
        self.submit, self.tokenizer = submit, tokenizer
        self.stop_requested = stop_requested

    def collect(self, phase: Phase, expected_lengths: Sequence[float] | None = None) -> SharedRollouts:
        """Has all prompts of a phase answered and judged, those expected to take longest first.

        Raises:
            StopRequested: a rank was asked to leave before the last response was there.
        """
        total = len(phase.prompts)
        expected = expected_lengths or [inf] * total
        order = sorted(range(total), key=lambda number: -expected[number])
        collected = collect(
            self.engine,
            self.submit if self.ranks.leads else _leave_to_the_leader,
            self.tokenizer,
            phase,
            (order[place] for place in self.queue.numbers(total)),
            # More than an even share at once would leave nothing for the others to draw.
            ceil(total / self.ranks.engines) * phase.samples,
            lambda: self.ranks.poll(self.stop_requested),
        )
        return self._bring_home(collected, total)

    def _bring_home(self, collected: Collected, total: int) -> SharedRollouts:
        spent = (collected.generate_seconds, collected.verify_exposed_seconds)
        reports = gather((collected.complete, *spent, {n: _mean_length(g) for n, g in collected.groups.items()}))
        if not all(complete for complete, *_ in reports):
            raise StopRequested
        rank, world = rank_and_world()
        mine = collected.groups if self.ranks.leads else {}
        parcels = [{n: mine[n] for n in share(total, owner, world) if n in mine} for owner in range(world)]
        arrived = {number: group for parcel in exchange(parcels) for number, group in parcel.items()}
        lengths = {number: length for *_, lengths in reports for number, length in lengths.items()}
        slowest, exposed = (max(report[i] for report in reports) for i in (1, 2))
        busy = sum(report[1] for report in reports) / world
        return SharedRollouts(
            [arrived[number] for number in share(total, rank, world)],
            share(total, rank, world).start,
            [lengths[number] for number in range(total)],
            {"generate": slowest, "verify_exposed": exposed},
            1 - busy / slowest if slowest else 0.0,
        )


def _leave_to_the_leader(problem: Problem, response: str) -> Future[Verdict]:
    verdict: Future[Verdict] = Future()
    verdict.set_result(Verdict(0.0, "", "not judged here", 0.0))
    return verdict


def _mean_length(group: list[Rollout]) -> float:
    return sum(len(rollout.generation.token_ids) for rollout in group) / len(group)
