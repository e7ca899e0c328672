"""What an ablation is: arms that differ in settings, panels of a figure, columns of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Over = Literal["steps", "seconds", "tokens"]
Part = Literal["first", "last", "mean of the first 10", "mean of the last 10", "sum"]


@dataclass(frozen=True)
class Arm:
    """One line of a figure and one row of a table.

    Attributes:
        name: its folder.
        label: what readers see.
        settings: `key=value` for `train.py`, after those of every run and of the ablation.
    """

    name: str
    label: str
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Panel:
    """One plot: a scalar over rollout steps, over their seconds or over response tokens, all counted from the start.

    Attributes:
        title: label of the vertical axis, with the unit.
        tag: the scalar.
        over: the horizontal axis.
        window: steps that a running mean takes in.
    """

    title: str
    tag: str
    over: Over = "steps"
    window: int = 1


@dataclass(frozen=True)
class Column:
    """One number of each run in the table: a part of a scalar's curve, times `unit`, formatted as `form`."""

    title: str
    tag: str
    part: Part = "last"
    form: str = ".3f"
    unit: float = 1.0


@dataclass(frozen=True)
class Ablation:
    """What is compared, and how it is shown.

    Attributes:
        name: what the command line calls it.
        asks: the question.
        paper: the figure or table of the paper.
        settings: of all its arms.
        arms: what differs.
        panels: of the figure.
        columns: of the table.
    """

    name: str
    asks: str
    paper: str
    settings: tuple[str, ...]
    arms: tuple[Arm, ...]
    panels: tuple[Panel, ...]
    columns: tuple[Column, ...]

    def overrides(self, arm: Arm) -> list[str]:
        """Return all settings of an arm but those of every ablation, the seed and the folder."""
        return [*self.settings, *arm.settings]
