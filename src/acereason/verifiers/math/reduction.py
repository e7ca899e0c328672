"""What of an answer says nothing: the name before a set, an approximation behind, a chain before its last side."""

from __future__ import annotations

from collections.abc import Sequence

from acereason.verifiers.math.ambiguities import variants
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


def bare(node: Node) -> Node:
    """The node without what says nothing: a name for a set, an approximation behind, a label before."""
    if isinstance(node, Matrix) and len(node.rows) == len(node.rows[0]) == 1:
        return bare(node.rows[0][0])
    if isinstance(node, Call) and node.name == "group":
        return bare(node.args[0])
    if isinstance(node, Word) and node.text.lower() in _REGION_WORDS:
        return _REGION_WORDS[node.text.lower()]
    if isinstance(node, Call) and node.name == "ratio" and isinstance(node.args[0], Word) and len(node.args) == 2:
        return bare(node.args[1])
    if isinstance(node, Call) and node.name == "mul" and _is_labelled_point(node):
        return node.args[1]
    if isinstance(node, Several):
        return as_total(node)
    if isinstance(node, Relation):
        return _bare_relation(node)
    return node


def _is_labelled_point(node: Call) -> bool:
    """Whether this is `A(1,2)`."""
    label, *rest = node.args
    return isinstance(label, Symbol) and label.name[0].isupper() and len(rest) == 1 and isinstance(rest[0], Bracket)


def _bare_relation(node: Relation) -> Node:
    if "approx" in node.operators:
        place = node.operators.index("approx")
        if place == 0:
            return bare(node.sides[1] if name_of(node.sides[0]) else node.sides[0])
        return bare(Relation(node.sides[: place + 1], node.operators[:place]))
    if node.operators == ("equiv",) and name_of(node.sides[0]):
        value = bare(node.sides[1])
        return Call("residue", value.args) if isinstance(value, Call) and value.name == "mod" else value
    if node.operators == ("in",) and name_of(node.sides[0]):
        return bare(node.sides[1])
    if set(node.operators) == {"="}:
        if len(node.sides) > 2 and all(isinstance(side, Symbol) for side in node.sides[:-1]):
            return Several(tuple(Relation((side, node.sides[-1]), ("=",)) for side in node.sides[:-1]), ",")
        if len(node.sides) > 2 and name_of(node.sides[0]) and not _has_words(node.sides[1:-1]):
            return Relation((node.sides[0], node.sides[-1]), ("=",))
        if _is_true(node):
            return bare(node.sides[-1])
    return node


def _has_words(sides: Sequence[Node]) -> bool:
    return any(isinstance(part, Word) for side in sides for part in walk(side))


def _is_true(node: Relation) -> bool:
    """Whether an equation between numbers holds, so that it says no more than its last side."""
    if any(variables(side) or not isinstance(side, (Number, Call)) for side in node.sides):
        return False
    pairs = zip(node.sides, node.sides[1:], strict=False)
    return all(same_value(*pair) is True for left, right in pairs for pair in variants(left, right)[:1])
