"""Plain data between processes that do not trust each other: values to bytes and back, and nothing that runs.

A message is JSON. What JSON has keeps its form; the rest is an object with one member that names its kind (`_TAGS`).
Instances of the classes that a problem brings along (a linked list's node) are kept in a table and refer to each other
by number, so that a long list is not a deep one. Whatever else a program returns arrives as `Opaque`.

This module runs in the sandbox too, so it imports next to nothing.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAX_DEPTH = 200
"""Most containers inside each other; a linked list counts as one."""
MAX_ITEMS = 100_000
"""Most items taken from an iterator."""
_JSON_DIGITS = 10**4000  # Python reads no longer decimal integers, so that none can take quadratic time
_FRACTION_BITS = 1 << 14
_MANY_KEYS, _SAME_HASH = 1000, 64
_ATOMS = frozenset({str, float, bool, type(None)})


class BadData(Exception):
    """Bytes that are no message, or a value that cannot be one: too deep, or an endless iterator."""


class Opaque:
    """An object that did not travel; equal to nothing but itself."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __repr__(self) -> str:
        return f"<{self.kind}>"


def encode(value: Any, classes: dict[type, str] | None = None, iterators: bool = False) -> bytes:
    """Return a value as a message.

    Args:
        classes: classes whose instances travel with their attributes, and their names.
        iterators: whether to run iterators and send their items.

    Raises:
        BadData: too deep, or an iterator with more than MAX_ITEMS items.
    """
    encoder = _Encoder(classes or {}, iterators)
    try:
        shape = encoder.value(value, 0)
        encoder.fill_table()
        return json.dumps({"v": shape, "o": encoder.table} if encoder.table else {"v": shape}).encode()
    except RecursionError as error:
        raise BadData("nested too deeply") from error


class _Encoder:
    def __init__(self, classes: dict[type, str], iterators: bool) -> None:
        self.classes, self.iterators = classes, iterators
        self.table: list[list[Any]] = []
        self._numbers: dict[int, int] = {}
        self._instances: list[Any] = []

    def fill_table(self) -> None:
        """Add the attributes of all instances met so far, and of those met on the way."""
        for instance in self._instances:  # grows while it is gone through
            names = list(getattr(instance, "__dict__", ())) or list(getattr(type(instance), "__slots__", ()))
            attributes = {name: self.value(getattr(instance, name), 1) for name in names if hasattr(instance, name)}
            self.table.append([self.classes[type(instance)], attributes])

    def value(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _ATOMS:
            return value
        if kind is int:
            return value if -_JSON_DIGITS < value < _JSON_DIGITS else {"i": hex(value)}
        if depth >= MAX_DEPTH:
            raise BadData("nested too deeply")
        if kind is list:
            return self._items(value, depth)
        if kind in self.classes:
            return self._reference(value)
        return self._other(value, kind, depth)

    def _items(self, items: Any, depth: int) -> list[Any]:
        items = list(items)
        kinds = set(map(type, items))
        if kinds <= _ATOMS:
            return items
        if kinds == {int} and min(items) > -_JSON_DIGITS and max(items) < _JSON_DIGITS:
            return items
        return [self.value(item, depth + 1) for item in items]

    def _reference(self, value: Any) -> dict[str, int]:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._instances)
            self._instances.append(value)
        return {"r": number}

    def _other(self, value: Any, kind: type, depth: int) -> Any:
        """Encode subclasses as what they extend, without their own methods."""
        if isinstance(value, bool | int):
            return self.value(int.__add__(value, 0), depth)
        if isinstance(value, float):
            return float.__add__(value, -0.0)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, list):
            return self._items(list.__iter__(value), depth)
        if isinstance(value, tuple):
            return {"t": self._items(tuple.__iter__(value), depth)}
        if isinstance(value, dict):
            return {"d": [[self.value(k, depth + 1), self.value(v, depth + 1)] for k, v in dict.items(value)]}
        if isinstance(value, set):
            return {"s": self._items(set.__iter__(value), depth)}
        if isinstance(value, frozenset):
            return {"z": self._items(frozenset.__iter__(value), depth)}
        if isinstance(value, deque):
            return {"q": self._items(deque.__iter__(value), depth)}
        return self._rarer(value, kind, depth)

    def _rarer(self, value: Any, kind: type, depth: int) -> Any:
        if isinstance(value, complex):
            return {"c": [value.real, value.imag]}
        if isinstance(value, bytes | bytearray):
            return {"b" if isinstance(value, bytes) else "y": value.decode("latin-1")}
        if isinstance(value, range):
            return {"n": [self.value(end, depth) for end in (value.start, value.stop, value.step)]}
        if isinstance(value, Decimal):
            return {"m": str(value)}
        if isinstance(value, Fraction):
            return {"p": [self.value(value.numerator, depth), self.value(value.denominator, depth)]}
        if kind.__module__ == "numpy":
            return self.value(value.tolist(), depth)
        if self.iterators and hasattr(kind, "__next__"):
            return {"w": self._items(_taken(value), depth)}
        return {"x": kind.__name__}


