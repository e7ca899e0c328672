"""Which settings a dataclass declares, and what a value of each must look like by its type."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import SequenceMatcher, get_close_matches
from enum import Enum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from acereason.config.removed import REMOVED
from acereason.config.schema import Config
from acereason.config.setting import Rule, rule_of
from acereason.errors import UserError

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_CLOSE = 1.2  # of 2: similarity of the whole key plus that of its last part


@dataclass(frozen=True)
class Setting:
    """One setting: its dotted key, its type, its default (MISSING if it must be given), its rule, and where it is.

    Attributes:
        owner: the dataclass that declares it.
        name: of the field there.
    """

    key: str
    hint: Any
    default: Any
    rule: Rule
    owner: type
    name: str


@cache
def type_hints(cls: type) -> dict[str, Any]:
    """Return the types of a dataclass's fields by name."""
    return get_type_hints(cls)


@cache
def settings(root: type = Config) -> dict[str, Setting]:
    """Return every setting below a dataclass by its dotted key, in the order of declaration; `callbacks` is one."""
    return {setting.key: setting for setting in _walk(root, None, "")}


def _walk(cls: type, defaults: Any, prefix: str) -> Iterable[Setting]:
    for entry in fields(cls):
        hint, key = type_hints(cls)[entry.name], f"{prefix}{entry.name}"
        default = entry.default if entry.default_factory is MISSING else entry.default_factory()
        if defaults is not None:
            default = getattr(defaults, entry.name)
        if is_dataclass(hint):
            yield from _walk(hint, default, f"{key}.")  # type: ignore[arg-type]
        else:
            yield Setting(key, hint, default, rule_of(entry), cls, entry.name)


def inner_hint(hint: Any, name: str) -> Any:
    """Return the type of the entry `name` of a group or mapping; None if there cannot be one."""
    if is_dataclass(hint):
        return type_hints(hint).get(name)  # type: ignore[arg-type]
    return get_args(hint)[1] if get_origin(hint) is dict else Any if hint is Any else None


def hint_of(key: str, root: type = Config) -> Any:
    """Return the type of the setting with this dotted key below `root`; None if there is no such setting."""
    hint: Any = root
    for name in key.split("."):
        hint = inner_hint(hint, name)
    return hint


def shown(value: Any) -> str:
    """Return a value as one would type it, on one line and at most 80 characters long."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    text = " ".join(text.split()) if text.strip() else text and repr(text)
    return text if len(text) <= 80 else text[:79] + "…"


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return `did you mean X?`, or the valid names if none is similar."""
    choices = list(choices)
    close = get_close_matches(name, choices, n=1)
    return f"did you mean {close[0]}?" if close else f"valid: {', '.join(choices) or 'none'}"


def nearest_setting(*keys: str, root: type = Config, siblings: Iterable[str] = ()) -> str | None:
    """Return the setting most similar to one of the dotted keys, as a whole and in its last part; None if none is."""
    pairs = [(_likeness(key, candidate), candidate) for key in keys for candidate in [*siblings, *settings(root)]]
    likeness, best = max(pairs, key=lambda pair: pair[0])
    return best if likeness >= _CLOSE else None


def _likeness(key: str, candidate: str) -> float:
    leaf, candidate_leaf = key.rpartition(".")[2], candidate.rpartition(".")[2]
    return SequenceMatcher(None, key, candidate).ratio() + SequenceMatcher(None, leaf, candidate_leaf).ratio()


def expected(hint: Any) -> str:
    """Return in words what a value of this type is."""
    if hint in _WORDS:
        return _WORDS[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(hint.__members__)
    if get_origin(hint) is tuple:
        return f"{len(get_args(hint))} whole numbers"
    return "settings inside it, not a value" if is_dataclass(hint) else "a mapping, such as {a: 1}"


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value read from YAML has the type; interpolations pass and are checked when resolved."""
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


def validate(tree: Mapping[str, Any], root: type = Config, source: str = "") -> None:
    """Check names and types of a tree of values.

    Args:
        tree: nested values, as YAML holds them.
        root: the dataclass that declares the settings.
        source: the file they come from; empty for the command line.

    Raises:
        UserError: an unknown key or a value of the wrong type.
    """
    for key, value, hint in _unpacked(tree, root, "", root, source):
        if not fits(value, hint):
            raise UserError(f"{at(source)}{key}={shown(value)}: expected {expected(hint)}{_example(value, hint)}")


def _unpacked(
    tree: Mapping[str, Any], hint: Any, prefix: str, root: type, source: str
) -> Iterable[tuple[str, Any, Any]]:
    """Yield key, value and type of every entry, groups before what is in them; raise for a name that is none."""
    for name, value in tree.items():
        key, inner = f"{prefix}{name}", inner_hint(hint, name)
        if inner is None:
            raise UserError(at(source) + _unknown(key, value, hint, prefix, root))
        if not isinstance(name, str):
            raise UserError(f"{at(source)}{key}={shown(value)}: the name {name} must be text; write it in quotes")
        if value is None and is_named_groups(hint):  # leaves out an entry that a file has
            continue
        yield key, value, inner
        if isinstance(value, dict):
            yield from _unpacked(value, inner, f"{key}.", root, source)


def is_named_groups(hint: Any) -> bool:
    """Return whether a type is a mapping from names to groups of settings, as `callbacks` and `more_problems` are."""
    return get_origin(hint) is dict and is_dataclass(get_args(hint)[1])


def at(source: str) -> str:
    """Return how a message about something in a file begins; empty for the command line."""
    return f"{source}: " if source else ""


def _example(value: Any, hint: Any) -> str:
    """Return an example of a value of the type, or the word that is most like the one given."""
    if get_origin(hint) is tuple:
        return ", such as [3,8]"
    is_enum = isinstance(hint, type) and issubclass(hint, Enum)
    close = get_close_matches(str(value), hint.__members__, n=1) if is_enum else []
    return f"; did you mean {close[0]}?" if close else ""


def _unknown(key: str, value: Any, hint: Any, prefix: str, root: type) -> str:
    names = [entry.name for entry in fields(hint)] if is_dataclass(hint) else []
    full = key
    while isinstance(value, dict) and len(value) == 1:  # trainr: {max_step: 1} is reported as trainr.max_step=1
        [(name, value)] = value.items()
        full = f"{full}.{name}"
    if full in REMOVED:
        return f"{full}={shown(value)}: no longer a setting; {REMOVED[full]}"
    close = nearest_setting(full, key, root=root, siblings=[prefix + name for name in names])
    instead = f"did you mean {close}?" if close else nearest(key.removeprefix(prefix), names)
    return f"{full}={shown(value)}: no such setting; {instead}"
