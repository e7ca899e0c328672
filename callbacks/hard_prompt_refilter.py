"""Leaves out the problems that the policy solves most of the time: it learns from the hard ones (§3.2.2, Table 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, Trainer

from acereason.config.schema import Config
from acereason.curricula import hard_prompts
from acereason.curricula.callback import CurriculumCallback
from acereason.curricula.epoch_rates import EpochRates
from acereason.curricula.hard_prompt_checks import check_left, check_pools, check_refilter
from acereason.evaluation.solve_rates import SolveRate, write_rates
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum


class HardPromptRefilter(CurriculumCallback):
    """Keeps those problems of the pool that are solved at most so often; a problem without a solve rate stays.

    Args:
        mode: where solve rates come from. `measure`: so many attempts at each problem, when a stage begins (math in the
            paper); `rollouts`: an epoch's own rollouts, of which it leaves out the problems that all were right on
            (code); `known`: those measured before, or `rates`; `levels`: nowhere, `levels` alone decides.
        stages: names of the stages in which it works; empty for all.
        every_n_steps: measure again whenever so many steps of the stage are done; 0 measures when it begins alone.
        attempts: responses to each problem (paper: 16).
        keep_solved_at_most: a problem with more right responses than that, in so many attempts, goes (paper: 6).
        rates: Parquet file with the columns `problem` and `solve_rate`, such as those in a run's `solve_rates` folder.
        levels: lowest and highest level; others go before anything is measured.
    """

    def __init__(
        self,
        mode: str = "measure",
        stages: Sequence[str] = (),
        every_n_steps: int = 0,
        attempts: int = 16,
        keep_solved_at_most: int = 6,
        rates: str = "",
        levels: Sequence[int] | None = None,
    ) -> None:
        self.mode, self.stages, self.every_n_steps = mode, stages, every_n_steps
        self.attempts, self.keep_solved_at_most = attempts, keep_solved_at_most
        self.rates, self.levels = rates, levels
        self.epoch = EpochRates()
        self.filtered_at: int | None = None

    def check(self, config: Config, others: Sequence[Callback]) -> None:
        """Each setting by itself, and what it needs of the others."""
        check_refilter(self, config, others)

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Makes sure, before the first step, that there are problems enough of its levels, and known ones."""
        check_pools(self, trainer, pl_module)

    def on_rollouts_start(self, trainer: Trainer, module: Any) -> None:
        """Refilters when it is time; a run that is killed in here goes on with what is left to measure."""
        curriculum, data = module.curriculum, trainer.datamodule  # type: ignore[attr-defined]
        if curriculum.step == self.filtered_at or not self._is_due(curriculum):
            return
        before = data.pool_ids()
        pool = hard_prompts.of_levels(data, before, curriculum.domain, self.levels)
        rates = self._solve_rates(trainer, module, pool)
        kept = [problem_id for problem_id in pool if self._is_kept(rates.get(problem_id))]
        check_left(self, len(before), len(kept), rates, curriculum.prompts_per_step)
        if trainer.is_global_zero and rates:
            write_rates(hard_prompts.table_of(module, curriculum.step), rates.values(), set(kept))
        found = {problem_id: rate.solve_rate for problem_id, rate in rates.items()}
        values = {"pool": kept} if len(kept) < len(before) else {}
        why = f"{len(before)} → {len(kept)} problems: {self._rule()}"
        curriculum.change(self.name, why, solve_rates=curriculum.solve_rates | found, **values)
        self.filtered_at = curriculum.step

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: RolloutBatch, batch_idx: int) -> None:
        """Counts the step's rollouts while the curriculum is still the one that they were made with."""
        if self.mode == "rollouts" and self._works_in(module.curriculum):
            self.epoch.add(batch, module.curriculum.pool_since)

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: object) -> None:
        """Draws the solve rates before and after, with the scalars of the first step that they decided."""
        hard_prompts.draw_once(trainer, module, self.filtered_at)

    def _works_in(self, curriculum: Curriculum) -> bool:
        return not self.stages or curriculum.stage in self.stages

    def _is_due(self, curriculum: Curriculum) -> bool:
        if self.mode == "rollouts":
            return self.epoch.is_whole and self.epoch.since == curriculum.pool_since
        steps = curriculum.step - curriculum.stage_since
        again = self.every_n_steps > 0 and steps % self.every_n_steps == 0
        return self._works_in(curriculum) and (steps == 0 or again)

    def _solve_rates(self, trainer: Trainer, module: Any, pool: list[str]) -> dict[str, SolveRate]:
        if self.mode == "measure":
            return hard_prompts.measure_now(trainer, module, pool, self.attempts)
        if self.mode == "known":
            return hard_prompts.known(trainer, module, pool, self.rates, self.setting("rates"))
        return self.epoch.of(pool) if self.mode == "rollouts" else {}

    def _is_kept(self, rate: SolveRate | None) -> bool:
        if rate is None:
            return True
        if self.mode == "rollouts":
            return rate.solve_rate < 1
        return round(rate.solve_rate * self.attempts, 6) <= self.keep_solved_at_most

    def _rule(self) -> str:
        """What was kept, in words."""
        often = f"solved at most {self.keep_solved_at_most} of {self.attempts}"
        words = {"rollouts": "not solved by all rollouts of the epoch", "levels": ""}.get(self.mode, often)
        levels = f"levels {self.levels[0]} to {self.levels[1]}" if self.levels else ""
        return ", ".join(filter(None, (levels, words)))

    def state_dict(self) -> dict[str, Any]:
        """When it refiltered last, and the epoch so far."""
        return {"filtered_at": self.filtered_at, "epoch": self.epoch.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them back."""
        self.filtered_at = state_dict["filtered_at"]
        self.epoch.load_state_dict(state_dict["epoch"])
