"""The settings of a hard-prompt refilter: what they mean, and the checks before and during a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lightning.pytorch import Callback, Trainer

from acereason.config.fields import shown
from acereason.config.schema import Config
from acereason.curricula.arguments import check_choice, check_choices, check_whole
from acereason.curricula.hard_prompts import histogram, known, of_levels
from acereason.curricula.stages import read_levels, stage_names, stages_of_run
from acereason.errors import UserError
from acereason.evaluation.solve_rates import SolveRate, read_rates
from acereason.policy.callback import callbacks_of
from acereason.policy.module import PolicyModule
from acereason.rollout.data import data_of

MODES = ("measure", "rollouts", "known", "levels")
FINDS_RATES = ("measure", "rollouts")


@dataclass(frozen=True)
class RefilterSettings:
    """The constructor arguments of `callbacks.hard_prompt_refilter.HardPromptRefilter`, which documents them.

    Attributes:
        mode, stages, every_n_steps, attempts, keep_solved_at_most, rates, levels: as there.
        setting: gives the full key of one of them, for messages.
    """

    mode: str
    stages: Sequence[str]
    every_n_steps: int
    attempts: int
    keep_solved_at_most: int
    rates: str
    levels: Sequence[int] | None
    setting: Callable[[str], str] = field(repr=False, compare=False)

    def works_in(self, stage: str) -> bool:
        """Tell whether it refilters in a stage."""
        return not self.stages or stage in self.stages

    def keeps(self, rate: SolveRate | None) -> bool:
        """Tell whether a problem with this solve rate stays in the pool; one without a solve rate does."""
        if rate is None:
            return True
        if self.mode == "rollouts":
            return rate.solve_rate < 1
        return round(rate.solve_rate * self.attempts, 6) <= self.keep_solved_at_most

    @property
    def rule(self) -> str:
        """Which problems it keeps, in words."""
        often = f"solved at most {self.keep_solved_at_most} of {self.attempts}"
        words = {"rollouts": "not solved by all rollouts of the epoch", "levels": ""}.get(self.mode, often)
        levels = f"levels {self.levels[0]} to {self.levels[1]}" if self.levels else ""
        return ", ".join(filter(None, (levels, words)))

    def check(self, config: Config, others: Sequence[Callback]) -> None:
        """Check the settings before anything is loaded.

        Args:
            config: settings of the run.
            others: all callbacks that the settings name.

        Raises:
            UserError: a value is out of range, or two of them contradict each other.
        """
        check_choice(self.mode, MODES, self.setting("mode"))
        for name, low in (("attempts", 1), ("keep_solved_at_most", 0), ("every_n_steps", 0)):
            check_whole(getattr(self, name), low, self.setting(name))
        if self.keep_solved_at_most >= self.attempts and self.mode in ("measure", "known"):
            given = f"{self.setting('keep_solved_at_most')}={self.keep_solved_at_most}"
            raise UserError(f"{given}: keeps every problem with attempts={self.attempts}; set 0 to {self.attempts - 1}")
        check_choices(self.stages, stage_names(config, others), self.setting("stages"))
        self._check_levels()
        self._check_rates(config, others)

    def _check_levels(self) -> None:
        if self.levels is not None:
            read_levels(self.levels, self.setting("levels"))
        elif self.mode == "levels":
            raise UserError(f"{self.setting('mode')}=levels: needs {self.setting('levels')}, such as [3, 8]")
        if self.levels is not None and self.mode == "rollouts":
            raise UserError(
                f"{self.setting('levels')}={shown(list(self.levels))}: mode=rollouts leaves nothing out before an "
                "epoch is over; give levels to the stage, or to another refilter with mode=levels"
            )

    def _check_rates(self, config: Config, others: Sequence[Callback]) -> None:
        if not isinstance(self.rates, str):
            raise UserError(f"{self.setting('rates')}={shown(self.rates)}: must be the path of a Parquet file")
        if self.rates and self.mode != "known":
            given = f"{self.setting('rates')}={self.rates}"
            raise UserError(f"{given}: mode={self.mode} finds its own solve rates; use mode=known")
        if self.rates:
            read_rates(Path(self.rates), self.setting("rates"))
        elif self.mode == "known":
            self._check_rates_of_others(stage_names(config, others), others)

    def _check_rates_of_others(self, names: Sequence[str], others: Sequence[Callback]) -> None:
        """Check that another refilter finds solve rates no later than this one needs them."""
        settings = [getattr(other, "settings", None) for other in others]
        refilters = [each for each in settings if isinstance(each, RefilterSettings)]
        found = [each.first_stage(names) for each in refilters if each.mode in FINDS_RATES]
        if not any(first <= self.first_stage(names) for first in found):
            later = ": other refilters find them only in later stages" if found else ""
            raise UserError(
                f"{self.setting('mode')}=known: no solve rates are known{later}; set {self.setting('rates')}=… or use "
                "mode=measure"
            )

    def first_stage(self, names: Sequence[str]) -> int:
        """Return the number of the first stage that it works in; 0 if it names none of them, which `check` refuses."""
        return min((number for number, name in enumerate(names) if self.works_in(name)), default=0)

    def check_pools(self, trainer: Trainer, module: PolicyModule) -> None:
        """Check, once problems are loaded, that each of its stages has enough of them.

        Raises:
            UserError: a stage has too few problems of the levels, or none with a solve rate in `rates`.
        """
        data = data_of(trainer)
        for stage in stages_of_run(module.config, callbacks_of(trainer)):
            if not self.works_in(stage.name):
                continue
            pool = data.problem_ids(stage.domain or "", stage.source or "", stage.levels)
            left = of_levels(data, pool, stage.domain or "", self.levels)
            if self.levels is not None and len(left) < (stage.prompts_per_step or 0):
                raise UserError(
                    f"{self.setting('levels')}={shown(list(self.levels))} leaves {len(left)} of {len(pool)} problems "
                    f"of stage {stage.name}, fewer than the {stage.prompts_per_step} of a step: take more levels"
                )
            if self.rates:
                known(trainer, module, left, self.rates, self.setting("rates"))

    def check_left(self, before: int, kept: int, rates: Mapping[str, SolveRate], needed: int) -> None:
        """Check that enough problems are left.

        Args:
            before, kept: problems of the pool.
            rates: their solve rates, as far as they are known.
            needed: problems of a step.

        Raises:
            UserError: too few; the message has the histogram of solve rates.
        """
        if kept >= needed:
            return
        name, instead = {
            "rollouts": ("mode", "end the stage sooner"),
            "levels": ("levels", "take more levels"),
        }.get(self.mode, ("keep_solved_at_most", "raise it"))
        attempts = max((rate.attempts or self.attempts for rate in rates.values()), default=0)
        spread = f"; {histogram((rate.solve_rate for rate in rates.values()), attempts)}" if rates else ""
        raise UserError(
            f"{self.setting(name)}={shown(getattr(self, name))} leaves {kept} of {before} problems, fewer than the "
            f"{needed} of a step: {instead} or lower curriculum.prompts_per_step{spread}"
        )
