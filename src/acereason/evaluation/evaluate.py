"""Held-out evaluation: one function, called by the data module and by callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from acereason import grpo
from acereason.rollout.collect import Prompt, Submit, collect
from acereason.rollout.engine import Engine, Sampling
from acereason.rollout.rollout import Rollout, rollout_seed


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation found.

    Attributes:
        pass_at_1: mean share of right responses (avg@n with n samples a problem).
        standard_error: of `pass_at_1`, with problems as the independent draws.
        length_mean: mean response length, tokens.
        truncated: share of responses that hit the length limit.
        groups: the rollouts, a list a problem.
    """

    pass_at_1: float
    standard_error: float
    length_mean: float
    truncated: float
    groups: list[list[Rollout]]

    def metrics(self) -> dict[str, float]:
        """The scalars under `eval/`."""
        return {
            "eval/pass@1": self.pass_at_1,
            "eval/pass@1_standard_error": self.standard_error,
            "eval/length_mean": self.length_mean,
            "eval/truncated": self.truncated,
        }


def evaluate(
    engine: Engine,
    problems: Sequence[Prompt],
    sampling: Sampling,
    *,
    submit: Submit,
    tokenizer: Any,
    samples: int,
    seed: int,
) -> EvaluationResult:
    """Samples `samples` responses to each problem and judges them.

    The seeds are those of step -1, which no training step has: evaluations of a run share them, so that two of them
    differ by their weights alone.
    """
    collected = collect(
        engine, submit, tokenizer, problems, samples, sampling, lambda p, n: rollout_seed(seed, -1, p.id, n)
    )
    rates = torch.tensor([[rollout.verdict.reward for rollout in group] for group in collected.groups])
    generations = [rollout.generation for group in collected.groups for rollout in group]
    return EvaluationResult(
        pass_at_1=rates.mean().item(),
        standard_error=grpo.standard_error(rates.mean(dim=1)).item(),
        length_mean=sum(len(g.token_ids) for g in generations) / len(generations),
        truncated=sum(g.truncated for g in generations) / len(generations),
        groups=collected.groups,
    )
