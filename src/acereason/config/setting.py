"""How a setting is declared: a dataclass field that carries its rules, with a docstring under it.

    micro_batch_tokens: int = setting(16384, ge=1)
    \"\"\"Tokens of one forward and backward pass on one rank.\"\"\"

`checks.py` enforces the rules, `help.py` prints them, and `training/checkpoint_files.py` asks which settings decide the
numbers of a run.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, field
from typing import Any, TypeVar, cast

T = TypeVar("T")
_RULE = "rule"


@dataclass(frozen=True)
class Bounds:
    """The interval in which a number must lie; it must be finite unless `le` is infinite.

    Attributes:
        ge, gt: lowest value, or the value that it must exceed; `gt=-inf` says that there is no lower bound.
        le, lt: highest value, or the value that it must stay below.
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def __post_init__(self) -> None:
        """Refuse half a declaration."""
        if (self.ge is None) == (self.gt is None) or (self.le is not None and self.lt is not None):
            raise TypeError(f"bounds need one of ge and gt, and at most one of le and lt: {self}")

    def contain(self, value: float) -> bool:
        """Return whether the number lies inside; NaN never does."""
        above = value > cast(float, self.gt) if self.ge is None else value >= self.ge
        if self.le is not None:
            return above and value <= self.le
        return above and value < (math.inf if self.lt is None else self.lt)

    @property
    def words(self) -> str:
        """The interval in words, such as `from 0 to 1`; empty where every finite number is inside."""
        low = f"from {self.ge:g}" if self.ge is not None else f"above {self.gt:g}" if self.gt != -math.inf else ""
        if self.lt is not None and self.lt < math.inf:
            high = f"to below {self.lt:g}" if self.ge is not None else f"below {self.lt:g}"
        elif self.le is not None and self.le < math.inf:
            high = f"to {self.le:g}" if self.ge is not None else f"at most {self.le:g}"
        else:
            return low
        return f"{low} {high}" if self.ge is not None else f"{low} and {high}" if low else high


@dataclass(frozen=True)
class Rule:
    """What a setting may be beyond its type, and what it means for a run.

    Attributes:
        bounds: of the number, or of each of several.
        reason: why the bounds are where they are, for the message.
        not_empty: a text must have at least one character.
        choices: what the items of a list may be.
        multiple_of, divides: keys of other settings; the value is a multiple, or a divisor, of their product. 0 is not
            checked: it stands for a default.
        check: takes the group's settings and returns what is wrong with this one in view of the others, or "".
        decides: another value changes a later weight, rollout or scalar by more than its rounding, so a run resumes
            with the same value. A group may say so for all its settings.
    """

    bounds: Bounds | None = None
    reason: str = ""
    not_empty: bool = False
    choices: Sequence[str] = ()
    multiple_of: Sequence[str] = ()
    divides: Sequence[str] = ()
    check: Callable[[Any], str] | None = None
    decides: bool = False


def setting(
    default: T,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    **rule: Any,
) -> T:
    """Declare a setting.

    Args:
        default: its value if nothing else is given; a list or dict is copied for each run.
        ge, gt, le, lt: as in `Bounds`. Every number has a lower bound, if only `gt=-inf`.
        rule: the other attributes of `Rule`.
    """
    bounds = Bounds(ge, gt, le, lt) if {ge, gt, le, lt} != {None} else None
    metadata = {_RULE: Rule(bounds, **rule)}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: copy.copy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def group(kind: type[T], *, decides: bool = False, **changed: Any) -> T:
    """Declare a group of settings.

    Args:
        kind: the group's dataclass.
        decides: all its settings decide the numbers of a run.
        changed: settings whose defaults are different here.
    """
    return field(default_factory=lambda: kind(**changed), metadata={_RULE: Rule(decides=decides)})


def rule_of(entry: Field[Any]) -> Rule:
    """Return the rule of a dataclass field; one without any stands for its type alone."""
    return cast(Rule, entry.metadata.get(_RULE, Rule()))
