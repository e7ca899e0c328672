"""What a kind of answer is to the property tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis.strategies import SearchStrategy


def itself(value: Any) -> Any:
    """The value, where it is its own canonical form."""
    return value


@dataclass(frozen=True)
class Kind:
    """A kind of answer.

    Attributes:
        name: as test ids show it.
        values: exact values of the kind.
        spellings: of a value, the ways to write it.
        others: of a value, the values that differ from it in one place.
        canonical: one form for equal values; two values are equal when theirs are.
    """

    name: str
    values: SearchStrategy[Any]
    spellings: Callable[[Any], SearchStrategy[str]]
    others: Callable[[Any], SearchStrategy[Any]]
    canonical: Callable[[Any], Any] = itself
