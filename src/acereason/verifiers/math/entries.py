r"""The answers that one expression lists, each with its name, if any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from acereason.verifiers.math.names import name_of
from acereason.verifiers.math.reading.expressions import (
    Bracket,
    Call,
    Node,
    Relation,
    Several,
    Symbol,
    Word,
    map_nodes,
    variables,
    walk,
)
from acereason.verifiers.math.reduction import reduced

MAX_SIGNS = 3
"""Most plus-minus signs whose values are all tried."""


@dataclass(frozen=True)
class Entry:
    """One of several answers: its value and the name before it, if any."""

    name: str | None
    value: Node


def named_entry(node: Node) -> Entry | None:
    """Return the name and value of `name = value`, with the sides in either order; None for another equation."""
    if not isinstance(node, Relation) or set(node.operators) != {"="} or len(node.sides) != 2:
        return None
    left, right = node.sides
    if isinstance(left, Symbol) and left.name in variables(right):
        return None
    name, other = name_of(left), name_of(right)
    if name is not None and not (other is not None and isinstance(left, Word)):
        return Entry(name, right)
    if other is not None and not variables(left):
        return Entry(other, left)
    return Entry(name, right) if name is not None else None


def entries(node: Node) -> list[Entry]:
    r"""Return the answers that an expression lists: three for `\{1\pm\sqrt5, -2\}`, two of one name for `a=4,-8`."""
    if isinstance(node, Several):
        found: list[Entry] = []
        for item in node.items:
            for entry in _group_entries(item):
                carried = found[-1].name if found and entry.name is None and _one_name(found) else None
                found.append(Entry(entry.name or carried, entry.value))
        return found
    if isinstance(node, Bracket) and node.opening == "{":
        return [entry for item in node.items for entry in _inner_entries(item)]
    if isinstance(node, Call) and node.name == "group":
        return entries(node.args[0])
    rest = reduced(node)
    whole = named_entry(rest)
    if whole is not None:
        return [Entry(whole.name, part.value) for part in entries(whole.value)]
    return [Entry(None, part) for part in sign_choices(rest)]


def _group_entries(node: Node) -> list[Entry]:
    """Return the entries of one group; a list without names among other lists is a tuple."""
    if isinstance(node, Bracket) and node.opening == "{":
        return [Entry(None, node)]
    found = entries(node)
    if isinstance(node, Several) and len(found) > 1 and all(entry.name is None for entry in found):
        return [Entry(None, Bracket("(", tuple(entry.value for entry in found), ")"))]
    return found


def _inner_entries(node: Node) -> list[Entry]:
    return [Entry(None, node)] if isinstance(node, Bracket) else entries(node)


def _one_name(found: list[Entry]) -> bool:
    return len({entry.name for entry in found}) == 1


def records_of(found: list[Entry]) -> list[dict[str, Node]]:
    """Return entries of several names as records, a new one wherever a name repeats; [] for any other list."""
    pairs = [pair for entry in found for pair in _named_parts(entry)]
    if len({name for name, _ in pairs}) < 2 or any(name is None for name, _ in pairs):
        return []
    records: list[dict[str, Node]] = [{}]
    for name, value in pairs:
        if name in records[-1]:
            records.append({})
        records[-1][str(name)] = value
    return records


def _named_parts(entry: Entry) -> list[tuple[str | None, Node]]:
    """Return an entry's names with their values: two for `(x,y)=(8,-2)`."""
    if entry.name is None or not entry.name.startswith("tuple("):
        return [(entry.name, entry.value)]
    names = entry.name.removeprefix("tuple(").removesuffix(")").split(",")
    if not isinstance(entry.value, Bracket) or len(names) != len(entry.value.items):
        return [(None, entry.value)]
    return list(zip(names, entry.value.items, strict=True))


# --- plus or minus ----------------------------------------------------------------------------------------------------


def sign_choices(node: Node) -> list[Node]:
    r"""Return the values of an expression with `\pm`: signs vary together where `\mp` occurs, else independently.

    An expression without such signs, or with more than `MAX_SIGNS`, is its only value.
    """
    signs = [part.name for part in walk(node) if isinstance(part, Call) and part.name in ("pm", "mp")]
    if not signs or len(signs) > MAX_SIGNS:
        return [node]
    if "mp" in signs:
        return [_chosen(node, iter([plus] * len(signs))) for plus in (True, False)]
    return [_chosen(node, iter(choice)) for choice in product((True, False), repeat=len(signs))]


def _chosen(node: Node, signs: Iterator[bool]) -> Node:
    def choose(part: Node) -> Node:
        if not isinstance(part, Call) or part.name not in ("pm", "mp"):
            return part
        left, right = part.args
        plus = next(signs) == (part.name == "pm")
        return Call("add", (left, right if plus else Call("neg", (right,))))

    return map_nodes(node, choose)
