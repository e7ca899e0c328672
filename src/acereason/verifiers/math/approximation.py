r"""The value of an expression to a given number of digits.

Arithmetic is real: an even root or a logarithm of a negative number is undefined, an odd root of one is negative. An
expression that contains the imaginary unit is complex throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from hashlib import blake2b
from typing import Any

from mpmath.ctx_mp import MPContext

from acereason.verifiers.math.exact import (
    MAX_BITS,
    MAX_FACTORIAL,
    TooLarge,
    Undefined,
    Unevaluable,
    exact,
    series_range,
)
from acereason.verifiers.math.reading.expressions import Call, Matrix, Node, Number, Symbol

MAX_GAMMA = 150
"""Largest factorial of a number that is not whole, where many digits are asked for."""
_CONTEXT = MPContext()  # making one costs more than a judgement


class Approximation:
    r"""An evaluator of expressions to a fixed number of digits.

    Args:
        digits: decimal digits of every operation.
        logarithm: base of `\log` without a base: `e` or `10`.
        complex_numbers: whether values may be complex.

    Attributes:
        widest: the largest exponent of two, as an absolute value, of all values on the way.
    """

    def __init__(self, digits: int, logarithm: str = "10", complex_numbers: bool = False) -> None:
        self.context: Any = _CONTEXT
        self.context.dps = self._digits = digits
        self.widest = 0
        self._logarithm, self._complex = logarithm, complex_numbers

    def value(self, node: Node, point: Mapping[str, Fraction]) -> Any:
        """Return the value of an expression, a real or complex number of mpmath.

        Raises:
            TooLarge, Undefined, Unevaluable: it has no value, or none that can be computed.
        """
        self.context.dps = self._digits
        return self._checked(self._value(node, point))

    def _value(self, node: Node, point: Mapping[str, Fraction]) -> Any:
        if isinstance(node, Number):
            return self._rational(node.value)
        if isinstance(node, Symbol):
            return self._symbol(node.name, point)
        if not isinstance(node, Call):
            raise Unevaluable(type(node).__name__)
        if node.name.startswith("apply "):
            return self._unknown(node, [self.value(part, point) for part in node.args])
        if node.name in ("sum", "product"):
            return self._series(node, point)
        if node.name == "det" and isinstance(node.args[0], Matrix):
            return self._determinant(node.args[0], point)
        if node.name not in _FUNCTIONS:
            raise Unevaluable(node.name)
        values = [self.value(part, point) for part in node.args]
        try:
            return _FUNCTIONS[node.name](self, *values)
        except (ZeroDivisionError, ValueError, TypeError) as error:  # mpmath at a pole, or a wrong number of arguments
            raise Undefined from error
        except OverflowError as error:
            raise TooLarge from error

    def _rational(self, value: Fraction) -> Any:
        return self.context.mpf(value.numerator) / value.denominator

    def _symbol(self, name: str, point: Mapping[str, Fraction]) -> Any:
        if name in point:
            return self._rational(point[name])
        if name == "pi":
            return +self.context.pi
        if name == "e":
            return +self.context.e
        if name == "i":
            return self.context.mpc(0, 1)
        raise Unevaluable(name)

    def _checked(self, value: Any) -> Any:
        context = self.context
        if not context.isfinite(value):
            raise Undefined
        if isinstance(value, context.mpc):
            if not self._complex and value.imag != 0:
                raise Undefined
            value = value if self._complex else value.real
        if value != 0:
            magnitude = int(context.mag(value))
            if abs(magnitude) > MAX_BITS:
                raise TooLarge
            self.widest = max(self.widest, abs(magnitude))
        return value

    def _unknown(self, node: Call, arguments: Sequence[Any]) -> Any:
        """Return a fixed value for a function without a definition; it depends on the name and the arguments."""
        seed = int.from_bytes(blake2b(node.name.encode(), digest_size=4).digest(), "big")
        total = self.context.sqrt(seed)
        for place, argument in enumerate(arguments, start=2):
            if self.context.mag(argument or 1) > 30:
                raise TooLarge
            total += self.context.sqrt(seed + place) * argument + self.context.cos((seed % 7 + place) * argument)
        return total

    def _series(self, node: Call, point: Mapping[str, Fraction]) -> Any:
        index, low, high, term = node.args
        assert isinstance(index, Symbol)
        places = series_range(exact(low, point), exact(high, point), term)
        terms = [self.value(term, {**point, index.name: Fraction(i)}) for i in places]
        return self.total(*terms) if node.name == "sum" else self.product(*terms)

    def _determinant(self, matrix: Matrix, point: Mapping[str, Fraction]) -> Any:
        if len(matrix.rows) != len(matrix.rows[0]) or len(matrix.rows) > 6:
            raise Unevaluable("determinant")
        return self.context.det(self.context.matrix([[self.value(x, point) for x in row] for row in matrix.rows]))

    def power(self, base: Any, exponent: Any) -> Any:
        """Return a power; odd roots of negative numbers are real."""
        context = self.context
        if base == 0:
            if exponent.real < 0:
                raise Undefined
            return context.mpf(1 if exponent == 0 else 0)
        # A power that would have more bits than allowed is not begun.
        bits = context.mag(exponent) + max(1, abs(context.mag(base))).bit_length()
        if bits > MAX_BITS.bit_length() + 2 and abs(base) != 1:
            raise TooLarge
        if base.real < 0 and not self._complex and exponent != int(exponent):
            return self._odd_root_power(base, exponent)
        return context.power(base, exponent)

    def _odd_root_power(self, base: Any, exponent: Any) -> Any:
        """Return a negative number to the power p/q, which is real for odd q."""
        for q in (3, 5, 7, 9, 11, 13):
            p = exponent * q
            nearest = self.context.nint(p)
            if abs(p - nearest) < self.context.mpf(10) ** (3 - self.context.dps):
                size = self.context.power(-base, exponent)
                return -size if int(nearest) % 2 else size
        raise Undefined

    def root(self, base: Any, degree: Any) -> Any:
        """Return a root; one of odd degree is real for negative numbers too."""
        if degree == 0:
            raise Undefined
        if base.real < 0 and not self._complex and degree == int(degree.real) and int(degree.real) % 2:
            return -self.context.power(-base, 1 / degree)
        return self.context.sqrt(base) if degree == 2 else self.power(base, 1 / degree)

    def logarithm(self, value: Any, base: Any = None) -> Any:
        r"""Return a logarithm, by default in the base of `\log`."""
        if value == 0 or base in (0, 1):
            raise Undefined
        if base is None:
            base = 10 if self._logarithm == "10" else None
        natural = self.context.ln(value)
        return natural if base is None else natural / self.context.ln(base)

    def smooth(self, value: Any, function: str) -> Any:
        """Return a function of mpmath by name; raise TooLarge where its digits would not be known."""
        if value != 0 and self.context.mag(value) > 10_000:
            raise TooLarge
        return getattr(self.context, function)(value)

    def exponential(self, value: Any) -> Any:
        """Return the exponential function."""
        return self.power(+self.context.e, value) if not self._complex else self._complex_exponential(value)

    def _complex_exponential(self, value: Any) -> Any:
        if self.context.mag(value.real or 1) > MAX_BITS.bit_length():
            raise TooLarge
        return self.context.exp(value)

    def gamma(self, value: Any) -> Any:
        """Return the factorial of any number."""
        if abs(value) > MAX_FACTORIAL or (abs(value) > MAX_GAMMA and self.context.dps > 200):
            raise TooLarge
        return self.context.factorial(value)

    def binomial(self, n: Any, k: Any) -> Any:
        """Return the binomial coefficient of any numbers."""
        if max(abs(n), abs(k)) > 10 * MAX_FACTORIAL or (max(abs(n), abs(k)) > MAX_GAMMA and self.context.dps > 200):
            raise TooLarge
        return self.context.binomial(n, k)

    def snapped(self, value: Any) -> Any:
        """Return the nearest whole number where the value differs from it only by rounding, else the value."""
        nearest = self.context.nint(value)
        return nearest if abs(value - nearest) < self.context.mpf(10) ** (8 - self.context.dps) else value

    def total(self, *terms: Any) -> Any:
        """Return a sum."""
        return self.context.fsum(terms)

    def product(self, *factors: Any) -> Any:
        """Return a product."""
        result = self.context.mpf(1)
        for factor in factors:
            result = result * factor
        return result


def _smooth(name: str) -> Callable[..., Any]:
    return lambda engine, value: engine.smooth(value, name)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": Approximation.total,
    "mul": Approximation.product,
    "div": lambda engine, above, below: above / below,
    "neg": lambda engine, value: -value,
    "group": lambda engine, value: value,
    "pow": Approximation.power,
    "root": Approximation.root,
    "abs": lambda engine, value: abs(value),
    "floor": lambda engine, value: engine.context.floor(engine.snapped(value)),
    "ceil": lambda engine, value: engine.context.ceil(engine.snapped(value)),
    "factorial": Approximation.gamma,
    "binom": Approximation.binomial,
    "log": Approximation.logarithm,
    "log_base": Approximation.logarithm,
    "ln": lambda engine, value: engine.logarithm(value, engine.context.e),
    "exp": Approximation.exponential,
    "max": lambda engine, *values: max(values),
    "min": lambda engine, *values: min(values),
    "mod": lambda engine, value, modulus: engine.snapped(value) % modulus,
    "degrees": lambda engine, value: value * engine.context.pi / 180,
    "percent": lambda engine, value: value / 100,
    **{name: _smooth(name) for name in ("sin", "cos", "tan", "sec", "csc", "cot", "sinh", "cosh", "tanh")},
    "arcsin": _smooth("asin"),
    "arccos": _smooth("acos"),
    "arctan": _smooth("atan"),
    "arcsec": _smooth("asec"),
    "arccsc": _smooth("acsc"),
    "arccot": _smooth("acot"),
    "arcsinh": _smooth("asinh"),
    "arccosh": _smooth("acosh"),
    "arctanh": _smooth("atanh"),
}
