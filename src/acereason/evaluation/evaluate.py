"""Held-out evaluation: one function, called by the data module and by callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from acereason.distributed.collectives import gather
from acereason.engines.collect import Phase, Prompt
from acereason.engines.engine import Sampling
from acereason.engines.rollout import Rollout, rollout_seed
from acereason.engines.shared import SharedEngines
from acereason.evaluation.metrics import standard_error
from acereason.problems.problem import Domain


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation found, the same on all ranks but for the rollouts.

    Attributes:
        pass_at_1: mean share of right responses (avg@n with n samples a problem).
        standard_error: of `pass_at_1`, with problems as the independent draws.
        length_mean: mean response length, tokens.
        truncated: share of responses that hit the length limit.
        samples: responses to each problem.
        solve_rates: level and share of right responses of each problem.
        groups: this rank's rollouts, a list a problem.
    """

    pass_at_1: float
    standard_error: float
    length_mean: float
    truncated: float
    samples: int
    solve_rates: list[tuple[int | None, float]]
    groups: list[list[Rollout]]


@dataclass(frozen=True)
class HeldOutResults:
    """One evaluation of all held-out problems, by domain."""

    domains: dict[Domain, EvaluationResult]

    def metrics(self) -> dict[str, float]:
        """The scalars under `eval/`; with several domains each one's, and the mean of their pass@1."""
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
    engines: SharedEngines, problems: Sequence[Prompt], sampling: Sampling, *, samples: int, seed: int
) -> EvaluationResult:
    """Samples `samples` responses to each problem and judges them, on all engines together.

    The seeds are those of step -1, which no training step has: evaluations of a run share them, so that two of them
    differ by their weights alone.

    Raises:
        StopRequested: a rank was asked to leave.
    """
    phase = Phase(problems, samples, sampling, lambda problem, sample: rollout_seed(seed, -1, problem.id, sample))
    groups = engines.collect(phase).groups
    mine = [
        [(r.verdict.reward, len(r.generation.token_ids), r.generation.truncated) for r in group] for group in groups
    ]
    responses = torch.tensor([group for groups in gather(mine) for group in groups], dtype=torch.float64)
    rewards, lengths, truncated = responses.unbind(-1)
    return EvaluationResult(
        pass_at_1=rewards.mean().item(),
        standard_error=standard_error(rewards.mean(dim=1)).item(),
        length_mean=lengths.mean().item(),
        truncated=truncated.mean().item(),
        samples=samples,
        solve_rates=list(
            zip((problem.problem.level for problem in problems), rewards.mean(dim=1).tolist(), strict=True)
        ),
        groups=groups,
    )
