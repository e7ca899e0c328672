"""The stages of a run as the plan shows them: one row each, with the values it keeps from the stage before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from acereason.config.schema import Config

if TYPE_CHECKING:
    from acereason.curricula.stages import Stage, StageEnd

HEADINGS = ("name", "problems", "tokens", "batch", "temp.", "lr", "tokens a step", "ends after")


@dataclass(frozen=True)
class PlannedStage:
    """The values of a stage at its start; other callbacks may change them later.

    Attributes:
        name: of the stage.
        problems: their domain, source and levels, in words.
        max_response_tokens, prompts_per_step, rollouts_per_prompt, temperature, learning_rate: as in the curriculum.
        ends: in words.
    """

    name: str
    problems: str
    max_response_tokens: int
    prompts_per_step: int
    rollouts_per_prompt: int
    temperature: float
    learning_rate: float
    ends: str

    @property
    def responses(self) -> int:
        """Responses of one rollout step."""
        return self.prompts_per_step * self.rollouts_per_prompt

    def cells(self) -> list[str]:
        """Return the row under `HEADINGS`; tokens a step are those of a batch of longest responses."""
        size = f"{self.prompts_per_step} × {self.rollouts_per_prompt}"
        most = f"{self.responses * self.max_response_tokens:,}"
        numbers = [f"{self.max_response_tokens:,}", size, f"{self.temperature:g}", f"{self.learning_rate:g}", most]
        return [self.name, self.problems, *numbers, self.ends]


def stages_of(callbacks: Sequence[Any]) -> list[Stage]:
    """Return the stages of the callback that leads a run through stages; empty, and nothing imported, without one."""
    if not callbacks:
        return []
    from acereason.curricula import stages

    return stages.stages_of(callbacks)


def planned_stages(config: Config, stages: Sequence[Stage]) -> list[PlannedStage]:
    """Return each stage with the values it keeps from the one before; without stages, the whole run as one."""
    first = config.curriculum
    now = PlannedStage(
        first.stage,
        config.problems.domain.value,
        first.max_response_tokens,
        first.prompts_per_step,
        first.rollouts_per_prompt,
        first.temperature,
        first.learning_rate,
        f"{config.trainer.max_steps:,} steps",
    )
    domain, planned, begins = config.problems.domain.value, [], 0
    for stage in stages:
        domain = stage.domain or domain
        values = {name: value for name, value in stage.values().items() if hasattr(now, name)}
        ends = _ends(stage.ends, begins, config.trainer.max_steps)
        now = replace(now, **values, name=stage.name, problems=_problems(stage, domain), ends=ends)
        planned.append(now)
        begins += stage.ends.at_least
    return planned or [now]


def _ends(ends: StageEnd, begins: int, max_steps: int) -> str:
    """Return in words when a stage ends that begins after `begins` steps at the earliest."""
    if begins >= max_steps:
        return f"does not begin: trainer.max_steps={max_steps}"
    comes_first = f", or trainer.max_steps={max_steps}" if begins + ends.at_least > max_steps else ""
    return f"{ends}{comes_first}"


def _problems(stage: Stage, domain: str) -> str:
    source = f" of {stage.source}" if stage.source else ""
    return f"{domain}{source}" + (f", levels {stage.levels[0]} to {stage.levels[1]}" if stage.levels else "")


def table(stages: Sequence[PlannedStage]) -> list[str]:
    """Return lines of aligned columns, headings first; numbers to the right, words to the left."""
    rows = [list(HEADINGS), *(stage.cells() for stage in stages)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = {HEADINGS.index(name) for name in ("name", "problems", "ends after")}
    return [
        "  ".join(
            cell.ljust(width) if number in words else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
