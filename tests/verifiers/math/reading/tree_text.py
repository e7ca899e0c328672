"""The tree of a text, written so that a test shows it in one line: `add(pow(x, 2), -3)`."""

from __future__ import annotations

from acereason.verifiers.math.reading.expressions import (
    Bracket,
    Call,
    Matrix,
    Node,
    Number,
    Opaque,
    Relation,
    Several,
    Symbol,
    Word,
)
from acereason.verifiers.math.reading.reader import read_tokens
from acereason.verifiers.math.reading.tokens import tokenise
from acereason.verifiers.math.reading.typesetting import clean


def tree_of(text: str) -> str:
    """What the reader makes of a text, as `shown`.

    Raises:
        Unreadable: it is not mathematics that the reader knows.
    """
    return shown(read_tokens(tokenise(clean(text))))


def shown(node: Node) -> str:
    """Operations as calls, words in quotes, answers side by side as `Several`, everything else as one writes it."""
    match node:
        case Number(value):
            return str(value)
        case Symbol(name):
            return name
        case Word(text):
            return repr(text)
        case Call(name, args):
            return f"{name}({_listed(args)})"
        case Bracket(opening, items, closing):
            return opening + _listed(items) + closing
        case Matrix(rows):
            return "[" + "; ".join(_listed(row) for row in rows) + "]"
        case Relation(sides, operators):
            rest = zip(operators, sides[1:], strict=True)
            return shown(sides[0]) + "".join(f" {operator} {shown(side)}" for operator, side in rest)
        case Several(items, joint):
            return f"Several{joint}({_listed(items)})"
        case Opaque(text):
            return f"Opaque({text})"


def _listed(nodes: tuple[Node, ...]) -> str:
    return ", ".join(shown(node) for node in nodes)
