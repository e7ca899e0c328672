"""The comparison of a program's output or return value with the expected one: exact, but for last digits of decimals.

A decimal is a number with a fraction or an exponent. Where one is expected, a number within REL_TOLERANCE of the larger
or ABS_TOLERANCE will do. Whatever a program returns, both functions take time linear in the two texts or in the
expected value (n log n for sets of floats), and raise nothing.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterator
from contextlib import suppress
from types import NoneType
from typing import Any

REL_TOLERANCE = 1e-6
ABS_TOLERANCE = 1e-9

_SPACES = " \t\r\f\v"
_DECIMAL = re.compile(
    r"(?<![\w.+-])[+-]?"
    r"(?:[0-9]*+\.[0-9]++(?:[eE][+-]?[0-9]++)?+|[0-9]++[eE][+-]?[0-9]++)"
    r"(?!\w|[.+-]\w)"  # a word, a version, a date, a term of a sum
)
_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+")

_EXACT = frozenset({int, str, bytes, bool, NoneType})
_REALS = frozenset({int, float})
_SEQUENCES = frozenset({list, tuple})
_SETS = frozenset({set, frozenset})
_CONTAINERS = _SEQUENCES | _SETS | {dict}
_DEPTH = 100
"""Most tuples inside each other in a member of a set or a key of a dict; deeper ones equal nothing."""
_JSON_WORDS = {"true": True, "false": False, "null": None}


def same_output(expected: str, printed: str) -> bool:
    r"""Return whether a program printed what it should have.

    White space (ASCII) at the ends of lines and empty lines at the end are ignored, so `\r\n` ends a line too. All else
    is equal character by character, except where a decimal is expected: ASCII digits with a point before the last of
    them, an exponent or both, that touch no letter, digit, underscore, sign or further point, as those of `v1.5`,
    `1.2.3` and `1.5-2` do. There any number in ASCII digits within tolerance will do: `0.50`, `5e-1` and `+.5` for
    `0.5`. An expected integer has to be printed as it is; `nan`, `inf` and decimals beyond the largest float are text.
    """
    expected, printed = expected.rstrip(_SPACES + "\n"), printed.rstrip(_SPACES + "\n")
    if expected == printed:
        return True
    if expected.count("\n") != printed.count("\n"):
        return False
    expected, printed = _without_line_ends(expected), _without_line_ends(printed)
    if expected == printed:
        return True
    lines = zip(expected.split("\n"), printed.split("\n"), strict=True)
    return all(wanted == line or _same_line(wanted, line) for wanted, line in lines)


def _without_line_ends(text: str) -> str:
    """Return the text without white space before line ends; the usual kinds are removed without going line by line."""
    for usual in ("\r", " "):
        if usual in text:
            text = text.replace(usual + "\n", "\n")
    if any(space in text and space + "\n" in text for space in _SPACES):
        return "\n".join([line.rstrip(_SPACES) for line in text.split("\n")])
    return text


def _same_line(expected: str, printed: str) -> bool:
    """Return whether two lines differ only in decimals, and there within tolerance."""
    start = place = 0
    for decimal in _DECIMAL.finditer(expected):
        between = expected[start : decimal.start()]
        if not printed.startswith(between, place):
            return False
        number = _NUMBER.match(printed, place + len(between))
        if not number or not _same_number(decimal[0], number[0]):
            return False
        start, place = decimal.end(), number.end()
    return printed[place:] == expected[start:]


def _same_number(expected: str, printed: str) -> bool:
    return expected == printed or (math.isfinite(float(expected)) and _close(float(expected), float(printed)))


def _close(expected: float, returned: float) -> bool:
    """Return whether a number is within tolerance of a float; nan equals nan, and infinity itself."""
    try:
        close = math.isclose(expected, returned, rel_tol=REL_TOLERANCE, abs_tol=ABS_TOLERANCE)
    except OverflowError:  # an integer beyond the largest float
        return False
    return close or (expected != expected and returned != returned)


def same_value(expected: Any, returned: Any) -> bool:
    """Return whether a function returned what it should have.

    - None, booleans, strings and bytes equal a value of the same type: True is not 1.
    - An expected integer equals the same integer or a float of exactly that value; an expected float any integer or
      float within tolerance (nan equals nan); an expected complex number any number whose two parts are.
    - Lists and tuples equal each other, item by item.
    - A dict equals a dict with as many entries. Keys are compared exactly (1.0 is 1 and True is not); a returned key
      that is no string also equals the text that JSON makes of it, since expected keys often come from JSON.
    - Sets and frozensets equal each other. Floats that are members are paired in the order of their values, within
      tolerance; floats within tuples and keys are exact.
    - All else equals nothing, not even itself: subclasses of these types, objects with their own `==`.

    Args:
        expected: a tree (nothing in it contains itself), however deep.
        returned: anything; no more of it is read than the expected value is large.
    """
    pending: list[Iterator[tuple[Any, Any]]] = [iter([(expected, returned)])]
    while pending:
        for wanted, given in pending[-1]:
            if type(wanted) in _CONTAINERS:
                inner = _pairs(wanted, given)
                if inner is None:
                    return False
                pending.append(inner)
                break
            if not _same_scalar(wanted, given):
                return False
        else:
            pending.pop()
    return True


def _same_scalar(expected: Any, returned: Any) -> bool:
    kind = type(expected)
    if kind is float:
        return type(returned) in _REALS and _close(expected, returned)
    if kind is int:
        return type(returned) in _REALS and expected == returned  # Python compares these two exactly
    if kind is complex:
        is_number = type(returned) in _REALS or type(returned) is complex
        return is_number and _close(expected.real, returned.real) and _close(expected.imag, returned.imag)
    return kind in _EXACT and kind is type(returned) and bool(expected == returned)


def _pairs(expected: Any, returned: Any) -> Iterator[tuple[Any, Any]] | None:
    """Return the pairs still to be compared in two containers; None when they differ already."""
    for kinds, inner in ((_SEQUENCES, _item_pairs), (_SETS, _member_pairs), ({dict}, _entry_pairs)):
        if type(expected) in kinds:
            return inner(expected, returned) if type(returned) in kinds and len(expected) == len(returned) else None
    return None


def _item_pairs(expected: Any, returned: Any) -> Iterator[tuple[Any, Any]] | None:
    kind = _common_kind(expected, returned)
    if kind in _EXACT or kind is float:
        if tuple(expected) == tuple(returned):
            return iter(())
        if kind in _EXACT:
            return None
    return zip(expected, returned, strict=True)


def _common_kind(one: Collection[Any], other: Collection[Any]) -> type | None:
    """Return the type of all items of two containers; None where they have several, or there are no items."""
    kinds = {*map(type, one), *map(type, other)}
    return kinds.pop() if len(kinds) == 1 else None


def _entry_pairs(expected: dict[Any, Any], returned: dict[Any, Any]) -> Iterator[tuple[Any, Any]] | None:
    """Return the values under equal keys, no entry twice; None where the keys differ."""
    left = {_exact_key(key): (key, value) for key, value in returned.items()}
    pairs = []
    for key, value in expected.items():
        found = left.pop(_exact_key(key), None) or (_pop_named(left, key) if type(key) is str else None)
        if found is None:
            return None
        pairs.append((value, found[1]))
    return iter(pairs)


def _pop_named(left: dict[Hashable, tuple[Any, Any]], name: str) -> tuple[Any, Any] | None:
    """Remove and return the entry whose key is no string but has this name in JSON."""
    for key in _keys_named(name):
        exact_key = _exact_key(key)
        if exact_key in left and type(left[exact_key][0]) is type(key):
            return left.pop(exact_key)
    return None


def _keys_named(name: str) -> Iterator[Any]:
    """Yield the keys that JSON would write so, read from the name since writing a huge key would take long."""
    if name in _JSON_WORDS:
        yield _JSON_WORDS[name]
    for read in (int, float):
        with suppress(ValueError):
            key = read(name)
            if json.dumps(key) == name:
                yield key


def _member_pairs(expected: Collection[Any], returned: Collection[Any]) -> Iterator[tuple[Any, Any]] | None:
    """Return the floats of a set, each with its partner in the other; None where the rest differs."""
    if _common_kind(expected, returned) in _EXACT:
        return iter(()) if expected == returned else None
    exact = Counter(_exact_key(member) for member in expected if type(member) is not float)
    given = [(_exact_key(member), member) for member in returned]
    counts = Counter(key for key, _ in given)
    others = [member for key, member in given if key not in exact]
    if any(counts[key] != count for key, count in exact.items()) or not _REALS.issuperset(map(type, others)):
        return None
    floats = [member for member in expected if type(member) is float]
    return zip(sorted(floats, key=_rank), sorted(others, key=_rank), strict=True)


def _rank(number: float) -> tuple[bool, float]:
    """Return a key to sort numbers by; nan comes last."""
    return number != number, number


def _exact_key(member: Any, depth: int = _DEPTH) -> Hashable:
    """Return a value that is equal for members of sets or keys of dicts that are exactly equal, and for no others."""
    kind = type(member)
    if kind is bool or kind is complex:
        return kind, member
    if kind is float and member != member:
        return (float,)
    if kind in _EXACT or kind is float:
        return member
    if kind is tuple and depth:
        return tuple, *(_exact_key(part, depth - 1) for part in member)
    if kind is frozenset and depth:
        return frozenset, len(member), frozenset(_exact_key(part, depth - 1) for part in member)
    return object()
