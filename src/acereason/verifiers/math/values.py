r"""The comparison of two expressions as functions of the same variables.

Rational values are compared exactly. Everything else is evaluated, at one point for constants and at several for
functions, with more and more digits: a difference that shrinks with every added digit is rounding, one that stays is
real. Points are derived from the variables' names, so a verdict never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from acereason.verifiers.math.approximation import Approximation
from acereason.verifiers.math.exact import TooLarge, Undefined, Unevaluable, exact
from acereason.verifiers.math.reading.expressions import (
    Call,
    Node,
    Number,
    Symbol,
    has_call,
    is_complex,
    map_nodes,
    variables,
)

DIGITS = 30
ROUNDED_PLACES = 10
"""A decimal with at least this many digits, after the point and significant, may be the rounding of another number."""
ENOUGH_POINTS = 3
MAX_WIDTH, MAX_WIDTH_AT_POINTS = 10_000, 1000
"""Largest exponent of two whose cancellation is followed: for constants, and at one of several points."""

Point = Mapping[str, Fraction]


def same_value(left: Node, right: Node) -> bool | None:
    """Return whether two expressions are equal wherever both have a value; None where that cannot be told.

    Raises:
        TooLarge: a value is too large to compute.
    """
    if left == right:
        return True
    names = sorted(variables(left) | variables(right))
    if names:
        return _same_function(left, right, names)
    try:
        same = _same_constant(left, right, {})
    except TooLarge:
        if same_shape(left, right):
            return True
        raise
    return _is_rounding(left, right) or _is_rounding(right, left) if same is False else same


def same_shape(left: Node, right: Node) -> bool:
    """Return whether both are the same operation on equal arguments: equal values, even if too large to compute."""
    if not isinstance(left, Call) or not isinstance(right, Call) or left.name != right.name:
        return False
    return len(left.args) == len(right.args) and all(
        same_value(*pair) is True for pair in zip(left.args, right.args, strict=True)
    )


def proportional(left: Node, right: Node) -> bool | None:
    """Return whether one expression is a constant multiple of the other, both nonzero; None where that is unknown."""
    if variables(left) != variables(right):
        return False
    names = sorted(variables(left))
    for point in points(names) if names else ():
        places = [_substituted(side, point) for side in (left, right)]
        zeros = _are_zero(places)
        if zeros == [False, False]:
            return same_value(left, Call("mul", (Call("div", (places[0], places[1])), right)))
        if zeros in ([True, False], [False, True]):
            return False
    return None


def _are_zero(constants: list[Node]) -> list[bool] | None:
    """Return for each constant whether it is zero; None where one has no value."""
    engine = Approximation(DIGITS, complex_numbers=any(map(is_complex, constants)))
    try:
        values = [exact(constant, {}) for constant in constants]
        return [(engine.value(c, {}) if v is None else v) == 0 for c, v in zip(constants, values, strict=True)]
    except (Undefined, Unevaluable, TooLarge):
        return None


def _substituted(node: Node, point: Point) -> Node:
    """Return an expression with its variables replaced by their values at a point."""
    return map_nodes(
        node, lambda part: Number(point[part.name]) if isinstance(part, Symbol) and part.name in point else part
    )


def _same_constant(left: Node, right: Node, point: Point, complex_numbers: bool = False) -> bool | None:
    """Return whether two expressions have the same value at a point; None where one has none."""
    try:
        x, y = exact(left, point), exact(right, point)
        if x is not None and y is not None:
            return x == y
    except Undefined:
        return None
    except Unevaluable:
        pass
    return _same_approximately(left, right, point, complex_numbers or is_complex(left) or is_complex(right))


def _same_approximately(left: Node, right: Node, point: Point, complex_numbers: bool) -> bool | None:
    bases = ("10", "e") if has_call(left, "log") or has_call(right, "log") else ("10",)
    verdicts = [_same_at(left, right, point, base, complex_numbers) for base in bases]
    return True if True in verdicts else verdicts[0]


def _same_at(left: Node, right: Node, point: Point, logarithm: str, complex_numbers: bool) -> bool | None:
    gaps: list[Any] = []
    digits = DIGITS
    for attempt in range(2):
        engine = Approximation(digits, logarithm, complex_numbers)
        try:
            x, y = engine.value(left, point), engine.value(right, point)
        except (Undefined, Unevaluable):
            return None
        gaps.append(abs(x - y))
        if attempt == 0 and engine.widest < 64 and gaps[0] > 1e-10 * (abs(x) + abs(y)) and gaps[0] > 1e-10:
            return False
        if attempt == 0 and engine.widest > 64:
            # Digits must remain after large parts cancel.
            if engine.widest > (MAX_WIDTH_AT_POINTS if point else MAX_WIDTH):
                raise TooLarge
            digits += engine.widest
            wide = Approximation(digits, logarithm, complex_numbers)
            gaps[0] = abs(wide.value(left, point) - wide.value(right, point))
        if attempt == 0:
            # A gap cannot be known to be smaller than the last digit.
            gaps[0] = max(gaps[0], (max(abs(x), abs(y)) or 1) * engine.context.mpf(10) ** -digits)
            digits *= 2
    return bool(gaps[1] == 0 or gaps[1] < gaps[0] * engine.context.mpf(10) ** (-digits // 3))


def _same_function(left: Node, right: Node, names: list[str]) -> bool | None:
    """Return `same_value` of expressions with variables, compared at complex points where they are not real."""
    real = _same_at_points(left, right, names, complex_numbers=False)
    return real if real is not None else _same_at_points(left, right, names, complex_numbers=True)


def _same_at_points(left: Node, right: Node, names: list[str], complex_numbers: bool) -> bool | None:
    agreed = too_large = 0
    for point in _chosen_points(left, right, names):
        try:
            same = _same_constant(left, right, point, complex_numbers)
        except TooLarge:
            too_large += 1
            continue
        if same is False:
            return False
        agreed += same is True
    if too_large and not agreed:
        raise TooLarge
    return True if agreed >= ENOUGH_POINTS else None


def _chosen_points(left: Node, right: Node, names: list[str]) -> tuple[Point, ...]:
    """Return points: whole ones for series and factorials, whole and usual ones where whole numbers are special."""
    if any(has_call(side, "sum", "product", "factorial", "binom") for side in (left, right)):
        return whole_points(names)
    if any(has_call(side, "floor", "ceil", "mod") for side in (left, right)):
        return points(names) + tuple({name: Fraction(i) for name in names} for i in range(1, 17))
    return points(names)


def _is_rounding(rounded: Node, other: Node) -> bool:
    """Return whether a decimal of many places is another constant, rounded or cut off at its last place."""
    if not isinstance(rounded, Number) or min(rounded.places, _digits(rounded)) < ROUNDED_PLACES:
        return False
    if _terminates(other):
        return False
    engine = Approximation(rounded.places + 2 * DIGITS)
    try:
        exactly, written = engine.value(other, {}), engine.value(rounded, {})
    except (Undefined, Unevaluable):
        return False
    gap, unit = abs(exactly - written), engine.context.mpf(10) ** -rounded.places
    return bool(gap <= unit / 2 or (gap < unit and abs(written) < abs(exactly)))


def _digits(node: Number) -> int:
    """Return the number of significant digits of a decimal as written."""
    return len(str(abs(int(node.value * 10**node.places)))) if node.value else 0


def _terminates(node: Node) -> bool:
    """Return whether a constant is a decimal of finitely many places, which needs no rounding."""
    try:
        value = exact(node, {})
    except (Undefined, Unevaluable):
        return False
    if value is None:
        return False
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


# --- points -----------------------------------------------------------------------------------------------------------


def _fraction(seed: str) -> Fraction:
    """Return a fraction strictly between 0 and 1, derived from a text."""
    value = int.from_bytes(blake2b(seed.encode(), digest_size=4).digest(), "big")
    return Fraction(value % 9973 + 1, 9975)


_RANGES: tuple[Callable[[str], Fraction], ...] = (
    lambda name: 1 + 3 * _fraction("a" + name),
    lambda name: _fraction("b" + name),
    lambda name: -4 * _fraction("c" + name),
    lambda name: 10 * _fraction("d" + name) - 5,
    lambda name: Fraction(2 + int(8 * _fraction("e" + name))),
    lambda name: 5 + 10 * _fraction("f" + name),
    lambda name: Fraction(3 + int(9 * _fraction("g" + name))),
    lambda name: Fraction(3, 10) * _fraction("h" + name),
    lambda name: Fraction(-3, 10) * _fraction("i" + name),
    lambda name: 40 + 50 * _fraction("j" + name),
    lambda name: -40 - 50 * _fraction("k" + name),
    lambda name: 500 + Fraction(int(1500 * _fraction("l" + name))),
)
"""Where functions are compared: beyond 1, between 0 and 1, negative, of either sign, whole, near zero, large."""


@lru_cache(maxsize=4096)
def _points(names: tuple[str, ...]) -> tuple[Point, ...]:
    return tuple({name: choose(name) for name in names} for choose in _RANGES)


def whole_points(names: list[str]) -> tuple[Point, ...]:
    """Return points of whole numbers, where series are compared."""
    return tuple(
        {name: Fraction(2 + int(span * _fraction(f"{span}{i}{name}"))) for name in names}
        for span in (7, 7, 7, 40)
        for i in range(2)
    )


def points(names: list[str]) -> tuple[Point, ...]:
    """Return the points at which functions of these variables are compared."""
    return _points(tuple(names))
