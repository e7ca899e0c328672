"""Solve rates from a whole epoch's own rollouts: what training found out anyway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from acereason.evaluation.solve_rates import SolveRate, count
from acereason.rollout.batch import RolloutBatch


class EpochRates:
    """Collects an epoch's solve rates, the same on all ranks.

    Attributes:
        rates: by problem id, of the epoch so far.
        since: step from which its epochs are counted (`Curriculum.pool_since`); another one begins it anew.
        is_whole: the epoch is over.
    """

    def __init__(self) -> None:
        self.rates: dict[str, SolveRate] = {}
        self.since = 0
        self.is_whole = False

    def add(self, batch: RolloutBatch, since: int) -> None:
        """Counts the rollouts of one step, before anything follows from them; a collective."""
        if self.is_whole or self.since != since:
            self.rates, self.since = {}, since
        self.rates |= count(batch.groups)
        self.is_whole = batch.ends_epoch

    def of(self, ids: Sequence[str]) -> dict[str, SolveRate]:
        """Those of some problems; one that the epoch did not draw has none."""
        return {problem_id: self.rates[problem_id] for problem_id in ids if problem_id in self.rates}

    def state_dict(self) -> dict[str, Any]:
        """Plain data."""
        rates = [astuple(rate) for rate in self.rates.values()]
        return {"rates": rates, "since": self.since, "is_whole": self.is_whole}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes it back."""
        rates = [SolveRate(*rate) for rate in state["rates"]]
        self.rates = {rate.problem: rate for rate in rates}
        self.since, self.is_whole = state["since"], state["is_whole"]
