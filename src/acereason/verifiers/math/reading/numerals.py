r"""Numbers as they are written: decimals, mixed numbers, repeating decimals, powers of ten."""

from __future__ import annotations

from fractions import Fraction

from acereason.verifiers.math.reading.cursor import Cursor
from acereason.verifiers.math.reading.expressions import INFINITY, Call, Node, Number, Unreadable, number
from acereason.verifiers.math.reading.tokens import NUMBER, Token

MAX_DIGITS = 4000
"""Most digits of a number that is computed with; Python refuses to convert more than 4,300. Longer ones are text."""


class NumeralReader(Cursor):
    """The part of the reader that reads numbers."""

    def _number(self, token: Token) -> Node:
        if self._at("_") and "." in token.text:
            raise Unreadable("a base of a decimal")
        value = decimal(token.text)
        if "." not in token.text:
            fraction = self._mixed_part(value.value)
            if fraction is not None:
                return Number(value.value + fraction)
            return value
        return self._repeating(token.text) or value

    def _mixed_part(self, whole: Fraction) -> Fraction | None:
        r"""Read the proper fraction of `2\frac12` or `2 1/2`; return None where none stands here."""
        if self._at_command("frac") and self._is_plain_fraction():
            start, tokens = self._position, list(self._tokens)
            self._position += 1
            try:
                above, below = self._fraction_argument(), self._fraction_argument()
            except Unreadable:
                above = below = INFINITY
            if isinstance(above, Number) and isinstance(below, Number) and _proper(above, below) and not self._raised():
                return above.value / below.value
            self._position, self._tokens = start, tokens
            return None
        above_token, slash, below_token = self._peek(), self._peek(1), self._peek(2)
        if above_token.kind == NUMBER and above_token.spaced and slash.text == "/" and below_token.kind == NUMBER:
            above, below = decimal(above_token.text), decimal(below_token.text)
            if _proper(above, below):
                self._position += 3
                return above.value / below.value
        return None

    def _is_plain_fraction(self) -> bool:
        r"""Return whether a fraction of two numbers stands here: `\frac12`, `\frac{1}{2}`, `\frac1{2}`."""
        place = 1
        for argument in range(2):
            token = self._peek(place)
            if token.kind == NUMBER:
                if len(token.text) > 1 and argument == 0:
                    return True
                place += 1
            elif token.text == "{" and self._peek(place + 1).kind == NUMBER and self._peek(place + 2).text == "}":
                place += 3
            else:
                return False
        return True

    def _raised(self) -> bool:
        """Return whether an exponent stands here, and no degree sign."""
        return self._at("^") and "circ" not in (self._peek(1).text, self._peek(2).text) and self._peek(1).text != "°"

    def _repeating(self, text: str) -> Number | None:
        r"""Read a decimal whose last digits repeat: `0.1\overline{6}`, `0.\dot{3}`, `0.(3)`."""
        accent = self._at_command("overline", "dot", "bar")
        if not accent and not (text.endswith(".") and self._at("(")):
            return None
        self._position += 1
        enclosed = not accent or self._at("{")
        self._position += accent and enclosed
        digits = self._next()
        if digits.kind != NUMBER or not digits.text.isdigit():
            raise Unreadable("a decimal that does not repeat")
        if enclosed and self._next().text not in ("}", ")"):
            raise Unreadable("a decimal that does not end")
        whole, _, start = text.partition(".")
        plain = Fraction(int(whole + start), 10 ** len(start))
        return Number(plain + Fraction(int(digits.text), (10 ** len(digits.text) - 1) * 10 ** len(start)))


def decimal(text: str) -> Number:
    """Return the number of digits with an optional point and exponent of ten."""
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > MAX_DIGITS or len(exponent) > 4:
        raise Unreadable("too long a number")
    places = len(mantissa.partition(".")[2]) - int(exponent or 0)
    return Number(Fraction(text if text[-1] != "." else text[:-1]), max(0, places))


def negated(node: Node) -> Node:
    """Return the node with the other sign; numbers stay numbers."""
    return Number(-node.value, node.places) if isinstance(node, Number) else Call("neg", (node,))


def _scientific(factors: list[Node]) -> Number | None:
    r"""Return `1.2 \cdot 10^{-4}` as one decimal with its places; None for other factors."""
    if len(factors) != 2 or not isinstance(factors[0], Number) or not factors[0].places:
        return None
    power = factors[1]
    if not isinstance(power, Call) or power.name != "pow" or power.args[0] != number(10):
        return None
    exponent = power.args[1]
    if not isinstance(exponent, Number) or exponent.value.denominator != 1 or abs(exponent.value) > 400:
        return None
    shift = int(exponent.value)
    return Number(factors[0].value * Fraction(10) ** shift, max(0, factors[0].places - shift))


def _proper(above: Number, below: Number) -> bool:
    whole = above.value.denominator == below.value.denominator == 1
    return whole and 0 < above.value < below.value and not above.places and not below.places


def product_of(factors: list[Node]) -> Node:
    """Return the node of one factor or of several; a decimal times a power of ten is one decimal."""
    if len(factors) == 1:
        return factors[0]
    return _scientific(factors) or Call("mul", tuple(factors))
