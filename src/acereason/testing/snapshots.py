"""What callbacks have decided by each hook of a run, as plain data that can be compared."""

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
class Snapshot:
    """All that a callback can decide, as it is after one hook.

    Attributes:
        step: number of rollout steps done.
        hook: the last one called: `on_train_start`, `on_rollouts_start` or `on_train_batch_end`.
        seen: plain data by name, such as `curriculum.temperature`.
    """

    step: int
    hook: str
    seen: dict[str, Any]

    def __str__(self) -> str:
        """Such as `after 3 steps, in on_train_batch_end`."""
        return f"after {self.step} step{'s' if self.step != 1 else ''}, in {self.hook}"

    def digest(self) -> bytes:
        """Return a digest that is the same for equal snapshots."""
        return blake2b(repr(self).encode(), digest_size=16).digest()


@dataclass(frozen=True)
class Difference:
    """The first difference between two runs.

    Attributes:
        when: the snapshot of one of them, in words.
        what: name of what differs.
        first, second: its values, in words.
        changes: reasons for the last changes of the curriculum.
    """

    when: str
    what: str
    first: str
    second: str
    changes: str


def first_difference(first: list[Snapshot], second: list[Snapshot], tolerance: float = 0.0) -> Difference | None:
    """Return the first difference between two runs; None if they are the same.

    Args:
        first, second: snapshots of each.
        tolerance: relative difference up to which numbers count as equal; texts that contain them are not compared.
    """
    for ours, theirs in zip(first, second, strict=False):
        for name in [*ours.seen, *(name for name in theirs.seen if name not in ours.seen)]:
            one, other = (snapshot.seen.get(name, "missing") for snapshot in (ours, theirs))
            if not same(one, other, tolerance):
                return Difference(str(ours), name, _shown(name, one), _shown(name, other), _changes(ours, theirs))
    if len(first) != len(second):
        last = min(first, second, key=len)[-1]
        return Difference(str(last), "the number of steps", f"{len(first)}", f"{len(second)}", _changes(last))
    return None


def plain(value: Any) -> Any:
    """Return a value as dictionaries, lists, numbers and texts: the content of objects, not their identity."""
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


def same(first: Any, second: Any, tolerance: float) -> bool:
    """Tell whether plain data are the same; with a tolerance for numbers, order and reasons may differ as well."""
    if isinstance(first, dict) and isinstance(second, dict):
        same_keys = first.keys() == second.keys() if tolerance else list(first) == list(second)
        keys = first.keys() - ({"why"} if tolerance else set())
        return same_keys and all(same(first[key], second[key], tolerance) for key in keys)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second, [tolerance] * len(first)))
    if isinstance(first, float) and isinstance(second, float):
        equal = math.isclose(first, second, rel_tol=tolerance, abs_tol=tolerance)
        return equal or (math.isnan(first) and math.isnan(second))
    return bool(first == second)


def _shown(name: str, value: Any) -> str:
    """Return a value on one line, cut if it is long; of a history, the last change."""
    if name == "curriculum.history" and isinstance(value, list):
        value = value[-1] if value else "empty"
    text = repr(value)
    size = f"{len(value)} entries: " if isinstance(value, list | dict) and len(text) > MOST_SHOWN else ""
    return text if len(text) <= MOST_SHOWN else f"{size}{text[:MOST_SHOWN]}…"


def _changes(*snapshots: Snapshot) -> str:
    """Return the last change that each has, in words; empty without any."""
    last = [snapshot.seen["curriculum.history"][-1:] for snapshot in snapshots]
    words = [f"{each['what']} by {each['who']} ({each['why']})" for changes in last for each in changes]
    return "; ".join(dict.fromkeys(words))
