"""The exact value of an expression where it is rational; numbers beyond `MAX_BITS` are not computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from acereason.verifiers.math.reading.expressions import Call, Node, Number, Symbol, has_call
from acereason.verifiers.math.reading.vocabulary import FUNCTIONS

MAX_BITS = 200_000
"""Most bits of a numerator or denominator, and largest exponent of two, that is computed."""
MAX_FACTORIAL = 20_000
MAX_TERMS = 2000
"""Most terms of a sum or product that is computed."""
MAX_COSTLY_TERMS = 60
"""The same, where the terms contain a series or factorial."""


class Undefined(Exception):
    """Raised for an expression that has no value here."""


class TooLarge(Exception):
    """Raised for a value that is too large to compute."""


class Unevaluable(Exception):
    """Raised for an expression with a part that has no value."""


def exact(node: Node, point: Mapping[str, Fraction]) -> Fraction | None:
    """Return the rational value of an expression, its variables given by `point`; None where it is irrational.

    Raises:
        TooLarge, Undefined, Unevaluable: it has no value, or none that can be computed.
    """
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Symbol):
        if node.name in point:
            return point[node.name]
        if node.name in ("pi", "e", "i"):
            return None
        raise Unevaluable(node.name)
    if isinstance(node, Call) and node.name in ("sum", "product"):
        return _exact_series(node, point)
    if isinstance(node, Call) and node.name == "mod" and isinstance(node.args[0], Call) and node.args[0].name == "pow":
        values = [exact(part, point) for part in (*node.args[0].args, node.args[1])]
        whole = [int(value) for value in values if value is not None and value.denominator == 1 and value > 0]
        if len(whole) == 3 and max(value.bit_length() for value in whole) < 3000:
            return Fraction(pow(*whole))
    if isinstance(node, Call) and (function := _EXACT.get(node.name)):
        values = []
        for argument in node.args:
            value = exact(argument, point)
            if value is None:
                return None
            values.append(value)
        try:
            return _bounded(function(*values))
        except TypeError as error:  # a wrong number of arguments
            raise Unevaluable(node.name) from error
    if isinstance(node, Call) and node.name in _IRRATIONAL:
        return None
    raise Unevaluable(type(node).__name__)


def series_range(low: Fraction | None, high: Fraction | None, term: Node) -> range:
    """Return the whole numbers from `low` to `high`; fewer are allowed where a term contains a series or factorial."""
    if low is None or high is None or low.denominator != 1 or high.denominator != 1:
        raise Undefined
    if high - low > (MAX_TERMS if not has_call(term, "sum", "product", "factorial", "binom") else MAX_COSTLY_TERMS):
        raise TooLarge
    return range(int(low), int(high) + 1)


def _exact_series(node: Call, point: Mapping[str, Fraction]) -> Fraction | None:
    index, low, high, term = node.args
    assert isinstance(index, Symbol)
    total = Fraction(0 if node.name == "sum" else 1)
    for i in series_range(exact(low, point), exact(high, point), term):
        value = exact(term, {**point, index.name: Fraction(i)})
        if value is None:
            return None
        total = _bounded(total + value if node.name == "sum" else total * value) or Fraction(0)
    return total


def _bounded(value: Fraction | None) -> Fraction | None:
    if value is not None and max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise TooLarge
    return value


def _exact_sum(*terms: Fraction) -> Fraction:
    return sum(terms, Fraction(0))


def _exact_product(*factors: Fraction) -> Fraction:
    product = Fraction(1)
    for factor in factors:
        product = _bounded(product * factor) or Fraction(0)
    return product


def _exact_quotient(above: Fraction, below: Fraction) -> Fraction:
    if below == 0:
        raise Undefined
    return above / below


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator != 1:
        root = _exact_root(base, Fraction(exponent.denominator))
        return None if root is None else _exact_power(root, Fraction(exponent.numerator))
    power = int(exponent)
    if base == 0 and power <= 0:
        if power == 0:
            return Fraction(1)
        raise Undefined
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(base) != 1 and bits * abs(power) > 2 * MAX_BITS:
        raise TooLarge
    if abs(base) == 1:
        return base if power % 2 else Fraction(1)
    return base**power


def _exact_root(base: Fraction, degree: Fraction) -> Fraction | None:
    if degree.denominator != 1 or degree <= 0 or degree > 1000:
        return None
    n = int(degree)
    if base < 0:
        if n % 2 == 0:
            return None
        root = _exact_root(-base, degree)
        return None if root is None else -root
    above, below = _integer_root(base.numerator, n), _integer_root(base.denominator, n)
    return None if above is None or below is None else Fraction(above, below)


def _integer_root(value: int, n: int) -> int | None:
    """Return the n-th root of a perfect power, else None."""
    if n == 2:
        root = math.isqrt(value)
        return root if root * root == value else None
    low, high = 0, 1 << (value.bit_length() // n + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if middle**n <= value:
            low = middle
        else:
            high = middle - 1
    return low if low**n == value else None


def _exact_factorial(value: Fraction) -> Fraction | None:
    if value.denominator != 1:
        return None
    if value < 0:
        raise Undefined
    if value > MAX_FACTORIAL:
        raise TooLarge
    return Fraction(math.factorial(int(value)))


def _exact_double_factorial(value: Fraction) -> Fraction | None:
    if value.denominator != 1 or value < 0:
        raise Undefined
    if value > MAX_FACTORIAL:
        raise TooLarge
    return Fraction(math.prod(range(int(value), 0, -2)))


def _exact_binomial(n: Fraction, k: Fraction) -> Fraction | None:
    if n.denominator != 1 or k.denominator != 1 or n < 0:
        return None
    if k < 0:
        return Fraction(0)
    if n > MAX_FACTORIAL:
        raise TooLarge
    return Fraction(math.comb(int(n), int(k)))


def _exact_integers(function: Callable[..., int]) -> Callable[..., Fraction]:
    def apply(*values: Fraction) -> Fraction:
        if any(value.denominator != 1 for value in values):
            raise Undefined
        return Fraction(function(*(int(value) for value in values)))

    return apply


def _exact_mod(value: Fraction, modulus: Fraction) -> Fraction:
    if modulus == 0:
        raise Undefined
    return value % modulus


def _exact_absolute(value: Fraction) -> Fraction:
    return abs(value)


_IRRATIONAL = frozenset(FUNCTIONS.values()) | {"log_base", "degrees"}
_EXACT: dict[str, Callable[..., Fraction | None]] = {
    "add": _exact_sum,
    "mul": _exact_product,
    "div": _exact_quotient,
    "neg": lambda value: -value,
    "group": lambda value: value,
    "pow": _exact_power,
    "root": _exact_root,
    "abs": _exact_absolute,
    "floor": lambda value: Fraction(math.floor(value)),
    "ceil": lambda value: Fraction(math.ceil(value)),
    "factorial": _exact_factorial,
    "double_factorial": _exact_double_factorial,
    "binom": _exact_binomial,
    "gcd": _exact_integers(math.gcd),
    "lcm": _exact_integers(math.lcm),
    "max": lambda *values: max(values),
    "min": lambda *values: min(values),
    "mod": _exact_mod,
    "percent": lambda value: value / 100,
}
