"""Settings held against their rules: bounds, choices, and what must agree with other settings of the run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import reduce
from typing import Any

from acereason.config.fields import expected, fits, nearest, shown, type_hints
from acereason.config.setting import Rule, rule_of
from acereason.errors import UserError


@dataclass(frozen=True)
class Entry:
    """A setting with its value.

    Attributes:
        key: dotted.
        value, hint, rule: its value, type and rule.
        group: the settings that it stands among.
        decides: it decides the numbers of a run, by its own rule or by that of a group around it.
    """

    key: str
    value: Any
    hint: Any
    rule: Rule
    group: Any
    decides: bool


def entries(settings: Any, prefix: str = "", decides: bool = False) -> Iterator[Entry]:
    """Yield every setting of a dataclass, those of its groups and of its named groups included."""
    for field in fields(settings):
        rule, value, key = rule_of(field), getattr(settings, field.name), f"{prefix}{field.name}"
        deciding = decides or rule.decides
        named = {key: value} if is_dataclass(value) else {}
        if isinstance(value, dict):
            named = {f"{key}.{name}": inner for name, inner in value.items() if is_dataclass(inner)}
        if not named:
            hint = type_hints(settings.__class__)[field.name]
            yield Entry(key, value, hint, rule, settings, deciding)
        for name, inner in named.items():
            yield from entries(inner, f"{name}.", deciding)


def check_settings(settings: Any, prefix: str = "") -> None:
    """Refuse settings that break a rule.

    Args:
        settings: any dataclass of settings.
        prefix: its dotted key with a dot at the end; empty for the whole of a program's settings.

    Raises:
        UserError: the first setting found, with its key, its value and what it must be.
    """
    for check in (_check_alone, _check_among_others):
        for entry in entries(settings, prefix):
            if problem := check(entry, settings):
                raise UserError(f"{entry.key}={_typed(entry.value)}: {problem}")


def problem_with(cls: type, name: str, value: Any) -> str:
    """Return what is wrong with a value for the field `name` of a dataclass of settings; empty if nothing is."""
    [field] = [field for field in fields(cls) if field.name == name]
    return _problem(value, type_hints(cls)[name], rule_of(field))


def _check_alone(entry: Entry, settings: Any) -> str:
    return _problem(entry.value, entry.hint, entry.rule)


def _problem(value: Any, hint: Any, rule: Rule) -> str:
    if rule.bounds is not None:
        numbers = value if isinstance(value, list | tuple) else [value]
        if isinstance(value, str) or not fits(value, hint) or not all(map(rule.bounds.contain, numbers)):
            is_endless = isinstance(value, float) and not math.isfinite(value)
            words = ["a finite number" if is_endless else expected(hint), rule.bounds.words]
            return " ".join(filter(None, ["must be", *words, f"({rule.reason})" if rule.reason else ""]))
    if rule.not_empty and (not isinstance(value, str) or not value):
        return "must be text, and not empty"
    for item in value if rule.choices else ():
        if item not in rule.choices:
            return f"there is no {item}; {nearest(str(item), rule.choices)}"
    return ""


def _check_among_others(entry: Entry, settings: Any) -> str:
    rule = entry.rule
    for keys, words, divides in ((rule.multiple_of, "a multiple", False), (rule.divides, "a divisor", True)):
        other = _product(settings, keys)
        if entry.value and other and (other % entry.value if divides else entry.value % other):
            return f"must be {words} of {' × '.join(keys)} = {other}"
    return rule.check(entry.group) if rule.check else ""


def _product(settings: Any, keys: Sequence[str]) -> int:
    """Return the product of other settings, 1 for each that is 0; 0 if these settings do not have them."""
    try:
        return math.prod(max(reduce(getattr, key.split("."), settings), 1) for key in keys) if keys else 0
    except AttributeError:
        return 0


def _typed(value: Any) -> str:
    """Return a value as one would type it."""
    return str(value) if isinstance(value, float) else shown(list(value) if isinstance(value, tuple) else value)
