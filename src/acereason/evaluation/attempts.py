"""Attempts: n judged responses to each problem, on disk as soon as they are judged, and resumable.

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

SCORES = ("problem", "sample", "reward", "tokens", "truncated")
"""Columns that a run needs of what it finds on disk."""
HANDS_PER_CHUNK = 4
Response = tuple[float, int, bool]
"""Reward, length in tokens, and whether the length limit ended the response."""


@dataclass(frozen=True)
class AttemptKey:
    """The key of attempts: what decides the responses, besides the problem and the number of the sample.

    Attributes:
        seeds: what the seed of a response is derived from, together with the problem's id and the sample's number.
        decided_by: what else decides a row, as text: the weights, the verifiers' settings, the prompts and the tests.
    """

    seeds: tuple[object, ...]
    decided_by: str = ""

    def digest(self, n: int, sampling: Sampling) -> str:
        """Return the key of the files of these attempts; which problems are asked is not part of it."""
        return hashlib.blake2b(repr((self, n, sampling)).encode(), digest_size=16).hexdigest()

    def seed_of(self, problem: Problem, sample: int) -> int:
        """Return the seed of a response, 63 bits; it does not depend on other problems, chunks or ranks."""
        return derived_seed(*self.seeds, problem.id, sample)


@dataclass(frozen=True)
class ProblemScores:
    """The scores of the attempts at one problem; small, and the same on all ranks.

    Attributes:
        problem: its id.
        domain, level: of the problem.
        rewards: of each sample, in order.
        tokens: length of each sample, tokens.
        truncated: whether the length limit ended each sample.
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
        """Number of responses that were right."""
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
    """Attempt each problem n times, on all engines; a collective.

    Each response is on disk as soon as it is judged. A run that is killed here and resumed samples only what is
    missing; its numbers and bytes are those of a run that was not killed.

    Args:
        engines: with the weights to try.
        prompts: of the problems, each once.
        n: number of responses to each.
        sampling: how responses are sampled.
        key: what decides the responses.
        table: Parquet file that the responses go to, in a folder that all ranks share; None keeps nothing. Its columns
            are those of `tables.RESPONSES`.
        keep_texts: whether the table has prompts, responses, gold answers and extracted answers.
        lengths: expected lengths of responses by problem id, tokens; the longest begin first.
        advance: called with the number of problems that were completed since its last call.
        chunk: problems that are asked together; 0 for as many as keep the engines busy. It changes no result.

    Returns:
        The scores of each problem, in the order of `prompts`, the same on all ranks.

    Raises:
        StopRequested: a rank was asked to stop; judged responses stay on disk.
    """
    rank, _ = rank_and_world()
    # Rank 0's key for all: it may tell the files of a model by their times, which differ between the disks of nodes.
    digest = gather(key.digest(n, sampling))[0]
    files = AttemptFiles(table, digest, keep_texts) if table else None
    job = SamplingJob(prompts, n, sampling, key.seed_of)
    done = _known(job, gather(_found(files) if files and rank == 0 else {})[0])
    expected = [(lengths or {}).get(prompt.problem.id, inf) for prompt in prompts]
    left = [place for place in range(len(prompts)) if any(number not in done for number in _numbers(job, place))]
    advance(len(prompts) - len(left))
    try:
        for places in _chunks(left, chunk or _chunk_size(engines, n)):
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
    """Sample and judge some responses; return them by their numbers, on all ranks."""
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
    return {(row["problem"], row["sample"]): _row_response(row) for row in files.find(SCORES)}


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


def _chunk_size(engines: SharedEngines, n: int) -> int:
    """Return how many problems give each engine several hands of responses: at a chunk's end engines run idle."""
    return max(1, HANDS_PER_CHUNK * engines.ranks.engines * engines.max_num_seqs // n)
