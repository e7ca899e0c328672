"""How often the policy solves each problem: measured on the training engines, or counted in rollouts that exist."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from acereason.distributed.collectives import gather, rank_and_world
from acereason.engines.collect import Phase, Prompt
from acereason.engines.engine import Sampling
from acereason.engines.rollout import Rollout
from acereason.engines.shared import SharedEngines
from acereason.evaluation.attempt_files import SolveRate, SolveRateFiles
from acereason.problems.problem import Problem
from acereason.seeds import derived_seed

HANDS_A_CHUNK = 4


@dataclass(frozen=True)
class Measurement:
    """What decides a measured solve rate; after step 0 besides the weights, which are those of the step's checkpoint.

    Attributes:
        step: rollout steps done.
        seed: of the run.
        attempts: responses to each problem (paper: 16).
        sampling: how they are sampled.
        judging: the settings that decide what is right, as text.
        initial_policy: where the weights are from at step 0, as text.
        problems: a digest of the problems that may be asked, their prompts and their tests.
    """

    step: int
    seed: int
    attempts: int
    sampling: Sampling
    judging: str = ""
    initial_policy: str = ""
    problems: str = ""

    def key(self) -> str:
        """Tells results of this measurement from those of another; which of `problems` it asks does not count."""
        return hashlib.blake2b(repr(self).encode(), digest_size=16).hexdigest()

    def seed_of(self, problem: Problem, attempt: int) -> int:
        """63 bits that neither other problems, nor chunks, nor ranks decide, and that no training step has."""
        return derived_seed(self.seed, "refilter", self.step, problem.id, attempt)


def measure(
    engines: SharedEngines,
    prompts: Sequence[Prompt],
    measurement: Measurement,
    files: SolveRateFiles,
    lengths: dict[str, float] | None = None,
    advance: Callable[[int], object] = lambda count: None,
    chunk: int = 0,
) -> dict[str, SolveRate]:
    """Has all engines attempt each problem; a collective.

    Rank 0 writes each chunk when it is done and takes those that an earlier process finished: a run that is killed
    here and goes on finds the numbers of one that was not.

    Args:
        engines: with the policy's weights.
        prompts: which problems.
        measurement: how.
        files: of the run.
        lengths: expected lengths of responses by problem id, tokens, so that the longest begin first.
        advance: told how many more problems are done.
        chunk: problems that are asked together; 0 takes some that keep the engines busy. It decides no number.

    Returns:
        Rates by problem id, in the order of `prompts`, the same on all ranks.

    Raises:
        StopRequested: a rank was asked to leave; finished chunks stay.
    """
    rank, _ = rank_and_world()
    done: dict[str, SolveRate] = gather(files.begin(measurement.step, measurement.key()) if rank == 0 else {})[0]
    left = [prompt for prompt in prompts if prompt.problem.id not in done]
    advance(len(prompts) - len(left))
    for part in _chunks(left, chunk or _busy(engines, measurement.attempts)):
        phase = Phase(part, measurement.attempts, measurement.sampling, measurement.seed_of)
        expected = [(lengths or {}).get(prompt.problem.id, float("inf")) for prompt in part]
        rates = count(engines.collect(phase, expected).groups)
        done |= rates
        if rank == 0:
            files.add(measurement.step, measurement.key(), rates.values())
        advance(len(part))
    return {prompt.problem.id: done[prompt.problem.id] for prompt in prompts}


def count(groups: Sequence[Sequence[Rollout]]) -> dict[str, SolveRate]:
    """The solve rate of each group of rollouts by problem id; of all ranks' groups, and the same on all."""
    mine = {group[0].problem.id: _rate(group) for group in groups}
    return {problem_id: rate for each in gather(mine) for problem_id, rate in each.items()}


def _rate(group: Sequence[Rollout]) -> SolveRate:
    problem, attempts = group[0].problem, len(group)
    solved = sum(rollout.verdict.reward >= 1 for rollout in group)
    return SolveRate(
        problem.id,
        problem.domain,
        problem.level,
        attempts,
        solved,
        solved / attempts,
        sum(len(rollout.generation.token_ids) for rollout in group) / attempts,
        sum(rollout.generation.truncated for rollout in group) / attempts,
    )


def _chunks(prompts: Sequence[Prompt], size: int) -> Iterator[Sequence[Prompt]]:
    for start in range(0, len(prompts), size):
        yield prompts[start : start + size]


def _busy(engines: SharedEngines, attempts: int) -> int:
    """Problems that give each engine several times what it generates at once: at a chunk's end engines run empty."""
    return max(1, HANDS_A_CHUNK * engines.ranks.engines * engines.max_num_seqs // attempts)
