"""Attempts: so many responses to each of some problems, judged, on disk as they finish, and resumable.

Held-out evaluation and the refilter use the same function: both leave the same table and survive the same kills.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from acereason.distributed.collectives import gather, rank_and_world
from acereason.engines.collect import SamplingJob
from acereason.engines.engine import Sampling
from acereason.engines.prompt import Prompt
from acereason.engines.rollout import Rollout, response_row
from acereason.engines.shared import SharedEngines
from acereason.evaluation.attempt_files import AttemptFiles
from acereason.problems.problem import Domain, Problem
from acereason.seeds import derived_seed

HANDS_A_CHUNK = 4
Response = tuple[float, int, bool]
"""Reward, tokens, and whether the length limit ended it."""


@dataclass(frozen=True)
class AttemptKey:
    """What decides the responses of attempts, besides the problem and the number of the sample.

    Attributes:
        seeds: with the problem's id and the sample's number, what the seed of a response is derived from.
        decided_by: what else decides a row, as text: the weights, the verifiers' settings, the prompts and the tests.
    """

    seeds: tuple[object, ...]
    decided_by: str = ""

    def digest(self, n: int, sampling: Sampling) -> str:
        """Return what tells the files of these attempts from those of others; which problems are asked does not."""
        return hashlib.blake2b(repr((self, n, sampling)).encode(), digest_size=16).hexdigest()

    def seed_of(self, problem: Problem, sample: int) -> int:
        """Return the seed of a response: 63 bits, whatever other problems, chunks and ranks there are."""
        return derived_seed(*self.seeds, problem.id, sample)


@dataclass(frozen=True)
class ProblemScores:
    """What came of the attempts at one problem; small, and the same on all ranks.

    Attributes:
        problem: its id.
        domain, level: its own.
        rewards: of each sample, in order.
        tokens: length of each, tokens.
        truncated: whether the length limit ended each.
    """

    problem: str
    domain: Domain
    level: int | None
    rewards: tuple[float, ...]
    tokens: tuple[int, ...]
    truncated: tuple[bool, ...]

    @classmethod
    def of(cls, problem: Problem, responses: Sequence[Response]) -> ProblemScores:
        """Return the scores of the samples of a problem, in their order."""
        rewards, tokens, truncated = zip(*responses, strict=True)
        return cls(problem.id, problem.domain, problem.level, rewards, tokens, truncated)

    @classmethod
    def of_rollouts(cls, group: Sequence[Rollout]) -> ProblemScores:
        """Return the scores of a group of rollouts."""
        return cls.of(group[0].problem, list(map(_response, group)))

    @property
    def solved(self) -> int:
        """Responses that were right."""
        return sum(reward >= 1 for reward in self.rewards)

    @property
    def solve_rate(self) -> float:
        """Share of the responses that were right."""
        return self.solved / len(self.rewards)


def attempt(
    engines: SharedEngines,
    prompts: Sequence[Prompt],
    n: int,
    sampling: Sampling,
    key: AttemptKey,
    table: Path | None = None,
    *,
    keep_texts: bool = True,
    lengths: dict[str, float] | None = None,
    advance: Callable[[int], object] = lambda count: None,
    chunk: int = 0,
) -> list[ProblemScores]:
    """Have all engines attempt each problem n times; a collective.

    Each response is on disk as soon as it is judged: a run that is killed here and resumed samples what is missing, and
    finds the numbers, and leaves the bytes, of one that was not.

    Args:
        engines: with the weights to try.
        prompts: of the problems, each once.
        n: responses to each.
        sampling: how they are sampled.
        key: what decides them.
        table: Parquet file that the responses go to, in a folder that all ranks share; None keeps nothing. Its columns
            are those of `tables.RESPONSES`.
        keep_texts: whether it has prompts, responses, golds and what was extracted.
        lengths: expected lengths of responses by problem id, tokens, so that the longest begin first.
        advance: told how many more problems are done.
        chunk: problems that are asked together; 0 takes as many as keep the engines busy. It decides no number.

    Returns:
        The scores of each problem, in the order of `prompts`, the same on all ranks.

    Raises:
        StopRequested: a rank was asked to leave; judged responses stay.
    """
    rank, _ = rank_and_world()
    files = AttemptFiles(table, key.digest(n, sampling), keep_texts) if table else None
    job = SamplingJob(prompts, n, sampling, key.seed_of)
    done = _known(job, gather(_found(files) if files and rank == 0 else {})[0])
    expected = [(lengths or {}).get(prompt.problem.id, inf) for prompt in prompts]
    left = [place for place in range(len(prompts)) if any(number not in done for number in _numbers(job, place))]
    advance(len(prompts) - len(left))
    try:
        for places in _chunks(left, chunk or _busy(engines, n)):
            numbers = [number for place in places for number in _numbers(job, place) if number not in done]
            done |= _sample(engines, job, numbers, expected, files, rank)
            advance(len(places))
    finally:
        journal = files.close() if files else None
    if files:
        journals = [path for path in gather(journal) if path is not None]
        if rank == 0 and files.unfinished:
            files.finish([prompt.problem.id for prompt in prompts], journals)
    return [
        ProblemScores.of(prompt.problem, [done[number] for number in _numbers(job, place)])
        for place, prompt in enumerate(prompts)
    ]


def _sample(
    engines: SharedEngines,
    job: SamplingJob,
    numbers: Sequence[int],
    expected: Sequence[float],
    files: AttemptFiles | None,
    rank: int,
) -> dict[int, Response]:
    """Return what came of some responses, by their numbers, on all ranks."""
    mine: dict[int, Response] = {}

    def judged(number: int, rollout: Rollout) -> None:
        if files:
            files.add(response_row(rollout), rank)
        mine[number] = _response(rollout)

    engines.sample(job, numbers, expected, judged)
    return {number: response for each in gather(mine) for number, response in each.items()}


def _response(rollout: Rollout) -> Response:
    return rollout.verdict.reward, len(rollout.generation.token_ids), rollout.generation.truncated


def _found(files: AttemptFiles) -> dict[tuple[str, int], Response]:
    return {(row["problem"], row["sample"]): _row_response(row) for row in files.find()}


def _row_response(row: dict[str, Any]) -> Response:
    return row["reward"], row["tokens"], row["truncated"]


def _known(job: SamplingJob, found: dict[tuple[str, int], Response]) -> dict[int, Response]:
    numbers = {(job.prompt(number).problem.id, number % job.samples): number for number in range(len(job))}
    return {numbers[where]: response for where, response in found.items() if where in numbers}


def _numbers(job: SamplingJob, place: int) -> range:
    """Return the numbers of the responses to the prompt at a place."""
    return range(place * job.samples, (place + 1) * job.samples)


def _chunks(places: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(places), size):
        yield places[start : start + size]


def _busy(engines: SharedEngines, n: int) -> int:
    """Return how many problems give each engine several hands of responses: at a chunk's end engines run empty."""
    return max(1, HANDS_A_CHUNK * engines.ranks.engines * engines.max_num_seqs // n)
