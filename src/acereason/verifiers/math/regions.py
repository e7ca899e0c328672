r"""Sets of real numbers: intervals, unions, inequalities, and their comparison.

A region is a sorted list of disjoint intervals; each end is an expression and is open or closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from acereason.verifiers.math.approximation import Approximation
from acereason.verifiers.math.exact import TooLarge, Undefined, Unevaluable
from acereason.verifiers.math.reading.expressions import (
    INFINITY,
    Bracket,
    Call,
    Node,
    Number,
    Relation,
    Several,
    Symbol,
    is_infinite,
    map_nodes,
    number,
    variables,
    walk,
)
from acereason.verifiers.math.values import same_value

_MINUS_INFINITY = Call("neg", (INFINITY,))
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "!=": "!=", "=": "="}
ORDER = frozenset({"<", ">", "<=", ">=", "!="})


class NoRegion(Exception):
    """Raised for an expression that is no set of real numbers that could be built."""


@dataclass(frozen=True)
class Interval:
    """An interval; `low_value` and `high_value` are its ends as floating-point numbers, to sort by."""

    low: Node
    low_closed: bool
    high: Node
    high_closed: bool
    low_value: Any
    high_value: Any


Region = list[Interval]


def same_region(left: Node, right: Node) -> bool | None:
    """Return whether two expressions are the same set of real numbers; None where one of them is no set."""
    try:
        first, second = region(left), region(right)
    except (NoRegion, Undefined, Unevaluable, TooLarge):
        return None
    if len(first) != len(second):
        return False
    for one, other in zip(first, second, strict=True):
        if (one.low_closed, one.high_closed) != (other.low_closed, other.high_closed):
            return False
        if not (_same_end(one.low, other.low) and _same_end(one.high, other.high)):
            return False
    return True


def _same_end(one: Node, other: Node) -> bool:
    return one == other if is_infinite(one) or is_infinite(other) else same_value(one, other) is True


def region(node: Node) -> Region:
    """Return the set of real numbers that an expression describes.

    Raises:
        NoRegion, Undefined, Unevaluable, TooLarge: it describes none.
    """
    if isinstance(node, Bracket):
        return _bracket(node)
    if isinstance(node, Relation):
        return _relation(node)
    if isinstance(node, Several):
        return _several(node)
    if isinstance(node, Symbol) and node.name == "set R":
        return [_interval(_MINUS_INFINITY, False, INFINITY, False)]
    if isinstance(node, Symbol) and node.name == "set R+":
        return [_interval(number(0), False, INFINITY, False)]
    if isinstance(node, Call) and node.name in ("union", "intersection", "minus"):
        first, second = region(node.args[0]), region(node.args[1])
        if node.name == "union":
            return _merged(first + second)
        return _common(first, second if node.name == "intersection" else _complement(second))
    if isinstance(node, Call) and node.name == "such_that":
        return _builder(node.args[0], node.args[1])
    raise NoRegion


def _builder(element: Node, condition: Node) -> Region:
    """Return the numbers of `{x | condition}`, or of `{x in R | condition}`."""
    if isinstance(element, Relation) and element.operators == ("in",) and element.sides[1] == Symbol("set R"):
        element = element.sides[0]
    bounded = condition.items if isinstance(condition, Several) else (condition,)
    for part in bounded:
        if (
            not isinstance(part, Relation)
            or (part.sides[0] if part.operators == ("in",) else unknown_of(part)) != element
        ):
            raise NoRegion
    return region(condition)


def _interval(low: Node, low_closed: bool, high: Node, high_closed: bool) -> Interval:
    return Interval(low, low_closed, high, high_closed, _approximately(low), _approximately(high))


def _approximately(node: Node) -> Any:
    engine = Approximation(40)
    if is_infinite(node):
        return engine.context.inf if node == INFINITY else -engine.context.inf
    return engine.value(node, {})


def _bracket(node: Bracket) -> Region:
    if node.opening == "{":
        return _merged([_interval(item, True, item, True) for item in node.items])
    if len(node.items) != 2 or node.opening == "<":
        raise NoRegion
    low, high = node.items
    interval = _interval(low, node.opening == "[", high, node.closing == "]")
    if interval.low_value > interval.high_value:
        raise NoRegion
    return [interval]


def _is_condition(node: Node) -> bool:
    return isinstance(node, Relation) and bool(set(node.operators) & ORDER)


def _several(node: Several) -> Region:
    """Return the numbers of several conditions: their intersection after `and`, their union after `or`.

    After a comma it is the intersection of inequalities, unless that is empty; else the union.
    """
    unknowns = {unknown_of(item) for item in node.items if isinstance(item, Relation) and item.operators != ("in",)}
    if len(unknowns) > 1:
        raise NoRegion
    parts = [region(item) for item in node.items]
    if node.joint != "or" and any(_is_condition(item) for item in node.items):
        common = parts[0]
        for part in parts[1:]:
            common = _common(common, part)
        if common or node.joint == "and" or not all(isinstance(item, Relation) for item in node.items):
            return common
    return _merged([interval for part in parts for interval in part])


# --- inequalities -----------------------------------------------------------------------------------------------------


def _relation(node: Relation) -> Region:
    if node.operators == ("in",):
        return region(node.sides[1])
    if not set(node.operators) <= ORDER | {"="}:
        raise NoRegion
    unknown = unknown_of(node)
    result = [_interval(_MINUS_INFINITY, False, INFINITY, False)]
    for left, operator, right in zip(node.sides, node.operators, node.sides[1:], strict=False):
        result = _common(result, _half(left, operator, right, unknown))
    return result


def unknown_of(node: Relation) -> Node:
    """Return the expression that an inequality bounds: a side that is no constant, or the only variable in its sides.

    Raises:
        NoRegion: it bounds more than one.
    """
    sides = [side for side in node.sides if variables(side)]
    if not sides or any(side != sides[0] for side in sides):
        names = {name for side in sides for name in variables(side)}
        if len(names) != 1:
            raise NoRegion
        return Symbol(names.pop())
    names = variables(sides[0])
    if len(names) == 1 and not any(
        isinstance(part, Call) and part.name.startswith("apply ") for part in walk(sides[0])
    ):
        return Symbol(names.pop())
    return sides[0]


def _half(left: Node, operator: str, right: Node, unknown: Node) -> Region:
    if variables(right) and not variables(left):
        left, operator, right = right, _FLIPPED[operator], left
    if variables(right):
        left, right = Call("add", (left, Call("neg", (right,)))), number(0)
    if left == unknown:
        return _beside(operator, right)
    if isinstance(left, Call) and left.name == "abs":
        return _absolute(left.args[0], operator, right, unknown)
    return _linear(left, operator, right, unknown)


def _beside(operator: str, end: Node) -> Region:
    """Return the numbers that compare by `operator` with an end."""
    if operator == "=":
        return [_interval(end, True, end, True)]
    below = _interval(_MINUS_INFINITY, False, end, operator == "<=")
    above = _interval(end, operator == ">=", INFINITY, False)
    if operator == "!=":
        return [below, above]
    return [below] if operator in ("<", "<=") else [above]


def _absolute(inside: Node, operator: str, end: Node, unknown: Node) -> Region:
    """Return the numbers at which an absolute value compares by `operator` with an end."""
    if _approximately(end) < 0:
        raise NoRegion
    below = _half(inside, operator, end, unknown)
    above = _half(inside, _FLIPPED[operator], Call("neg", (end,)), unknown)
    return _common(below, above) if operator in ("<", "<=") else _merged(below + above)


_PROBES = (Fraction(7, 3), Fraction(-5, 7), Fraction(-61), Fraction(1234, 5))


def _linear(left: Node, operator: str, right: Node, unknown: Node) -> Region:
    """Return the solutions of an inequality whose left side is a linear function of the unknown."""
    if not isinstance(unknown, Symbol):
        raise NoRegion
    engine = Approximation(60)
    at = {x: engine.value(left, {unknown.name: x}) for x in (Fraction(0), Fraction(1), *_PROBES)}
    slope = at[Fraction(1)] - at[Fraction(0)]
    line = [at[Fraction(0)] + slope * engine.value(Number(x), {}) for x in _PROBES]
    if slope == 0 or any(abs(here - at[x]) > 1e-40 for x, here in zip(_PROBES, line, strict=True)):
        raise NoRegion
    start = map_nodes(left, lambda part: number(0) if part == unknown else part)
    rise = Call("add", (map_nodes(left, lambda part: number(1) if part == unknown else part), Call("neg", (start,))))
    end = Call("div", (Call("add", (right, Call("neg", (start,)))), rise))
    return _beside(operator if slope > 0 else _FLIPPED[operator], end)


# --- set operations ---------------------------------------------------------------------------------------------------


def _merged(intervals: Region) -> Region:
    """Return the union of intervals, sorted, with those joined that touch."""
    result: Region = []
    for each in sorted(intervals, key=lambda each: (each.low_value, not each.low_closed)):
        last = result[-1] if result else None
        if last is None or not _touch(last, each):
            result.append(each)
        elif _beyond(each, last):
            result[-1] = Interval(
                last.low, last.low_closed, each.high, each.high_closed, last.low_value, each.high_value
            )
    return result


def _touch(first: Interval, second: Interval) -> bool:
    if first.high_value == second.low_value:
        return first.high_closed or second.low_closed
    return bool(first.high_value > second.low_value)


def _beyond(interval: Interval, last: Interval) -> bool:
    if interval.high_value == last.high_value:
        return interval.high_closed and not last.high_closed
    return bool(interval.high_value > last.high_value)


def _common(first: Region, second: Region) -> Region:
    result = []
    for one in first:
        for other in second:
            low = max((one, other), key=lambda each: (each.low_value, not each.low_closed))
            high = min((one, other), key=lambda each: (each.high_value, each.high_closed))
            if low.low_value < high.high_value or (
                low.low_value == high.high_value and low.low_closed and high.high_closed
            ):
                ends = (low.low, low.low_closed, high.high, high.high_closed)
                result.append(Interval(*ends, low.low_value, high.high_value))
    return _merged(result)


def _complement(intervals: Region) -> Region:
    result: Region = []
    low: Node = _MINUS_INFINITY
    closed = False
    for each in intervals:
        if not is_infinite(each.low):
            result.append(_interval(low, closed, each.low, not each.low_closed))
        low, closed = each.high, not each.high_closed
    if low != INFINITY:
        result.append(_interval(low, closed, INFINITY, False))
    return result
