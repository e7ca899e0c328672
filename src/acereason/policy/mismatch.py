"""How far engine and policy are apart: measured in every update, and in a run's first steps a reason to end it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from acereason import grpo
from acereason.config.fields import shown
from acereason.config.schema import Config, Correction, DType, GRPOConfig
from acereason.errors import UserError

MAX_GAP = {DType.float32: 1e-4, DType.float16: 0.02, DType.bfloat16: 0.15}
"""Largest mean gap, nats a token, that rounding explains, by the coarser type of engine and policy: three to ten times
what was measured (docs/why/engine_and_policy.md)."""
CHECKED_STEPS = 3
"""How many steps with computed tokens are checked, from the start of a run and after each resume."""
SEQUENCES = (Correction.sequence_mask, Correction.sequence_cap)
MASKS = (Correction.token_mask, Correction.sequence_mask)


@dataclass
class Mismatch:
    """Sums and extremes over computed response tokens, of log-probs before the update and those of the engine.

    A ratio is the policy's probability over the engine's.

    Attributes:
        tokens: how many.
        gap_sum, gap_max: absolute differences of log-probs, nats.
        ratio_sum, ratio_min, ratio_max: ratios of tokens.
        compared_min, compared_max: what the correction holds against its bounds.
        changed: tokens whose ratio lies outside the bounds.
    """

    tokens: int = 0
    gap_sum: float = 0.0
    gap_max: float = 0.0
    ratio_sum: float = 0.0
    ratio_min: float = math.inf
    ratio_max: float = 0.0
    compared_min: float = math.inf
    compared_max: float = 0.0
    changed: int = 0

    @classmethod
    def of(cls, log_ratios: Tensor, compared: Tensor, config: GRPOConfig) -> Mismatch:
        """Measure the tokens of a micro-batch, at least one.

        Shapes: log_ratios and compared, the result of `grpo.compared_ratios`, `[tokens]`.
        """
        low, high = config.correction_bounds
        gaps, ratios = log_ratios.abs(), log_ratios.clamp(-grpo.MAX_LOG_RATIO, grpo.MAX_LOG_RATIO).exp()
        measured = [
            *(gaps.double().sum(), gaps.max(), ratios.double().sum(), ratios.min(), ratios.max()),
            *(compared.min(), compared.max(), ((compared < low) | (compared > high)).sum()),
        ]
        values = torch.stack(measured).tolist()  # one transfer from a GPU
        names = ("gap_sum", "gap_max", "ratio_sum", "ratio_min", "ratio_max", "compared_min", "compared_max")
        found = dict(zip(names, values[:-1], strict=True))
        return cls(tokens=len(gaps), changed=int(values[-1]), **found)

    def __add__(self, other: Mismatch) -> Mismatch:
        """Return the mismatch of both sets of tokens together."""
        return Mismatch(
            self.tokens + other.tokens,
            self.gap_sum + other.gap_sum,
            max(self.gap_max, other.gap_max),
            self.ratio_sum + other.ratio_sum,
            min(self.ratio_min, other.ratio_min),
            max(self.ratio_max, other.ratio_max),
            min(self.compared_min, other.compared_min),
            max(self.compared_max, other.compared_max),
            self.changed + other.changed,
        )

    @property
    def gap_mean(self) -> float:
        """Mean gap, nats a token; nan without tokens."""
        return self.gap_sum / self.tokens if self.tokens else math.nan

    def metrics(self, correction: Correction) -> dict[str, float]:
        """Return the scalars of a step; none if no token was computed, since nothing was measured then."""
        if not self.tokens:
            return {}
        metrics = {
            "rollout/logprob_gap_mean": self.gap_mean,
            "rollout/logprob_gap_max": self.gap_max,
            "rollout/ratio_mean": self.ratio_sum / self.tokens,
            "rollout/ratio_min": self.ratio_min,
            "rollout/ratio_max": self.ratio_max,
        }
        if correction in SEQUENCES:
            metrics["rollout/sequence_ratio_min"] = self.compared_min
            metrics["rollout/sequence_ratio_max"] = self.compared_max
        if correction in MASKS:
            metrics["rollout/ratio_masked"] = self.changed / self.tokens
        elif correction is not Correction.none:
            metrics["rollout/ratio_capped"] = self.changed / self.tokens
        return metrics


def total(parts: Sequence[Mismatch]) -> Mismatch:
    """Add up the mismatches of several updates or ranks."""
    return sum(parts, Mismatch())


class GapCheck:
    """The check of a run's first steps that engine and policy compute the same model.

    Args:
        config: settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.steps: set[int] = set()

    def __call__(self, mismatch: Mismatch, step: int, temperature: float, top_p: float) -> None:
        """Check the tokens of one update, the same on all ranks, before it is made.

        Nothing is checked with top-p below 1: the engine's log-probs are then of another distribution than the
        policy's. Below a temperature of 1 the bound grows as log-probs do.

        Args:
            mismatch: of this update, over all ranks.
            step: number of the rollout step, from 0.
            temperature, top_p: its sampling.

        Raises:
            UserError: the mean gap is larger than `rollout.max_gap`, or not a number.
        """
        if not mismatch.tokens or top_p < 1 or len(self.steps | {step}) > CHECKED_STEPS:
            return
        self.steps.add(step)
        types = (self.config.engine.dtype, self.config.model.compute_dtype)
        coarser = max(types, key=lambda dtype: MAX_GAP[dtype])
        bound = self.config.rollout.max_gap or MAX_GAP[coarser] / min(temperature, 1.0)
        if bound < math.inf and not mismatch.gap_mean <= bound:
            asked = f"rollout.max_gap={self.config.rollout.max_gap:g}"
            raise UserError(
                f"{asked}: engine and policy differ by {mismatch.gap_mean:.2g} nats a token on average in step "
                f"{step + 1}, more than {bound:g}{'' if self.config.rollout.max_gap else f' ({coarser})'}; likely "
                f"causes, likeliest first: {', '.join(self._causes())}; rollout.max_gap=.inf trains nevertheless"
            )

    def _causes(self) -> list[str]:
        engine, compute_dtype = self.config.engine, self.config.model.compute_dtype
        family = f"model.path={shown(self.config.model.path)}"
        causes = [f"{family} computed in two ways (attention windows, soft caps, scaled positions)"]
        if engine.options:
            causes.insert(0, f"engine.options={shown(engine.options)}")
        if engine.dtype is not compute_dtype:
            causes.append(f"engine.dtype={engine.dtype} beside model.compute_dtype={compute_dtype}")
        return [*causes, "weights or a prefix cache that the last sync did not reach"]
