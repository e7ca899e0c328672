"""Notation with several meanings: percent and degree signs, the imaginary unit, letters that look like functions."""

from __future__ import annotations

from acereason.verifiers.math.exact import TooLarge, Undefined, Unevaluable, exact
from acereason.verifiers.math.reading.expressions import Call, Node, Symbol, has_call, map_nodes, walk
from acereason.verifiers.math.reading.vocabulary import FUNCTIONS

_TRIGONOMETRIC = frozenset(FUNCTIONS.values())
_APPLY = "apply "


# --- signs ------------------------------------------------------------------------------------------------------------


def paired_readings(gold: Node, answer: Node) -> list[tuple[Node, Node]]:
    """Return pairs of readings, the plainest first; the answers are equal if one of the pairs is.

    A percent sign and a degree sign may be left out, and both are numbers.
    """
    pairs = [(_without(gold, "degrees"), _without(answer, "degrees"))]
    if has_call(gold, "degrees") != has_call(answer, "degrees"):
        pairs.append((gold, answer))  # 90° against π/2
    if has_call(gold, "percent") or (has_call(answer, "percent") and _may_be_percent(gold)):
        pairs = [*pairs, *((_without(left, "percent"), _without(right, "percent")) for left, right in pairs)]
    return pairs


def _may_be_percent(gold: Node) -> bool:
    """Return whether a gold without a percent sign may be a percentage; below 1 it is more likely the number itself."""
    try:
        value = exact(gold, {})
    except (TooLarge, Undefined, Unevaluable):
        return True
    return value is None or abs(value) >= 1


def _without(node: Node, sign: str) -> Node:
    """Return the expression without a sign, except inside functions of an angle."""
    if not isinstance(node, Call) or (sign == "degrees" and node.name in _TRIGONOMETRIC):
        return node
    if node.name == sign:
        return _without(node.args[0], sign)
    if sign == "percent" and node.name != "neg":
        return node
    return Call(node.name, tuple(_without(part, sign) for part in node.args))


# --- letters ----------------------------------------------------------------------------------------------------------


def with_same_letters(gold: Node, answer: Node) -> tuple[Node, Node]:
    """Return the two expressions with the same meaning for each letter.

    `I` or `j` is the imaginary unit where the other side has an `i` and not that letter. A letter before a bracket is a
    factor, not a function, where the letter also occurs without one: `h(2R-h)`.
    """
    gold, answer = _with_imaginary_unit(gold, answer), _with_imaginary_unit(answer, gold)
    alone = _letters(gold) | _letters(answer)
    return _with_factors(gold, alone), _with_factors(answer, alone)


def _letters(node: Node) -> set[str]:
    return {part.name for part in walk(node) if isinstance(part, Symbol)}


def _with_imaginary_unit(node: Node, other: Node) -> Node:
    mine, others = _letters(node), _letters(other)
    spellings = [letter for letter in ("I", "j") if letter in mine - others]
    if "i" not in others - mine or not spellings:
        return node
    return map_nodes(node, lambda part: Symbol("i") if part == Symbol(spellings[0]) else part)


def _with_factors(node: Node, alone: set[str]) -> Node:
    """Return the expression with functions read as factors where their letter occurs alone."""
    functions = {part.name for part in walk(node) if isinstance(part, Call) and part.name.startswith(_APPLY)}
    factors = {name for name in functions if name.removeprefix(_APPLY) in alone}

    def as_product(part: Node) -> Node:
        if isinstance(part, Call) and part.name in factors and len(part.args) == 1:
            return Call("mul", (Symbol(part.name.removeprefix(_APPLY)), part.args[0]))
        return part

    return map_nodes(node, as_product) if factors else node
