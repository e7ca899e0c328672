"""Extends the length of responses: by schedule, at a plateau, or when many are cut off (§3.2.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import Callback, Trainer

from acereason.config.schema import Config
from acereason.config.setting import Bounds
from acereason.curricula.arguments import check_choices, check_number, check_rising, check_whole
from acereason.curricula.callback import CurriculumCallback
from acereason.curricula.plateau import Plateau, check_metric, measured
from acereason.curricula.stages import stage_names
from acereason.errors import UserError
from acereason.policy.module import PolicyModule


class LengthExtension(CurriculumCallback):
    """Raises `max_response_tokens` to the next of `lengths` at the first of up to four events; never lowers it.

    Args:
        lengths: tokens, each above the one before (paper: 8K, 16K, 24K, 32K).
        every_n_steps: extend after this many rollout steps at one length.
        at_steps: extend after these rollout steps, counted from the start of the run; with `stages`, of the stage.
        plateau: `{metric, patience, min_gain, window}`: extend when the metric has stopped rising at this length.
        truncated_above: extend when more than this share of the responses were cut off in `patience` steps in a row.
        patience: steps for `truncated_above`.
        stages: names of the stages in which it works; empty for all.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        every_n_steps: int | None = None,
        at_steps: Sequence[int] | None = None,
        plateau: Mapping[str, Any] | None = None,
        truncated_above: float | None = None,
        patience: int = 5,
        stages: Sequence[str] = (),
    ) -> None:
        self.lengths, self.every_n_steps, self.at_steps = lengths, every_n_steps, at_steps
        self.plateau = None if plateau is None else Plateau.read(plateau, self.setting("plateau"))
        self.truncated_above, self.patience, self.stages = truncated_above, patience, stages
        self.since = self.truncated_steps = 0

    def check(self, config: Config, others: Sequence[Callback]) -> None:
        """Check each setting by itself, and that at least one says when to extend."""
        check_rising(self.lengths, 1, self.setting("lengths"))
        if self.every_n_steps is not None:
            check_whole(self.every_n_steps, 1, self.setting("every_n_steps"))
        if self.at_steps is not None:
            check_rising(self.at_steps, 1, self.setting("at_steps"))
        if self.plateau is not None:
            check_metric(self.plateau.metric, self.setting("plateau.metric"), config, others, self)
        if self.truncated_above is not None:
            check_number(self.truncated_above, Bounds(ge=0, lt=1), self.setting("truncated_above"))
        check_whole(self.patience, 1, self.setting("patience"))
        names = stage_names(config, others)
        check_choices(self.stages, names, self.setting("stages"))
        first = config.curriculum.max_response_tokens
        if names == [config.curriculum.stage] and self.lengths[-1] <= first:
            none = f"none is above curriculum.max_response_tokens={first}, where the run begins"
            raise UserError(f"{self.setting('lengths')}={list(self.lengths)}: {none}")
        given = (self.every_n_steps, self.at_steps, self.plateau, self.truncated_above)
        if all(trigger is None for trigger in given):
            triggers = "every_n_steps, at_steps, plateau or truncated_above"
            raise UserError(f"{self.setting('lengths')}: nothing says when to extend; set {triggers}")

    def longest_response(self, config: Config) -> int:
        """Return the last length."""
        return max(self.lengths)

    def on_train_batch_end(self, trainer: Trainer, module: PolicyModule, *_: object) -> None:
        """Extend the length, from the next rollouts on, if the step that is done gives a reason."""
        curriculum = module.curriculum
        longer = [length for length in self.lengths if length > curriculum.max_response_tokens]
        if not longer or (self.stages and curriculum.stage not in self.stages):
            return
        changes = [change.step for change in curriculum.history if change.what == "max_response_tokens"]
        since = max([curriculum.stage_since, *changes])
        if since != self.since:  # a new stage or length, whoever set it: what came before says nothing about it
            self.since, self.truncated_steps = since, 0
            if self.plateau:
                self.plateau.reset()
        if curriculum.step > since and (why := self._reasons(trainer, module)):
            curriculum.change(self.name, " and ".join(why), max_response_tokens=longer[0])

    def _reasons(self, trainer: Trainer, module: PolicyModule) -> list[str]:
        curriculum, why = module.curriculum, []
        here = curriculum.step - self.since
        if self.every_n_steps is not None and here >= self.every_n_steps:
            why.append(f"{here} steps at this length")
        done = curriculum.step - (curriculum.stage_since if self.stages else 0)
        if done in (self.at_steps or ()):
            why.append(f"step {done}")
        if plateau := self.plateau:
            value, step = measured(plateau.metric, self.setting("plateau.metric"), trainer, module)
            if plateau.update(value, step):
                why.append(str(plateau))
        if self.truncated_above is not None:
            is_above = module.metrics["response/truncated"] > self.truncated_above
            self.truncated_steps = self.truncated_steps + 1 if is_above else 0
            if self.truncated_steps >= self.patience:
                why.append(f"more than {self.truncated_above:.0%} truncated {self.truncated_steps} steps in a row")
        return why

    def state_dict(self) -> dict[str, Any]:
        """Return what it has seen at the present length."""
        plateau = self.plateau.state_dict() if self.plateau else None
        return {"since": self.since, "truncated_steps": self.truncated_steps, "plateau": plateau}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it from a checkpoint."""
        self.since, self.truncated_steps = state_dict["since"], state_dict["truncated_steps"]
        if self.plateau and state_dict["plateau"]:
            self.plateau.load_state_dict(state_dict["plateau"])
