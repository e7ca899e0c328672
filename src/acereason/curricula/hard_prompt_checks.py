"""What a hard-prompt refilter cannot work with: settings before a run, and too few problems in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer

from acereason.config.fields import shown
from acereason.config.schema import Config
from acereason.curricula.arguments import check_choice, check_choices, check_whole
from acereason.curricula.hard_prompts import known, of_levels
from acereason.curricula.histograms import histogram
from acereason.curricula.stages import read_levels, stage_names, stages_of_run
from acereason.errors import UserError
from acereason.evaluation.solve_rates import SolveRate, read_rates

MODES = ("measure", "rollouts", "known", "levels")
FINDS_RATES = ("measure", "rollouts")


def check_refilter(refilter: Any, config: Config, others: Sequence[Callback]) -> None:
    """Makes sure that a refilter's settings can work.

    Args:
        refilter: with the attributes of `callbacks.hard_prompt_refilter.HardPromptRefilter`.
        config: the run's settings.
        others: all callbacks that the settings name.

    Raises:
        UserError: they cannot.
    """
    check_choice(refilter.mode, MODES, refilter.setting("mode"))
    for name, low in (("attempts", 1), ("keep_solved_at_most", 0), ("every_n_steps", 0)):
        check_whole(getattr(refilter, name), low, refilter.setting(name))
    attempts, most = refilter.attempts, refilter.keep_solved_at_most
    if most >= attempts and refilter.mode in ("measure", "known"):
        raise UserError(
            f"{refilter.setting('keep_solved_at_most')}={most}: keeps everything with attempts={attempts}; "
            f"give 0 to {attempts - 1}"
        )
    check_choices(refilter.stages, stage_names(config, others), refilter.setting("stages"))
    _check_levels(refilter)
    _check_rates(refilter, config, others)


def check_pools(refilter: Any, trainer: Trainer, module: Any) -> None:
    """Makes sure, once problems are loaded, that each of its stages has enough of its levels, and some that are known.

    Raises:
        UserError: one has not.
    """
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    for stage in stages_of_run(module.config, trainer.callbacks):  # type: ignore[attr-defined]
        if refilter.stages and stage.name not in refilter.stages:
            continue
        pool = data.problem_ids(stage.domain, stage.source or "", stage.levels)
        left = of_levels(data, pool, stage.domain or "", refilter.levels)
        if refilter.levels is not None and len(left) < (stage.prompts_per_step or 0):
            raise UserError(
                f"{refilter.setting('levels')}={shown(list(refilter.levels))} leaves {len(left)} of {len(pool)} "
                f"problems of stage {stage.name}, fewer than the {stage.prompts_per_step} of a step: take more levels"
            )
        if refilter.rates:
            known(trainer, module, left, refilter.rates, refilter.setting("rates"))


def _check_levels(refilter: Any) -> None:
    if refilter.levels is not None:
        read_levels(refilter.levels, refilter.setting("levels"))
    elif refilter.mode == "levels":
        raise UserError(f"{refilter.setting('mode')}=levels: needs {refilter.setting('levels')}, such as [3, 8]")
    if refilter.levels is not None and refilter.mode == "rollouts":
        raise UserError(
            f"{refilter.setting('levels')}={shown(list(refilter.levels))}: mode=rollouts leaves nothing out "
            "before an epoch is over; give levels to the stage, or to another refilter with mode=levels"
        )


def _check_rates(refilter: Any, config: Config, others: Sequence[Callback]) -> None:
    if not isinstance(refilter.rates, str):
        raise UserError(f"{refilter.setting('rates')}={shown(refilter.rates)}: must be the path of a Parquet file")
    if refilter.rates:
        if refilter.mode != "known":
            raise UserError(
                f"{refilter.setting('rates')}={refilter.rates}: mode={refilter.mode} finds its own; use mode=known"
            )
        read_rates(Path(refilter.rates), refilter.setting("rates"))
    elif refilter.mode == "known":
        names, finders = stage_names(config, others), [other for other in others if _finds_rates(refilter, other)]
        begins, *found = [_begins(each, names) for each in (refilter, *finders)]
        if not any(first <= begins for first in found):
            later = ", as others find them in later stages only" if found else ""
            raise UserError(
                f"{refilter.setting('mode')}=known: a refilter without solve rates{later}; give "
                f"{refilter.setting('rates')}=… or use mode=measure"
            )


def _begins(refilter: Any, names: Sequence[str]) -> int:
    """Number of the first stage that it works in; what it names wrongly is told by its own check."""
    return min((number for number, name in enumerate(names) if name in (refilter.stages or names)), default=0)


def _finds_rates(refilter: Any, other: Any) -> bool:
    return isinstance(other, type(refilter)) and other.mode in FINDS_RATES


def check_left(refilter: Any, before: int, kept: int, rates: Mapping[str, SolveRate], needed: int) -> None:
    """Makes sure that enough problems are left.

    Args:
        refilter: as for `check_refilter`.
        before, kept: problems of the pool.
        rates: their solve rates, as far as they are known.
        needed: problems of a step.

    Raises:
        UserError: too few; the message has the histogram of solve rates.
    """
    if kept >= needed:
        return
    name, way_out = {
        "rollouts": ("mode", "end the stage sooner"),
        "levels": ("levels", "take more levels"),
    }.get(refilter.mode, ("keep_solved_at_most", "raise it"))
    attempts = max((rate.attempts or refilter.attempts for rate in rates.values()), default=0)
    spread = f"; {histogram((rate.solve_rate for rate in rates.values()), attempts)}" if rates else ""
    raise UserError(
        f"{refilter.setting(name)}={shown(getattr(refilter, name))} leaves {kept} of {before} problems, fewer than the "
        f"{needed} of a step: {way_out} or lower curriculum.prompts_per_step{spread}"
    )