def _taken(items: Iterator[Any]) -> list[Any]:
    taken: list[Any] = []
    for item in items:
        if len(taken) == MAX_ITEMS:
            raise BadData(f"an iterator of more than {MAX_ITEMS} items")
        taken.append(item)
    return taken


def decode(message: bytes, classes: dict[str, type] | None = None) -> Any:
    """Return the value of a message, which need not be trusted.

    Args:
        classes: classes by name whose instances are made; others arrive as `Opaque`.

    Raises:
        BadData: `encode` does not write such a message.
    """
    try:
        content = json.loads(message)
        return _Decoder(content.get("o", []), classes or {}).value(content["v"], 0)
    except BadData:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError) as error:
        raise BadData(f"{type(error).__name__}: {error}"[:200]) from error


class _Decoder:
    def __init__(self, table: list[list[Any]], classes: dict[str, type]) -> None:
        self.instances = [self._blank(name, classes) for name, _ in table]
        for instance, (_, attributes) in zip(self.instances, table, strict=True):
            if not isinstance(instance, Opaque):
                for name, value in attributes.items():
                    setattr(instance, name, self.value(value, 1))

    @staticmethod
    def _blank(name: str, classes: dict[str, type]) -> Any:
        cls = classes.get(name)
        return Opaque(name) if cls is None else object.__new__(cls)

    def value(self, shape: Any, depth: int) -> Any:
        if isinstance(shape, list):
            return self._items(shape, depth)
        if not isinstance(shape, dict):
            return shape
        if depth >= MAX_DEPTH:
            raise BadData("nested too deeply")
        ((tag, content),) = shape.items()
        return getattr(self, f"_{_TAGS[tag]}")(content, depth)

    def _items(self, items: list[Any], depth: int) -> list[Any]:
        if depth >= MAX_DEPTH:
            raise BadData("nested too deeply")
        if {list, dict}.isdisjoint(map(type, items)):
            return items
        return [self.value(item, depth + 1) for item in items]

    def _integer(self, digits: str, depth: int) -> int:
        return int(digits, 16)

    def _instance(self, number: int, depth: int) -> Any:
        return self.instances[number]

    def _tuple(self, items: list[Any], depth: int) -> tuple[Any, ...]:
        return tuple(self._items(items, depth))

    def _set(self, items: list[Any], depth: int) -> set[Any]:
        return set(_without_collisions(self._items(items, depth)))

    def _frozenset(self, items: list[Any], depth: int) -> frozenset[Any]:
        return frozenset(_without_collisions(self._items(items, depth)))

    def _deque(self, items: list[Any], depth: int) -> deque[Any]:
        return deque(self._items(items, depth))

    def _iterator(self, items: list[Any], depth: int) -> Iterator[Any]:
        return iter(self._items(items, depth))

    def _dictionary(self, items: list[list[Any]], depth: int) -> dict[Any, Any]:
        keys = _without_collisions([self.value(key, depth + 1) for key, _ in items])
        return dict(zip(keys, [self.value(value, depth + 1) for _, value in items], strict=True))

    def _complex(self, parts: list[float], depth: int) -> complex:
        return complex(*parts)

    def _bytes(self, text: str, depth: int) -> bytes:
        return text.encode("latin-1")

    def _bytearray(self, text: str, depth: int) -> bytearray:
        return bytearray(text.encode("latin-1"))

    def _range(self, ends: list[Any], depth: int) -> range:
        return range(*(self.value(end, depth) for end in ends))

    def _decimal(self, digits: str, depth: int) -> Decimal:
        return Decimal(digits)

    def _fraction(self, parts: list[Any], depth: int) -> Fraction:
        numerator, denominator = (self.value(part, depth) for part in parts)
        if max(numerator.bit_length(), denominator.bit_length()) > _FRACTION_BITS:
            raise BadData("a fraction of numbers too long")
        return Fraction(numerator, denominator)

    def _opaque(self, kind: str, depth: int) -> Opaque:
        return Opaque(str(kind))


def _without_collisions(keys: list[Any]) -> list[Any]:
    """Return the keys; raise BadData where they were made to collide, and would make a dictionary slow."""
    if len(keys) > _MANY_KEYS:
        ((_, most),) = Counter(map(hash, keys)).most_common(1)
        if most > _SAME_HASH:
            raise BadData("keys that collide")
    return keys


_TAGS = {
    "i": "integer",
    "r": "instance",
    "t": "tuple",
    "s": "set",
    "z": "frozenset",
    "q": "deque",
    "w": "iterator",
    "d": "dictionary",
    "c": "complex",
    "b": "bytes",
    "y": "bytearray",
    "n": "range",
    "m": "decimal",
    "p": "fraction",
    "x": "opaque",
}
