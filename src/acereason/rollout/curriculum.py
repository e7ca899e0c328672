"""What callbacks may change while a run goes on, and nothing else; every change is on record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from acereason.config.checks import problem_with
from acereason.config.fields import nearest, shown
from acereason.config.schema import Config, CurriculumConfig, OptimizerConfig
from acereason.errors import UserError
from acereason.problems.problem import DOMAINS, Domain


@dataclass(frozen=True)
class Change:
    """One value of the curriculum that became another.

    Attributes:
        step: rollout steps done by then; the new value holds from the rollouts of that step number on.
        what: name of the value.
        before, after: as they were; of `pool` and `solve_rates` in words, such as `412 problems`.
        who: name of the callback.
        why: its reason, for a reader.
    """

    step: int
    what: str
    before: Any
    after: Any
    who: str
    why: str


@dataclass
class Curriculum:
    """The whole state of a curriculum: saving it is enough to resume.

    Everybody reads it; callbacks write it by `change`, from values that all ranks agree on. What is written in
    `on_train_batch_end` or `on_rollouts_start` holds for the next rollouts.

    Attributes:
        stage: name of the current stage.
        domain: domain of the current stage's problems.
        max_response_tokens: longest response, in tokens.
        prompts_per_step: prompts of one rollout step, over all ranks.
        rollouts_per_prompt: responses sampled for each prompt.
        temperature, top_p: how they are sampled.
        learning_rate: of the next optimizer step, before warm-up.
        warmup_steps: optimizer steps over which it rises, from the run's start or the last reset of the optimizer.
        step: rollout steps completed.
        pool: ids of the problems to draw from; None for all of the domain.
        solve_rates: measured share of right responses by problem id.
        stage_since: step at which the stage began.
        pool_since: step at which what epochs are made of changed last: they are counted from there.
        history: every change so far.
        longest_response: what the engine can hold, in tokens; known once it has started, and not saved.
    """

    stage: str
    domain: Domain
    max_response_tokens: int
    prompts_per_step: int
    rollouts_per_prompt: int
    temperature: float
    top_p: float
    learning_rate: float
    warmup_steps: int = 0
    step: int = 0
    pool: list[str] | None = None
    solve_rates: dict[str, float] = field(default_factory=dict)
    stage_since: int = 0
    pool_since: int = 0
    history: list[Change] = field(default_factory=list)
    longest_response: float = field(default=math.inf, compare=False)

    def __post_init__(self) -> None:
        """From here on values change by the methods alone."""
        vars(self)["is_sealed"] = True

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuses what would leave no record."""
        if "is_sealed" in vars(self):
            way = f"curriculum.change(who, why, {name}=…)"
            raise AttributeError(f"curriculum.{name} cannot be assigned to: use {way}, so that the history shows it")
        super().__setattr__(name, value)

    @classmethod
    def from_config(cls, config: Config) -> Curriculum:
        """The curriculum that a run starts with."""
        first = config.curriculum
        return cls(
            stage=first.stage,
            domain=config.problems.domain.value,
            max_response_tokens=first.max_response_tokens,
            prompts_per_step=first.prompts_per_step,
            rollouts_per_prompt=first.rollouts_per_prompt,
            temperature=first.temperature,
            top_p=first.top_p,
            learning_rate=first.learning_rate,
            warmup_steps=config.optimizer.warmup_steps,
        )

    def change(self, who: str, why: str, **values: Any) -> list[Change]:
        """Gives values of the curriculum; returns what differs from before, which is put on record.

        A new `domain` without a `pool` has all its problems; naming a `stage` begins it, also by the name it has.

        Args:
            who: name of the callback.
            why: its reason, in words.
            values: by name, any of `CHANGEABLE`.

        Raises:
            UserError: no such value, or one that cannot be.
        """
        for name, value in values.items():
            check_value(name, value, f"curriculum.{name}={shown(value)} (by {who})")
        longest = values.get("max_response_tokens", 0)
        if longest > self.longest_response:
            limit = f"the engine was started for responses of at most {self.longest_response} tokens"
            raise UserError(f"curriculum.max_response_tokens={longest} (by {who}): {limit}; set engine.max_model_len")
        if values.get("domain", self.domain) != self.domain:
            values = {"pool": None, **values}
        different = {name: value for name, value in values.items() if value != getattr(self, name)}
        changes = [
            Change(self.step, name, _said(name, getattr(self, name)), _said(name, value), who, why)
            for name, value in different.items()
        ]
        vars(self).update(different)
        if "stage" in values:
            vars(self)["stage_since"] = self.step
        if different.keys() & {"pool", "domain", "prompts_per_step"} or "stage" in values:
            vars(self)["pool_since"] = self.step
        self.history.extend(changes)
        return changes

    def advance(self) -> None:
        """One more rollout step is done: for the training loop alone."""
        vars(self)["step"] += 1

    def hold_at_most(self, tokens: int) -> None:
        """The longest response that the engine can hold, tokens: for the data module alone."""
        vars(self)["longest_response"] = tokens

    def state_dict(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        state = asdict(self)
        del state["longest_response"]
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes every value of `state`, in place, so that all who hold this object see it."""
        vars(self).update(state, history=[Change(**change) for change in state["history"]])


CHANGEABLE = tuple(
    entry.name
    for entry in fields(Curriculum)
    if entry.name not in ("step", "stage_since", "pool_since", "history", "longest_response")
)
"""What callbacks may change."""

_RULES: dict[str, type] = {entry.name: CurriculumConfig for entry in fields(CurriculumConfig)}
_RULES["warmup_steps"] = OptimizerConfig
"""The group of settings whose rule holds for a value of the curriculum."""


def check_value(name: str, value: Any, said: str) -> None:
    """Refuse a value that the curriculum cannot have.

    Args:
        name: one of `CHANGEABLE`.
        value: the value that somebody wants it to have.
        said: the start of a message.

    Raises:
        UserError: the name is unknown, or the value is out of range or of the wrong type.
    """
    if name not in CHANGEABLE:
        raise UserError(f"{said}: no such value of the curriculum; {nearest(name, CHANGEABLE)}")
    problem = problem_with(_RULES[name], name, value) if name in _RULES else _problem(name, value)
    if problem:
        raise UserError(f"{said}: {problem}")


def _problem(name: str, value: Any) -> str:
    """Return what is wrong with a value that is no setting; empty if nothing is."""
    if name == "domain":
        return "" if value in DOMAINS else nearest(str(value), DOMAINS)
    if name == "pool":
        fits = value is None or (value and isinstance(value, list))
        return "" if fits else "must be a list of ids, not empty, or None"
    return "" if isinstance(value, dict) else "must be a mapping from ids to shares"


def _said(name: str, value: Any) -> Any:
    """A value as the history has it."""
    if name == "pool":
        return "all problems" if value is None else f"{len(value)} problems"
    return f"{len(value)} problems" if name == "solve_rates" else value
