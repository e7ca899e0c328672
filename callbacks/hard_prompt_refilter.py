"""Leaves out problems that the policy solves most of the time: it learns from the hard ones (§3.2.2, Table 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, Trainer

from acereason.config.schema import Config
from acereason.curricula import hard_prompts
from acereason.curricula.callback import CurriculumCallback
from acereason.curricula.hard_prompts import EpochRates
from acereason.curricula.refilter_settings import RefilterSettings
from acereason.evaluation.solve_rates import SolveRate, write_rates
from acereason.policy.module import PolicyModule
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum
from acereason.rollout.data import data_of


class HardPromptRefilter(CurriculumCallback):
    """Keeps the problems of the pool that are not solved too often; a problem without a solve rate stays.

    Args:
        mode: where solve rates come from. `measure`: `attempts` responses to each problem when a stage begins (math in
            the paper); `rollouts`: those of an epoch, after which the problems that all of them solved go (code);
            `known`: rates that an earlier refilter found, or `rates`; `levels`: none, `levels` alone decides.
        stages: names of the stages in which it works; empty for all.
        every_n_steps: measure again after every so many steps of the stage; 0 measures only when it begins.
        attempts: responses to each problem (paper: 16).
        keep_solved_at_most: largest number of right responses, of `attempts`, with which a problem stays (paper: 6).
        rates: Parquet file with the columns `problem` and `solve_rate`, such as one in a run's `solve_rates` folder.
        levels: lowest and highest level; problems of other levels go before anything is measured.
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
        self.settings = RefilterSettings(
            mode, stages, every_n_steps, attempts, keep_solved_at_most, rates, levels, self.setting
        )
        self.epoch = EpochRates()
        self.filtered_at: int | None = None

    def check(self, config: Config, others: Sequence[Callback]) -> None:
        """Check the settings before anything is loaded."""
        self.settings.check(config, others)

    def setup(self, trainer: Trainer, module: PolicyModule, stage: str) -> None:
        """Check that its stages have enough problems of its levels."""
        self.settings.check_pools(trainer, module)

    def on_rollouts_start(self, trainer: Trainer, module: PolicyModule) -> None:
        """Refilter when it is due; a run that is killed meanwhile resumes with what is left to measure."""
        curriculum, data = module.curriculum, data_of(trainer)
        if curriculum.step == self.filtered_at or not self._is_due(curriculum):
            return
        before = data.pool_ids()
        pool = hard_prompts.of_levels(data, before, curriculum.domain, self.settings.levels)
        rates = self._solve_rates(trainer, module, pool)
        kept = [problem_id for problem_id in pool if self.settings.keeps(rates.get(problem_id))]
        self.settings.check_left(len(before), len(kept), rates, curriculum.prompts_per_step)
        if trainer.is_global_zero and rates:
            write_rates(hard_prompts.table_of(module, curriculum.step), rates.values(), set(kept))
        found = {problem_id: rate.solve_rate for problem_id, rate in rates.items()}
        values = {"pool": kept} if len(kept) < len(before) else {}
        why = f"{len(before)} → {len(kept)} problems: {self.settings.rule}"
        curriculum.change(self.name, why, solve_rates=curriculum.solve_rates | found, **values)
        self.filtered_at = curriculum.step

    def on_train_batch_start(self, trainer: Trainer, module: PolicyModule, batch: RolloutBatch, batch_idx: int) -> None:
        """Count the step's rollouts while the curriculum is still the one that they were made with."""
        if self.settings.mode == "rollouts" and self.settings.works_in(module.curriculum.stage):
            self.epoch.add(batch, module.curriculum.pool_since)

    def on_train_batch_end(self, trainer: Trainer, module: PolicyModule, *_: object) -> None:
        """Draw the solve rates before and after, with the scalars of the first step that they decided."""
        hard_prompts.draw_once(trainer, module, self.filtered_at)

    def _is_due(self, curriculum: Curriculum) -> bool:
        if self.settings.mode == "rollouts":
            return self.epoch.is_whole and self.epoch.since == curriculum.pool_since
        steps, every = curriculum.step - curriculum.stage_since, self.settings.every_n_steps
        return self.settings.works_in(curriculum.stage) and (steps == 0 or (every > 0 and steps % every == 0))

    def _solve_rates(self, trainer: Trainer, module: PolicyModule, pool: list[str]) -> dict[str, SolveRate]:
        settings = self.settings
        if settings.mode == "measure":
            return hard_prompts.measure_now(trainer, module, pool, settings.attempts)
        if settings.mode == "known":
            return hard_prompts.known(trainer, module, pool, settings.rates, self.setting("rates"))
        return self.epoch.of(pool) if settings.mode == "rollouts" else {}

    def state_dict(self) -> dict[str, Any]:
        """Return the step of the last refilter, and the epoch so far."""
        return {"filtered_at": self.filtered_at, "epoch": self.epoch.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them from a checkpoint."""
        self.filtered_at = state_dict["filtered_at"]
        self.epoch.load_state_dict(state_dict["epoch"])
