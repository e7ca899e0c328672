"""Temperature, top-p and rollouts a prompt by epoch or step: 0.6 → 1.0 and 8 → 16 in the second code stage (§3.3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import Callback, Trainer

from acereason.config.fields import shown
from acereason.config.schema import Config
from acereason.curricula.arguments import check_choice, check_choices, check_rising, read_mapping
from acereason.curricula.callback import CurriculumCallback
from acereason.curricula.stages import stage_names
from acereason.errors import UserError
from acereason.policy.module import PolicyModule
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import check_value

EXAMPLE = "[{at: 0, temperature: 0.6}, {at: 1, temperature: 0.8}]"
VALUES = ("temperature", "top_p", "rollouts_per_prompt")


class SamplingSchedule(CurriculumCallback):
    """Sets the values of each point once, when it is due; in between, other callbacks may change them.

    Epochs and steps are counted from the start of the run; with `stages`, from the start of the stage.

    Args:
        points: mappings such as `{at: 1, temperature: 0.8, rollouts_per_prompt: 16}`, with rising `at`. A point leaves
            unchanged what it does not name. `at: 0` holds from the first rollouts on.
        by: unit of `at`: `epoch` (epochs completed) or `step` (rollout steps done).
        stages: names of the stages in which it works; empty for all.
    """

    def __init__(self, points: Sequence[Mapping[str, Any]], by: str = "epoch", stages: Sequence[str] = ()) -> None:
        self.points, self.by, self.stages = points, by, stages
        self.since = self.epochs = self.points_done = 0

    def check(self, config: Config, others: Sequence[Callback]) -> None:
        """Check each setting by itself."""
        check_choice(self.by, ("epoch", "step"), self.setting("by"))
        check_choices(self.stages, stage_names(config, others), self.setting("stages"))
        if isinstance(self.points, str) or not isinstance(self.points, Sequence) or not self.points:
            raise UserError(f"{self.setting('points')}={shown(self.points)}: needs a list, such as {EXAMPLE}")
        points = [self._read(place) for place in range(len(self.points))]
        check_rising([point["at"] for point in points], 0, self.setting("points[…].at"))

    def _read(self, place: int) -> dict[str, Any]:
        setting = self.setting(f"points[{place}]")
        point = read_mapping(self.points[place], ["at", *VALUES], setting)
        if len(point) < 2 or "at" not in point:
            raise UserError(f"{setting}={shown(point)}: needs at, and at least one of {', '.join(VALUES)}")
        for name in point.keys() & set(VALUES):
            check_value(name, point[name], f"{setting}.{name}={shown(point[name])}")
        return point

    def on_train_batch_end(
        self, trainer: Trainer, module: PolicyModule, outputs: object, batch: RolloutBatch, batch_idx: int
    ) -> None:
        """Count epochs, also where a smaller pool makes the data module restart its own count."""
        self.epochs += batch.ends_epoch

    def on_rollouts_start(self, trainer: Trainer, module: PolicyModule) -> None:
        """Set what is due: before the rollouts, when the stage is settled, so that `at: 0` holds for the first ones."""
        curriculum = module.curriculum
        if self.stages and curriculum.stage not in self.stages:
            return
        since = curriculum.stage_since if self.stages else 0
        if since != self.since:
            self.since, self.epochs, self.points_done = since, 0, 0
        now = self.epochs if self.by == "epoch" else curriculum.step - since
        due = [point for point in self.points[self.points_done :] if point["at"] <= now]
        values = {name: point[name] for point in due for name in VALUES if name in point}
        curriculum.change(self.name, f"after {now} {self.by}{'s' if now != 1 else ''}", **values)
        self.points_done += len(due)

    def state_dict(self) -> dict[str, int]:
        """Return how far it is."""
        return {"since": self.since, "epochs": self.epochs, "points_done": self.points_done}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Take it from a checkpoint."""
        self.since, self.epochs = state_dict["since"], state_dict["epochs"]
        self.points_done = state_dict["points_done"]
