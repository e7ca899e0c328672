"""Parts of an answer that say nothing: the name before a set, an approximation after it, a chain before its end."""

from __future__ import annotations

from collections.abc import Sequence

from acereason.verifiers.math.ambiguities import paired_readings
from acereason.verifiers.math.names import name_of
from acereason.verifiers.math.reading.expressions import (
    Bracket,
    Call,
    Matrix,
    Node,
    Number,
    Relation,
    Several,
    Symbol,
    Word,
    variables,
    walk,
)
from acereason.verifiers.math.reading.units import as_total
from acereason.verifiers.math.values import same_value

_REGION_WORDS = {
    **dict.fromkeys(("all real numbers", "all reals", "real numbers", "any real number"), Symbol("set R")),
    **dict.fromkeys(("all positive real numbers", "positive real numbers", "positive reals"), Symbol("set R+")),
}


def reduced(node: Node) -> Node:
    """Return the node without parts that say nothing: the name of a set, an approximation after it, a label before."""
    if isinstance(node, Matrix) and len(node.rows) == len(node.rows[0]) == 1:
        return reduced(node.rows[0][0])
    if isinstance(node, Call) and node.name == "group":
        return reduced(node.args[0])
    if isinstance(node, Word) and node.text.lower() in _REGION_WORDS:
        return _REGION_WORDS[node.text.lower()]
    if isinstance(node, Call) and node.name == "ratio" and isinstance(node.args[0], Word) and len(node.args) == 2:
        return reduced(node.args[1])
    if isinstance(node, Call) and node.name == "mul" and _is_labelled_point(node):
        return node.args[1]
    if isinstance(node, Several):
        return as_total(node)
    if isinstance(node, Relation):
        return _bare_relation(node)
    return node


def _is_labelled_point(node: Call) -> bool:
    """Return whether this is `A(1,2)`."""
    label, *rest = node.args
    return isinstance(label, Symbol) and label.name[0].isupper() and len(rest) == 1 and isinstance(rest[0], Bracket)


def _bare_relation(node: Relation) -> Node:
    if "approx" in node.operators:
        place = node.operators.index("approx")
        if place == 0:
            return reduced(node.sides[1] if name_of(node.sides[0]) else node.sides[0])
        return reduced(Relation(node.sides[: place + 1], node.operators[:place]))
    if node.operators == ("equiv",) and name_of(node.sides[0]):
        value = reduced(node.sides[1])
        return Call("residue", value.args) if isinstance(value, Call) and value.name == "mod" else value
    if node.operators == ("in",) and name_of(node.sides[0]):
        return reduced(node.sides[1])
    if set(node.operators) == {"="}:
        if len(node.sides) > 2 and all(isinstance(side, Symbol) for side in node.sides[:-1]):
            return Several(tuple(Relation((side, node.sides[-1]), ("=",)) for side in node.sides[:-1]), ",")
        if len(node.sides) > 2 and name_of(node.sides[0]) and not _has_words(node.sides[1:-1]):
            return Relation((node.sides[0], node.sides[-1]), ("=",))
        if _is_true(node):
            return reduced(node.sides[-1])
    return node


def _has_words(sides: Sequence[Node]) -> bool:
    return any(isinstance(part, Word) for side in sides for part in walk(side))


def _is_true(node: Relation) -> bool:
    """Return whether an equation between numbers is true, so that it says no more than its last side."""
    if any(variables(side) or not isinstance(side, (Number, Call)) for side in node.sides):
        return False
    pairs = zip(node.sides, node.sides[1:], strict=False)
    return all(same_value(*pair) is True for left, right in pairs for pair in paired_readings(left, right)[:1])
