"""One run through several stages: math with short responses, then longer ones, then code … (§3.2.2, §3.3.2, §3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, Trainer

from acereason.config.fields import shown
from acereason.config.schema import Config
from acereason.curricula.callback import CurriculumCallback
from acereason.curricula.plateau import check_metric, measured
from acereason.curricula.stages import Stage, check_stage, filled, read_stages, stages_led_by
from acereason.errors import UserError
from acereason.policy.module import PolicyModule
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.data import data_of


class StageSwitch(CurriculumCallback):
    """Leads a run through its stages; each ends by steps, epochs or a plateau, and the run ends with the last one.

    The values of a stage hold from its first rollouts on, without any restart. At its end the run evaluates, exports
    the policy and saves a checkpoint: other callbacks do so when they see `curriculum.stage_since` move.

    Args:
        stages: mappings, see `acereason.curricula.stages.Stage`.
        reset_optimizer: begin each stage but the first with fresh moments, as separate launches do.
    """

    logs = ("curriculum/stage",)

    def __init__(self, stages: Sequence[Any], reset_optimizer: bool = True) -> None:
        self.stages = read_stages(stages, self.setting("stages"))
        self.reset_optimizer = reset_optimizer
        self.number = -1
        self.epochs = 0
        self.saved: dict[str, Any] = {}

    def check(self, config: Config, others: Sequence[Callback]) -> None:
        """Check each stage by itself; `setup` checks that it has problems."""
        if not isinstance(self.reset_optimizer, bool):
            given = f"{self.setting('reset_optimizer')}={shown(self.reset_optimizer)}"
            raise UserError(f"{given}: must be true or false")
        first = next(other for other in others if stages_led_by(other))
        if first is not self:
            name = getattr(first, "name", type(first).__name__)
            twice = f"callbacks.{name} already leads the run through stages; callbacks.{name}=null turns it off"
            raise UserError(f"{self.setting('stages')}: {twice}")
        for number, stage in enumerate(filled(self.stages, config)):
            setting = self.setting(f"stages[{number}]")
            check_stage(stage, setting, config)
            if stage.ends.plateau:
                check_metric(stage.ends.plateau.metric, f"{setting}.ends.plateau.metric", config, others, self)

    def longest_response(self, config: Config) -> int:
        """Return the longest response of all stages."""
        return max(stage.max_response_tokens or 0 for stage in self.stages)

    def setup(self, trainer: Trainer, module: PolicyModule, stage: str) -> None:
        """Check that every stage has enough problems for a step."""
        for number, each in enumerate(filled(self.stages, module.config)):
            found, needed = len(self._pool(trainer, number, each, each.domain or "")), each.prompts_per_step or 0
            if found < needed:
                has = f"stage {each.name} has {found} problems, fewer than the {needed} of a step"
                raise UserError(f"{self.setting(f'stages[{number}]')}: {has}")

    def on_train_start(self, trainer: Trainer, module: PolicyModule) -> None:
        """Begin the first stage of a fresh run; apply what the settings of a resumed one have changed."""
        if self.number < 0:
            self._begin(trainer, module, "the run begins")
        elif self.saved:
            self._take_over(trainer, module, self.saved)
            self._end_when_due(trainer, module)

    def on_train_batch_end(
        self, trainer: Trainer, module: PolicyModule, outputs: object, batch: RolloutBatch, batch_idx: int
    ) -> None:
        """End the stage when it is due."""
        module.metrics["curriculum/stage"] = float(self.number)
        self.epochs += batch.ends_epoch
        if plateau := self.stages[self.number].ends.plateau:
            setting = self.setting(f"stages[{self.number}].ends.plateau.metric")
            plateau.update(*measured(plateau.metric, setting, trainer, module))
        self._end_when_due(trainer, module)

    def _end_when_due(self, trainer: Trainer, module: PolicyModule) -> None:
        stage, steps = self.stages[self.number], module.curriculum.step - module.curriculum.stage_since
        ends, plateau = stage.ends, stage.ends.plateau
        reached = {
            f"{steps} steps": ends.steps is not None and steps >= ends.steps,
            f"{self.epochs} epochs": ends.epochs is not None and self.epochs >= ends.epochs,
            f"{plateau}": plateau is not None and plateau.is_flat,
        }
        reasons = [reason for reason, holds in reached.items() if holds]
        if reasons:
            self._begin(trainer, module, f"{stage.name} ends after {' and '.join(reasons)}")

    def _take_over(self, trainer: Trainer, module: PolicyModule, saved: dict[str, Any]) -> None:
        """Apply the values of the present stage that differ from those in the checkpoint."""
        stage = self.stages[self.number]
        values = {name: value for name, value in stage.values().items() if value != saved["values"].get(name)}
        if (stage.problems, stage.domain) != (saved["problems"], saved["values"].get("domain")):
            values["pool"] = self._pool(trainer, self.number, stage, stage.domain or module.curriculum.domain)
        module.curriculum.change(self.name, f"{stage.name} has other settings now", **values)

    def _begin(self, trainer: Trainer, module: PolicyModule, why: str) -> None:
        if self.number + 1 == len(self.stages):
            trainer.should_stop = True
            return
        self.number, self.epochs = self.number + 1, 0
        stage = self.stages[self.number]
        domain = stage.domain or module.curriculum.domain
        pool = self._pool(trainer, self.number, stage, domain)
        module.curriculum.change(self.name, why, **stage.values(), pool=pool)
        if self.reset_optimizer and self.number:
            module.reset_optimizer()

    def _pool(self, trainer: Trainer, number: int, stage: Stage, domain: str) -> list[str]:
        pool = data_of(trainer).problem_ids(domain, stage.source or "", stage.levels)
        if not pool:
            which = f"source {stage.source or 'any'}, levels {list(stage.levels) if stage.levels else 'any'}"
            setting = self.setting(f"stages[{number}]")
            raise UserError(f"{setting}: stage {stage.name} has no {domain} problem ({which})")
        return pool

    def state_dict(self) -> dict[str, Any]:
        """Return the values of the present stage, its epochs, and what its plateau has seen."""
        stage = self.stages[self.number]
        plateau = stage.ends.plateau.state_dict() if stage.ends.plateau else None
        return {"values": stage.values(), "problems": stage.problems, "epochs": self.epochs, "plateau": plateau}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them from a checkpoint.

        Raises:
            UserError: the list has no stage of that name any more.
        """
        names, name = [stage.name for stage in self.stages], state_dict["values"]["stage"]
        if name not in names:
            gone = f"the checkpoint was saved in stage {name}, which is not among {', '.join(names)}"
            raise UserError(f"{self.setting('stages')}: {gone}; keep its name")
        self.number, self.epochs, self.saved = names.index(name), state_dict["epochs"], state_dict
        plateau = self.stages[self.number].ends.plateau
        if plateau and state_dict["plateau"]:
            plateau.load_state_dict(state_dict["plateau"])
