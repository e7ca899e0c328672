"""Checks of what the settings give a callback; each raises a `UserError` that begins with the setting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from acereason.config.fields import nearest, shown
from acereason.config.setting import Bounds
from acereason.errors import UserError


def read_mapping(value: Any, names: Sequence[str], setting: str) -> dict[str, Any]:
    """Return the value as a dictionary.

    Raises:
        UserError: it is no mapping, or has a name that is not among `names`.
    """
    if not isinstance(value, Mapping):
        raise UserError(f"{setting}={shown(value)}: expected a mapping with {', '.join(names)}")
    for name in value:
        if name not in names:
            raise UserError(f"{setting}.{name}={shown(value[name])}: no such setting; {nearest(str(name), names)}")
    return dict(value)


def is_whole(value: Any) -> bool:
    """Tell whether it is a whole number; true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Tell whether it is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_whole(value: Any, low: int, setting: str) -> None:
    """Refuse a value that is not a whole number from `low`."""
    if not is_whole(value) or value < low:
        raise UserError(f"{setting}={shown(value)}: must be a whole number from {low}")


def check_number(value: Any, bounds: Bounds, setting: str) -> None:
    """Refuse a value that is not a number within bounds."""
    if not is_number(value) or not bounds.contain(value):
        raise UserError(f"{setting}={shown(value)}: must be a number {bounds.words}")


def check_rising(values: Any, low: int, setting: str) -> None:
    """Refuse a value that is not a list of whole numbers from `low`, each above the one before."""
    fits = isinstance(values, Sequence) and len(values) > 0 and all(map(is_whole, values))
    if not fits or values[0] < low or any(second <= first for first, second in pairwise(values)):
        raise UserError(f"{setting}={shown(values)}: must be whole numbers from {low}, each above the one before")


def check_choice(value: Any, choices: Iterable[str], setting: str) -> None:
    """Refuse a value that is not one of some words."""
    choices = list(choices)
    if value not in choices:
        raise UserError(f"{setting}={shown(value)}: {nearest(str(value), choices)}")


def check_choices(values: Any, choices: Iterable[str], setting: str) -> None:
    """Refuse a value that is not a list of some words; it may be empty."""
    choices = list(choices)
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise UserError(f"{setting}={shown(values)}: must be a list, such as [{shown(values)}]")
    for value in values:
        if value not in choices:
            raise UserError(f"{setting}={shown(list(values))}: unknown {shown(value)}; {nearest(str(value), choices)}")
