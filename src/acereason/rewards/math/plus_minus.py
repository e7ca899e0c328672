r"""What `\pm` stands for: every value that the signs can give."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from acereason.rewards.math.reading.expressions import Bracket, Call, Matrix, Node, Relation, Several, Symbol, walk

MAX_SIGNS = 3


def alternatives(node: Node) -> list[Node]:
    r"""The values of an expression with `\pm`: signs vary together where `\mp` occurs, else each by itself.

    An expression without such signs, or with more than `MAX_SIGNS`, is its only value.
    """
    signs = [part.name for part in walk(node) if isinstance(part, Call) and part.name in ("pm", "mp")]
    if not signs or len(signs) > MAX_SIGNS:
        return [node]
    if "mp" in signs:
        return [_chosen(node, iter([plus] * len(signs))) for plus in (True, False)]
    return [_chosen(node, iter(choice)) for choice in product((True, False), repeat=len(signs))]


def _chosen(node: Node, signs: Iterator[bool]) -> Node:
    if isinstance(node, Call) and node.name in ("pm", "mp"):
        plus = next(signs) == (node.name == "pm")
        left, right = _chosen(node.args[0], signs), _chosen(node.args[1], signs)
        return Call("add", (left, right if plus else Call("neg", (right,))))
    if isinstance(node, Call):
        return Call(node.name, tuple(_chosen(part, signs) for part in node.args))
    if isinstance(node, Bracket):
        return Bracket(node.opening, tuple(_chosen(part, signs) for part in node.items), node.closing)
    if isinstance(node, Relation):
        return Relation(tuple(_chosen(part, signs) for part in node.sides), node.operators)
    if isinstance(node, Matrix):
        return Matrix(tuple(tuple(_chosen(part, signs) for part in row) for row in node.rows))
    return node


def with_imaginary_unit(gold: Node, answer: Node) -> tuple[Node, Node]:
    """The two expressions, with the `I` or `j` of the one taken for the imaginary unit where the other has an `i`."""
    names = [{part.name for part in walk(node) if isinstance(part, Symbol)} for node in (gold, answer)]
    for spelling in ("I", "j"):
        if "i" in names[0] and "i" not in names[1] and spelling in names[1] - names[0]:
            answer = _renamed(answer, spelling)
        if "i" in names[1] and "i" not in names[0] and spelling in names[0] - names[1]:
            gold = _renamed(gold, spelling)
    return gold, answer


def _renamed(node: Node, name: str) -> Node:
    if isinstance(node, Symbol):
        return Symbol("i") if node.name == name else node
    if isinstance(node, Call):
        return Call(node.name, tuple(_renamed(part, name) for part in node.args))
    if isinstance(node, Bracket):
        return Bracket(node.opening, tuple(_renamed(part, name) for part in node.items), node.closing)
    if isinstance(node, Several):
        return Several(tuple(_renamed(part, name) for part in node.items), node.joint)
    if isinstance(node, Relation):
        return Relation(tuple(_renamed(part, name) for part in node.sides), node.operators)
    if isinstance(node, Matrix):
        return Matrix(tuple(tuple(_renamed(part, name) for part in row) for row in node.rows))
    return node
