"""What callbacks have made of a run, moment by moment, as plain data that can be compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import torch

MOST_SHOWN = 160
"""Characters of a value in a message."""


@dataclass(frozen=True)
class Moment:
    """All that a callback can decide, after one hook.

    Attributes:
        step: rollout steps done.
        hook: the last one called: `on_train_start`, `on_rollouts_start` or `on_train_batch_end`.
        seen: plain data by what it is called, such as `curriculum.temperature`.
    """

    step: int
    hook: str
    seen: dict[str, Any]

    def __str__(self) -> str:
        """Such as `after 3 steps, in on_train_batch_end`."""
        return f"after {self.step} step{'s' if self.step != 1 else ''}, in {self.hook}"

    def digest(self) -> bytes:
        """Equal for equal moments."""
        return blake2b(repr(self).encode(), digest_size=16).digest()


@dataclass(frozen=True)
class Difference:
    """The first thing that two runs do not have alike.

    Attributes:
        moment: when, as one of them has it.
        what: its name.
        first, second: its values, in words.
        changes: reasons given for the last changes of the curriculum.
    """

    moment: str
    what: str
    first: str
    second: str
    changes: str


def first_difference(first: list[Moment], second: list[Moment], tolerance: float = 0.0) -> Difference | None:
    """Where two runs part, None when they do not.

    Args:
        first, second: what was seen in each.
        tolerance: numbers that differ by less, relatively, count as equal; so do the words that say them.
    """
    for ours, theirs in zip(first, second, strict=False):
        for name in [*ours.seen, *(name for name in theirs.seen if name not in ours.seen)]:
            one, other = (moment.seen.get(name, "not there") for moment in (ours, theirs))
            if not alike(one, other, tolerance):
                return Difference(str(ours), name, _shown(name, one), _shown(name, other), _changes(ours, theirs))
    if len(first) != len(second):
        last = min(first, second, key=len)[-1]
        return Difference(str(last), "the number of steps", f"{len(first)}", f"{len(second)}", _changes(last))
    return None


def plain(value: Any) -> Any:
    """The same as dictionaries, lists, numbers and texts: what objects hold, not where they lie."""
    if value is None or isinstance(value, str | int | float | bytes):
        return value
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else repr(key): plain(each) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(plain, value), key=repr)
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    inside = getattr(value, "__dict__", None)
    return repr(value) if inside is None else {"class": type(value).__qualname__, **plain(inside)}


def alike(first: Any, second: Any, tolerance: float) -> bool:
    """Whether plain data are the same; with a tolerance numbers nearly so, and in whatever order and words."""
    if isinstance(first, dict) and isinstance(second, dict):
        same = first.keys() == second.keys() if tolerance else list(first) == list(second)
        keys = first.keys() - ({"why"} if tolerance else set())
        return same and all(alike(first[key], second[key], tolerance) for key in keys)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(alike, first, second, [tolerance] * len(first)))
    if isinstance(first, float) and isinstance(second, float):
        equal = math.isclose(first, second, rel_tol=tolerance, abs_tol=tolerance)
        return equal or (math.isnan(first) and math.isnan(second))
    return bool(first == second)


def _shown(name: str, value: Any) -> str:
    """A value on one line, cut where it is long; of a history, its last change."""
    if name == "curriculum.history" and isinstance(value, list):
        value = value[-1] if value else "empty"
    text = repr(value)
    size = f"{len(value)} entries: " if isinstance(value, list | dict) and len(text) > MOST_SHOWN else ""
    return text if len(text) <= MOST_SHOWN else f"{size}{text[:MOST_SHOWN]}…"


def _changes(*moments: Moment) -> str:
    """The last change that each has, in words; empty without any."""
    last = [moment.seen["curriculum.history"][-1:] for moment in moments]
    words = [f"{each['what']} by {each['who']} ({each['why']})" for changes in last for each in changes]
    return "; ".join(dict.fromkeys(words))
