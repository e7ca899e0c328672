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
class Ends:
    """When a stage ends: with the first of these to happen.

    Attributes:
        steps: rollout steps.
        epochs: epochs over its pool.
        plateau: a metric that rises no more.
    """

    steps: int | None = None
    epochs: int | None = None
    plateau: Plateau | None = None

    @property
    def at_least(self) -> int:
        """Steps that the stage takes, as far as they are known before."""
        return self.steps if self.steps and not self.epochs and not self.plateau else 1

    def __str__(self) -> str:
        """In words, such as `400 steps or a plateau of reward/mean`."""
        parts = [f"{number} {unit}" for number, unit in ((self.steps, "steps"), (self.epochs, "epochs")) if number]
        return " or ".join([*parts, *([f"a plateau of {self.plateau.metric}"] if self.plateau else [])])


@dataclass(frozen=True)
class Stage:
    """One stage; what is None stays as the stage before had it, but for `source` and `levels`.

    Attributes:
        name: unlike that of any other.
        ends: when it is over; the run is when the last one is.
        domain: `math` or `code`.
        source: name of the source of its problems; None for all of the domain.
        levels: lowest and highest level of its problems; None for all.
        max_response_tokens: longest response, tokens.
        prompts_per_step, rollouts_per_prompt: the size of a rollout step.
        temperature, top_p: how responses are sampled.
        learning_rate: of AdamW, after warm-up.
        warmup_steps: optimizer steps over which it rises.
    """

    name: str
    ends: Ends
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
        """What chooses its problems of the domain, as plain data."""
        return [self.source, list(self.levels) if self.levels else None]

    def values(self) -> dict[str, Any]:
        """What it gives the curriculum, by name; its pool is for the data module to find."""
        given = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        values = {name: given[name] for name in _CURRICULUM if given[name] is not None}
        return {"stage": self.name, **values}


_CURRICULUM = tuple(entry.name for entry in fields(Stage) if entry.name not in ("name", "ends", "source", "levels"))


def read_stages(value: Any, setting: str) -> list[Stage]:
    """The stages of a list of mappings.

    Args:
        value: as the settings have it.
        setting: what the list is called there, for messages.

    Raises:
        UserError: no stage, a name twice, or a value that cannot be.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        example = "[{name: math, ends: {steps: 100}}]"
        raise UserError(f"{setting}={shown(value)}: needs a list of at least one stage, such as {example}")
    stages = [_read_stage(entry, f"{setting}[{number}]") for number, entry in enumerate(value)]
    names = [stage.name for stage in stages]
    for number, name in enumerate(names):
        if name in (".", "..") or Path(name).name != name:
            raise UserError(f"{setting}[{number}].name={shown(name)}: must do as the name of a folder")
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
    return Stage(**{**entry, "ends": _read_ends(entry.get("ends"), f"{setting}.ends")})


def _read_ends(value: Any, setting: str) -> Ends:
    entry = read_mapping(value, [entry.name for entry in fields(Ends)], setting)
    if not any(entry.get(name) is not None for name in ("steps", "epochs", "plateau")):
        raise UserError(f"{setting}={shown(value)}: say when the stage ends: steps, epochs or plateau")
    for name in ("steps", "epochs"):
        if entry.get(name) is not None:
            check_whole(entry[name], 1, f"{setting}.{name}")
    if entry.get("plateau") is not None:
        entry["plateau"] = Plateau.read(entry["plateau"], f"{setting}.plateau")
    return Ends(**entry)


def filled(stages: Sequence[Stage], config: Config) -> list[Stage]:
    """The stages with what each takes over from the one before, the first from the settings, written out."""
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
    """Makes sure that a `filled` stage can run with these settings.

    Raises:
        UserError: it cannot.
    """
    known = sources(config)
    if stage.source is not None and stage.source not in known:
        raise UserError(f"{setting}.source={stage.source}: {nearest(stage.source, known)}")
    chosen = [source for name, source in known.items() if stage.source in (None, name)]
    if not any(source.domain.value == stage.domain for source in chosen):
        where = f"source {stage.source}" if stage.source else "any source of problems; add one to more_problems"
        raise UserError(f"{setting}.domain={stage.domain}: not the domain of {where}")
    ranks, updates = config.trainer.ranks, config.grpo.updates_per_batch
    for words, number in {f"over {ranks} ranks": ranks, f"into {updates} updates": updates}.items():
        if (stage.prompts_per_step or 0) % number:
            raise UserError(f"{setting}.prompts_per_step={stage.prompts_per_step}: does not divide {words}")


def stage_names(config: Config, others: Sequence[Callback]) -> list[str]:
    """Names of the stages that a run has: those of its stage switch, else the one of the settings."""
    return [stage.name for stage in stages_of_run(config, others)]


def stages_of_run(config: Config, callbacks: Iterable[Any]) -> list[Stage]:
    """The stages that a run goes through, `filled`; one where no callback leads it through some."""
    alone = Stage(config.curriculum.stage, Ends(steps=config.trainer.max_steps))
    return filled(stages_of(callbacks) or [alone], config)


def stages_of(callbacks: Iterable[Any]) -> list[Stage]:
    """The stages of the callback that leads a run through some; empty without one."""
    return next((callback.stages for callback in callbacks if leads(callback)), [])


def leads(callback: Any) -> bool:
    """Whether a callback leads a run through stages; `stages` of another kind may mean anything."""
    stages = getattr(callback, "stages", None)
    return isinstance(stages, list) and bool(stages) and all(isinstance(stage, Stage) for stage in stages)


def read_levels(value: Any, setting: str) -> tuple[int, int]:
    """Lowest and highest level.

    Raises:
        UserError: not two whole numbers, lowest first.
    """
    fits = isinstance(value, Sequence) and len(value) == 2 and all(map(is_whole, value))
    if not fits or value[0] > value[1]:
        raise UserError(f"{setting}={shown(value)}: must be the lowest and the highest level, such as [0, 5]")
    return value[0], value[1]
