"""Held-out evaluation: how often the policy solves problems that it never trains on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from acereason.engines.engine import Sampling
from acereason.engines.prompt import Prompt
from acereason.engines.shared import SharedEngines
from acereason.evaluation.attempts import AttemptKey, ProblemScores, attempt
from acereason.evaluation.metrics import standard_error
from acereason.problems.problem import Domain

FOLDER = "evaluations"
"""Folder of a run that holds a table of responses for each evaluation."""


@dataclass(frozen=True)
class EvaluationResult:
    """The result of an evaluation, the same on all ranks.

    Attributes:
        pass_at_1: mean share of right responses (avg@n with n samples a problem).
        standard_error: of `pass_at_1`, with problems as the independent draws.
        length_mean: mean response length, tokens.
        truncated: share of responses that hit the length limit.
        problems: the scores of each problem.
    """

    pass_at_1: float
    standard_error: float
    length_mean: float
    truncated: float
    problems: list[ProblemScores]

    @classmethod
    def of(cls, problems: list[ProblemScores]) -> EvaluationResult:
        """Return the result of the attempts at some problems, the same number at each."""
        rewards, lengths, truncated = (
            torch.tensor(values, dtype=torch.float64)
            for values in (
                [scores.rewards for scores in problems],
                [scores.tokens for scores in problems],
                [scores.truncated for scores in problems],
            )
        )
        return cls(
            pass_at_1=rewards.mean().item(),
            standard_error=standard_error(rewards.mean(dim=1)).item(),
            length_mean=lengths.mean().item(),
            truncated=truncated.mean().item(),
            problems=problems,
        )

    @property
    def samples(self) -> int:
        """Number of responses to each problem."""
        return len(self.problems[0].rewards)


@dataclass(frozen=True)
class HeldOutResults:
    """The results of one evaluation of all held-out problems, by domain."""

    domains: dict[Domain, EvaluationResult]

    @classmethod
    def of(cls, problems: Sequence[ProblemScores]) -> HeldOutResults:
        """Return the results of each domain that has problems."""
        domains = dict.fromkeys(scores.domain for scores in problems)
        return cls({d: EvaluationResult.of([scores for scores in problems if scores.domain == d]) for d in domains})

    def metrics(self) -> dict[str, float]:
        """Return the scalars under `eval/`; with several domains those of each, and the mean of their pass@1."""
        if len(self.domains) == 1:
            [only] = self.domains.values()
            return _scalars(only)
        metrics = {
            name.replace("eval/", f"eval/{domain}_"): value
            for domain, result in self.domains.items()
            for name, value in _scalars(result).items()
        }
        rates = [result.pass_at_1 for result in self.domains.values()]
        return {**metrics, "eval/pass@1": sum(rates) / len(rates)}


def _scalars(result: EvaluationResult) -> dict[str, float]:
    return {
        "eval/pass@1": result.pass_at_1,
        "eval/pass@1_standard_error": result.standard_error,
        "eval/length_mean": result.length_mean,
        "eval/truncated": result.truncated,
    }


def evaluate(
    engines: SharedEngines,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    *,
    samples: int,
    key: AttemptKey,
    table: Path | None = None,
    keep_texts: bool = True,
) -> HeldOutResults:
    """Sample responses to each problem and judge them, on all engines together.

    Args:
        engines: with the weights to evaluate.
        prompts: of the held-out problems, of all domains.
        sampling: how responses are sampled.
        samples: responses to each problem.
        key: what decides the responses, see `evaluation_key`.
        table, keep_texts: see `attempt`.

    Raises:
        StopRequested: a rank was asked to stop; judged responses stay on disk.
    """
    return HeldOutResults.of(
        attempt(engines, prompts, samples, sampling, key, table, keep_texts=keep_texts, chunk=len(prompts))
    )


def evaluation_key(seed: int, decided_by: str = "") -> AttemptKey:
    """Return the key of an evaluation's attempts.

    The seeds are those of step -1, which is no training step. All evaluations of a run share them, so that two
    evaluations differ only by their weights.
    """
    return AttemptKey((seed, -1), decided_by)
