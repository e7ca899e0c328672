"""The readings of a percent sign and of a degree sign: both may be left out, and both are numbers."""

from __future__ import annotations

from acereason.verifiers.math.exact import TooLarge, Undefined, Unevaluable, exact
from acereason.verifiers.math.reading.expressions import Call, Node, holds
from acereason.verifiers.math.reading.vocabulary import FUNCTIONS

_TRIGONOMETRIC = frozenset(FUNCTIONS.values())


def variants(gold: Node, answer: Node) -> list[tuple[Node, Node]]:
    """Pairs to compare, of which one has to be equal; the plainest first."""
    pairs = [(_without(gold, "degrees"), _without(answer, "degrees"))]
    if holds(gold, "degrees") != holds(answer, "degrees"):
        pairs.append((gold, answer))  # 90° against π/2
    if holds(gold, "percent") or (holds(answer, "percent") and _may_be_percent(gold)):
        pairs = [*pairs, *((_without(left, "percent"), _without(right, "percent")) for left, right in pairs)]
    return pairs


def _may_be_percent(gold: Node) -> bool:
    """Whether a gold without a percent sign may be a percentage: below 1 it is more likely the number itself."""
    try:
        value = exact(gold, {})
    except (TooLarge, Undefined, Unevaluable):
        return True
    return value is None or abs(value) >= 1


def _without(node: Node, sign: str) -> Node:
    """The expression without a sign, except inside functions of an angle."""
    if not isinstance(node, Call) or (sign == "degrees" and node.name in _TRIGONOMETRIC):
        return node
    if node.name == sign:
        return _without(node.args[0], sign)
    if sign == "percent" and node.name != "neg":
        return node
    return Call(node.name, tuple(_without(part, sign) for part in node.args))
