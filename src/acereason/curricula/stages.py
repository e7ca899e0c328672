"""The stages of a curriculum as the settings have them: what each changes, and when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from acereason.config.fields import nearest, shown
from acereason.config.schema import Config
from acereason.curricula.arguments import check_whole, is_whole, read_mapping
from acereason.curricula.plateau import Plateau
from acereason.errors import UserError
from acereason.problems.loaders import sources
from acereason.rollout.curriculum import check_value


@dataclass(frozen=True)
class StageEnd:
    """The end of a stage: whichever of these comes first.

    Attributes:
        steps: number of rollout steps.
        epochs: number of epochs over its pool.
        plateau: a metric that has stopped rising.
    """

    steps: int | None = None
    epochs: int | None = None
    plateau: Plateau | None = None

    @property
    def at_least(self) -> int:
        """Number of steps that the stage takes at least."""
        return self.steps if self.steps and not self.epochs and not self.plateau else 1

    def __str__(self) -> str:
        """Words such as `400 steps or a plateau of reward/mean`."""
        parts = [f"{number} {unit}" for number, unit in ((self.steps, "steps"), (self.epochs, "epochs")) if number]
        return " or ".join([*parts, *([f"a plateau of {self.plateau.metric}"] if self.plateau else [])])


@dataclass(frozen=True)
class Stage:
    """One stage; a value of None is taken over from the stage before, except for `source` and `levels`.

    Attributes:
        name: different from that of any other stage.
        ends: when it is over; the run is over with the last stage.
        domain: `math` or `code`.
        source: name of the source of its problems; None for all sources of the domain.
        levels: lowest and highest level of its problems; None for all.
        max_response_tokens: longest response, tokens.
        prompts_per_step, rollouts_per_prompt: size of a rollout step.
        temperature, top_p: of sampling.
        learning_rate: of AdamW, after warm-up.
        warmup_steps: number of optimizer steps over which the learning rate rises.
    """

    name: str
    ends: StageEnd
    domain: str | None = None
    source: str | None = None
    levels: tuple[int, int] | None = None
    max_response_tokens: int | None = None
    prompts_per_step: int | None = None
    rollouts_per_prompt: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    learning_rate: float | None = None
    warmup_steps: int | None = None

    @property
    def problems(self) -> list[Any]:
        """Its source and levels, as plain data."""
        return [self.source, list(self.levels) if self.levels else None]

    def values(self) -> dict[str, Any]:
        """Return the values that it sets in the curriculum, by name; the data module finds its pool."""
        given = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        values = {name: given[name] for name in _CURRICULUM if given[name] is not None}
        return {"stage": self.name, **values}


_CURRICULUM = tuple(entry.name for entry in fields(Stage) if entry.name not in ("name", "ends", "source", "levels"))


def read_stages(value: Any, setting: str) -> list[Stage]:
    """Return the stages of a list of mappings.

    Args:
        value: as the settings have it.
        setting: key of the list, for messages.

    Raises:
        UserError: there is no stage, two have the same name, a name is unknown or a value out of range.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        example = "[{name: math, ends: {steps: 100}}]"
        raise UserError(f"{setting}={shown(value)}: needs a list of at least one stage, such as {example}")
    stages = [_read_stage(entry, f"{setting}[{number}]") for number, entry in enumerate(value)]
    names = [stage.name for stage in stages]
    for number, name in enumerate(names):
        if name in (".", "..") or Path(name).name != name:
            raise UserError(f"{setting}[{number}].name={shown(name)}: must be usable as the name of a folder")
    for number, name in enumerate(names):
        if name in names[:number]:
            raise UserError(f"{setting}[{number}].name={name}: an earlier stage has this name; give each its own")
    return stages


def _read_stage(value: Any, setting: str) -> Stage:
    entry = read_mapping(value, [entry.name for entry in fields(Stage)], setting)
    if not isinstance(entry.get("name"), str) or not entry["name"]:
        raise UserError(f"{setting}.name={shown(entry.get('name'))}: a stage needs a name")
    for name in _CURRICULUM:
        if entry.get(name) is not None:
            check_value(name, entry[name], f"{setting}.{name}={shown(entry[name])}")
    if not isinstance(entry.get("source", ""), str | None):
        raise UserError(f"{setting}.source={shown(entry['source'])}: must be the name of a source of problems")
    levels = entry.get("levels")
    if levels is not None:
        entry["levels"] = read_levels(levels, f"{setting}.levels")
    return Stage(**{**entry, "ends": _read_end(entry.get("ends"), f"{setting}.ends")})


