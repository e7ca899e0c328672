"""What one letter means on either side: the imaginary unit by another letter, a factor that looked like a function."""

from __future__ import annotations

from acereason.verifiers.math.reading.expressions import Call, Node, Symbol, changed, walk

_APPLY = "apply "


def with_same_letters(gold: Node, answer: Node) -> tuple[Node, Node]:
    """The two expressions with each letter in one meaning.

    `I` or `j` is the imaginary unit where the other side has an `i` and not that letter. A letter before a bracket is a
    factor, not a function, where it stands alone elsewhere: `h(2R-h)`.
    """
    gold, answer = _imaginary(gold, answer), _imaginary(answer, gold)
    alone = _letters(gold) | _letters(answer)
    return _multiplied(gold, alone), _multiplied(answer, alone)


def _letters(node: Node) -> set[str]:
    return {part.name for part in walk(node) if isinstance(part, Symbol)}


def _imaginary(node: Node, other: Node) -> Node:
    mine, others = _letters(node), _letters(other)
    spellings = [letter for letter in ("I", "j") if letter in mine - others]
    if "i" not in others - mine or not spellings:
        return node
    return changed(node, lambda part: Symbol("i") if part == Symbol(spellings[0]) else part)


def _multiplied(node: Node, alone: set[str]) -> Node:
    functions = {part.name for part in walk(node) if isinstance(part, Call) and part.name.startswith(_APPLY)}
    factors = {name for name in functions if name.removeprefix(_APPLY) in alone}

    def as_product(part: Node) -> Node:
        if isinstance(part, Call) and part.name in factors and len(part.args) == 1:
            return Call("mul", (Symbol(part.name.removeprefix(_APPLY)), part.args[0]))
        return part

    return changed(node, as_product) if factors else node
