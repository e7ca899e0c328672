"""The nodes of the tree that an answer is read into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias


class Unreadable(Exception):
    """Raised for text that is not mathematics that the reader knows."""


@dataclass(frozen=True, slots=True)
class Number:
    """An exact rational number.

    Attributes:
        value: the number.
        places: digits after the decimal point as written; 0 for one written without a point.
    """

    value: Fraction
    places: int = 0


@dataclass(frozen=True, slots=True)
class Symbol:
    """A variable or a constant (`pi`, `e`, `i`, `infinity`), subscript and prime included."""

    name: str


@dataclass(frozen=True, slots=True)
class Word:
    """Words in the mathematics: a unit, a noun after a number, an answer in words."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operation or function with its arguments: `add`, `mul`, `div`, `pow`, `sin`, `union`, `pm` and so on."""

    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Bracket:
    r"""Entries between brackets: a tuple, an interval or a set; `opening` and `closing` are of `( [ { <`, `) ] } >`."""

    opening: str
    items: tuple[Node, ...]
    closing: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix, row by row."""

    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A chain `a < b = c`: one operator fewer than sides."""

    sides: tuple[Node, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Several:
    """Answers side by side; `joint` is the separator between them: `,`, `;`, `and`, `or`."""

    items: tuple[Node, ...]
    joint: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """Text that could not be read, in canonical spelling: equal only to the same text."""

    text: str


Node: TypeAlias = Number | Symbol | Word | Call | Bracket | Matrix | Relation | Several | Opaque

CONSTANTS = frozenset({"pi", "e", "i", "infinity"})
INDEX_PREFIX = "index "
"""Prefix of the name of a variable that a sum or product runs over."""
DOTS = Symbol("…")
INFINITY = Symbol("infinity")


def number(value: int) -> Number:
    """Return the node of an integer."""
    return Number(Fraction(value))


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly below one."""
    if isinstance(node, Call):
        return node.args
    if isinstance(node, (Bracket, Several)):
        return node.items
    if isinstance(node, Relation):
        return node.sides
    if isinstance(node, Matrix):
        return tuple(entry for row in node.rows for entry in row)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and all below it."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(children(current))


def variables(node: Node) -> set[str]:
    """Return the names of the free variables."""
    names = {part.name for part in walk(node) if isinstance(part, Symbol)} - CONSTANTS
    return {name for name in names if not name.startswith(INDEX_PREFIX)}


def is_infinite(node: Node) -> bool:
    """Return whether the node is plus or minus infinity."""
    return node == INFINITY or node == Call("neg", (INFINITY,))


def map_nodes(node: Node, change: Callable[[Node], Node]) -> Node:
    """Return the expression with a change applied to every node, the innermost first."""
    if isinstance(node, Call):
        return change(Call(node.name, tuple(map_nodes(part, change) for part in node.args)))
    if isinstance(node, Bracket):
        return Bracket(node.opening, tuple(map_nodes(part, change) for part in node.items), node.closing)
    if isinstance(node, Several):
        return Several(tuple(map_nodes(part, change) for part in node.items), node.joint)
    if isinstance(node, Relation):
        return Relation(tuple(map_nodes(part, change) for part in node.sides), node.operators)
    if isinstance(node, Matrix):
        return Matrix(tuple(tuple(map_nodes(part, change) for part in row) for row in node.rows))
    return change(node)


def is_complex(node: Node) -> bool:
    """Return whether the imaginary unit occurs in an expression."""
    return any(isinstance(part, Symbol) and part.name == "i" for part in walk(node))


def has_call(node: Node, *names: str) -> bool:
    """Return whether one of the named operations occurs in an expression."""
    return any(isinstance(part, Call) and part.name in names for part in walk(node))
