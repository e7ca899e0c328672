"""The values that callbacks may change during a run; every change is recorded."""

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
    """A change of one value of the curriculum.

    Attributes:
        step: rollout steps done before it; the new value holds from the rollouts of the step with that number on.
        what: name of the value.
        before, after: the old and the new value; of `pool` and `solve_rates` in words, such as `412 problems`.
        who: name of the callback.
        why: its reason, in words.
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

    Callbacks change it with `change`, to values that are the same on all ranks. Changes made in `on_train_batch_end` or
    `on_rollouts_start` hold for the next rollouts.

    Attributes:
        stage: name of the current stage.
        domain: domain of the current stage's problems.
        max_response_tokens: longest response, in tokens.
        prompts_per_step: prompts of one rollout step, over all ranks.
        rollouts_per_prompt: responses sampled for each prompt.
        temperature, top_p: how responses are sampled.
        learning_rate: of the next optimizer step, before warm-up.
        warmup_steps: optimizer steps over which the learning rate rises, from the run's start or the last reset of the
            optimizer.
        step: rollout steps completed.
        pool: ids of the problems to draw from; None for all of the domain.
        solve_rates: measured share of right responses by problem id.
        stage_since: step at which the stage began.
        pool_since: step of the last change of pool, domain, `prompts_per_step` or stage; epochs are counted from there.
        history: every change so far.
        longest_response: longest response that the engine can hold, in tokens; set once it has started, and not saved.
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
        """Seal the values: from now on only the methods change them."""
        vars(self)["is_sealed"] = True

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse assignments, which would leave no record."""
        if "is_sealed" in vars(self):
            call = f"curriculum.change(who, why, {name}=…)"
            raise AttributeError(f"curriculum.{name} cannot be assigned to: use {call}, so that the history records it")
        super().__setattr__(name, value)

    @classmethod
    def from_config(cls, config: Config) -> Curriculum:
        """Return the curriculum that a run starts with."""
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
        """Set values of the curriculum; record and return those changes that differ from before.

        A new `domain` without a `pool` takes all its problems. Naming a `stage` begins it, even if it has the same name
        as the stage before.

        Args:
            who: name of the callback.
            why: its reason, in words.
            values: by name, any of `CHANGEABLE`.

        Raises:
            UserError: a name is unknown, or a value out of range or of the wrong type.
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
        """Count one more rollout step as done; only the training loop calls this."""
        vars(self)["step"] += 1

    def hold_at_most(self, tokens: float) -> None:
        """Set the longest response that the engine can hold, tokens; only the data module calls this."""
        vars(self)["longest_response"] = tokens

    def state_dict(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        state = asdict(self)
        del state["longest_response"]
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore every value of `state`, in place, so that all who hold this object see it."""
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
    """Return a value as the history records it."""
    if name == "pool":
        return "all problems" if value is None else f"{len(value)} problems"
    return f"{len(value)} problems" if name == "solve_rates" else value
