"""Which settings exist and what a value of each must look like, read off the dataclasses in `config.py`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import SequenceMatcher, get_close_matches
from enum import Enum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from acereason.config.schema import Config
from acereason.errors import UserError

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_CLOSE = 1.2  # of 2: similarity of the whole key plus that of its last part


@dataclass(frozen=True)
class Setting:
    """One setting: its dotted key, type and default."""

    key: str
    hint: Any
    default: Any


@cache
def type_hints(cls: type) -> dict[str, Any]:
    """Types of a dataclass's fields by name."""
    return get_type_hints(cls)


@cache
def settings() -> dict[str, Setting]:
    """Every setting by its dotted key, in the order they are declared; `callbacks` counts as one."""
    return {setting.key: setting for setting in _walk(Config, "")}


def _walk(cls: type, prefix: str) -> Iterable[Setting]:
    for entry in fields(cls):
        hint = type_hints(cls)[entry.name]
        if is_dataclass(hint):
            yield from _walk(hint, f"{prefix}{entry.name}.")  # type: ignore[arg-type]
        else:
            default = entry.default if entry.default_factory is MISSING else entry.default_factory()
            yield Setting(prefix + entry.name, hint, default)


def inner_hint(hint: Any, name: str) -> Any:
    """Type of the entry `name` of a group or mapping; None where there cannot be one."""
    if is_dataclass(hint):
        return type_hints(hint).get(name)  # type: ignore[arg-type]
    return get_args(hint)[1] if get_origin(hint) is dict else Any if hint is Any else None


def hint_of(key: str) -> Any:
    """Type of the setting with this dotted key; None when there is none."""
    hint: Any = Config
    for name in key.split("."):
        hint = inner_hint(hint, name)
    return hint


def shown(value: Any) -> str:
    """A value as one would type it, on one line and at most 80 characters long."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    text = " ".join(text.split()) if text.strip() else text and repr(text)
    return text if len(text) <= 80 else text[:79] + "…"


def nearest(name: str, choices: Iterable[str]) -> str:
    """`did you mean X?`, or the valid names when nothing is close."""
    choices = list(choices)
    close = get_close_matches(name, choices, n=1)
    return f"did you mean {close[0]}?" if close else f"valid: {', '.join(choices) or 'none'}"


def nearest_setting(*keys: str, siblings: Iterable[str] = ()) -> str | None:
    """The setting most like one of the dotted keys, in its whole and its last part; None when nothing is close."""
    pairs = [(_likeness(key, candidate), candidate) for key in keys for candidate in [*siblings, *settings()]]
    likeness, best = max(pairs, key=lambda pair: pair[0])
    return best if likeness >= _CLOSE else None


def _likeness(key: str, candidate: str) -> float:
    leaf, candidate_leaf = key.rpartition(".")[2], candidate.rpartition(".")[2]
    return SequenceMatcher(None, key, candidate).ratio() + SequenceMatcher(None, leaf, candidate_leaf).ratio()


def expected(hint: Any) -> str:
    """What a value of this type is, in words."""
    if hint in _WORDS:
        return _WORDS[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(hint.__members__)
    if get_origin(hint) is tuple:
        return f"{len(get_args(hint))} whole numbers, such as [3,8]"
    return "settings inside it, not a value" if is_dataclass(hint) else "a mapping, such as {a: 1}"


def fits(value: Any, hint: Any) -> bool:
    """Whether a value read from YAML is of the type; interpolations pass and are judged when resolved."""
    if hint is Any or (isinstance(value, str) and "${" in value):
        return True
    if get_origin(hint) is tuple:
        items = get_args(hint)
        return isinstance(value, list | tuple) and len(value) == len(items) and all(map(fits, value, items))
    if is_dataclass(hint) or get_origin(hint) is dict:
        return isinstance(value, dict)
    if not isinstance(hint, type):  # a list or union: OmegaConf judges when it merges
        return True
    if issubclass(hint, Enum):
        return isinstance(value, str) and value in hint.__members__
    if hint in (int, float):
        return isinstance(value, int if hint is int else (int, float)) and not isinstance(value, bool)
    return isinstance(value, hint)


def validate(tree: Mapping[str, Any], source: str = "", hint: Any = Config, prefix: str = "") -> None:
    """Check names and types of a tree of values.

    Args:
        tree: nested values, as YAML holds them.
        source: the file they come from; empty for the command line.
        hint: type of the tree.
        prefix: dotted key of the tree, with a dot at the end.

    Raises:
        UserError: an unknown key or a value of the wrong type.
    """
    for name, value in tree.items():
        key, inner = f"{prefix}{name}", inner_hint(hint, name)
        if inner is None:
            raise UserError(at(source) + _unknown(key, value, hint, prefix))
        if not isinstance(name, str):
            raise UserError(f"{at(source)}{key}={shown(value)}: the name {name} must be text; write it in quotes")
        if value is None and prefix == "callbacks.":  # leaves out a callback of the recipe
            continue
        if not fits(value, inner):
            raise UserError(f"{at(source)}{key}={shown(value)}: expected {expected(inner)}{_enum_hint(value, inner)}")
        if isinstance(value, dict):
            validate(value, source, inner, f"{key}.")


def at(source: str) -> str:
    """The start of a message about something in a file; empty for the command line."""
    return f"{source}: " if source else ""


def _enum_hint(value: Any, hint: Any) -> str:
    is_enum = isinstance(hint, type) and issubclass(hint, Enum)
    close = get_close_matches(str(value), hint.__members__, n=1) if is_enum else []
    return f"; did you mean {close[0]}?" if close else ""


def _unknown(key: str, value: Any, hint: Any, prefix: str) -> str:
    names = [entry.name for entry in fields(hint)] if is_dataclass(hint) else []
    full = key
    while isinstance(value, dict) and len(value) == 1:  # trainr: {max_step: 1} is reported as trainr.max_step=1
        [(name, value)] = value.items()
        full = f"{full}.{name}"
    close = nearest_setting(full, key, siblings=[prefix + name for name in names])
    way_out = f"did you mean {close}?" if close else nearest(key.removeprefix(prefix), names)
    return f"{full}={shown(value)}: no such setting; {way_out}"