def _read_end(value: Any, setting: str) -> StageEnd:
    entry = read_mapping(value, [entry.name for entry in fields(StageEnd)], setting)
    if not any(entry.get(name) is not None for name in ("steps", "epochs", "plateau")):
        raise UserError(f"{setting}={shown(value)}: say when the stage ends: steps, epochs or plateau")
    for name in ("steps", "epochs"):
        if entry.get(name) is not None:
            check_whole(entry[name], 1, f"{setting}.{name}")
    if entry.get("plateau") is not None:
        entry["plateau"] = Plateau.read(entry["plateau"], f"{setting}.plateau")
    return StageEnd(**entry)


def filled(stages: Sequence[Stage], config: Config) -> list[Stage]:
    """Return the stages with the values that each takes over from the one before, and the first from the settings."""
    before: dict[str, Any] = {
        **{name: getattr(config.curriculum, name) for name in _CURRICULUM if hasattr(config.curriculum, name)},
        "domain": config.problems.domain.value,
        "warmup_steps": config.optimizer.warmup_steps,
    }
    result = []
    for stage in stages:
        before |= {name: getattr(stage, name) for name in _CURRICULUM if getattr(stage, name) is not None}
        result.append(replace(stage, **before))
    return result


def check_stage(stage: Stage, setting: str, config: Config) -> None:
    """Check that a `filled` stage can run with these settings.

    Raises:
        UserError: it has no source of problems, or a batch that ranks or updates cannot divide.
    """
    known = sources(config)
    if stage.source is not None and stage.source not in known:
        raise UserError(f"{setting}.source={stage.source}: {nearest(stage.source, known)}")
    chosen = [source for name, source in known.items() if stage.source in (None, name)]
    if not any(source.domain.value == stage.domain for source in chosen):
        where = f"source {stage.source}" if stage.source else "any source of problems; add one to more_problems"
        raise UserError(f"{setting}.domain={stage.domain}: not the domain of {where}")
    for words, number in {"ranks": config.trainer.ranks, "updates": config.grpo.updates_per_batch}.items():
        if (stage.prompts_per_step or 0) % number:
            given = f"{setting}.prompts_per_step={stage.prompts_per_step}"
            raise UserError(f"{given}: must be a multiple of the {number} {words}")


def stage_names(config: Config, others: Sequence[Callback]) -> list[str]:
    """Return the names of the stages of a run: those of its stage switch, else the one of the settings."""
    return [stage.name for stage in stages_of_run(config, others)]


def stages_of_run(config: Config, callbacks: Iterable[object]) -> list[Stage]:
    """Return the stages of a run, `filled`; one for the whole run if no callback leads it through stages."""
    alone = Stage(config.curriculum.stage, StageEnd(steps=config.trainer.max_steps))
    return filled(stages_of(callbacks) or [alone], config)


def stages_of(callbacks: Iterable[object]) -> list[Stage]:
    """Return the stages of the callback that leads a run through some; empty without one."""
    return next(filter(None, map(stages_led_by, callbacks)), [])


def stages_led_by(callback: object) -> list[Stage]:
    """Return the stages that a callback leads a run through; empty if its `stages` are none, or something else."""
    stages = getattr(callback, "stages", None)
    if isinstance(stages, list) and all(isinstance(stage, Stage) for stage in stages):
        return stages
    return []


def read_levels(value: Any, setting: str) -> tuple[int, int]:
    """Return the lowest and the highest level.

    Raises:
        UserError: these are not two whole numbers, the lowest first.
    """
    fits = isinstance(value, Sequence) and len(value) == 2 and all(map(is_whole, value))
    if not fits or value[0] > value[1]:
        raise UserError(f"{setting}={shown(value)}: must be the lowest and the highest level, such as [0, 5]")
    return value[0], value[1]
