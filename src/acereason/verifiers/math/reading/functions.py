r"""Functions and their arguments, roots, sums and products."""

from __future__ import annotations

from acereason.verifiers.math.reading.brackets import CLOSERS
from acereason.verifiers.math.reading.cursor import Cursor
from acereason.verifiers.math.reading.expressions import (
    INDEX_PREFIX,
    Bracket,
    Call,
    Node,
    Relation,
    Several,
    Symbol,
    Unreadable,
    number,
    variables,
    walk,
)
from acereason.verifiers.math.reading.numerals import negated, product_of
from acereason.verifiers.math.reading.tokens import COMMAND, LETTER, MARK, NUMBER, WORD, tokenise
from acereason.verifiers.math.reading.vocabulary import FUNCTIONS, INVERSE


class FunctionReader(Cursor):
    """The part of the reader that reads functions."""

    def _function(self, name: str) -> Node:
        r"""Read a function and its argument: a group, or all factors up to a sign or function (`\sin 2x \cos x`)."""
        base: Node | None = None
        exponent: Node | None = None
        while self._at("_", "^"):
            if self._next().text == "_":
                base = self._log_base()
            elif self._at("-"):
                self._position += 1
                exponent = negated(self._argument())
            else:
                exponent = self._argument()
        if exponent == negated(number(1)) and name in INVERSE:
            name, exponent = INVERSE[name], None
        argument = self._function_argument()
        if isinstance(argument, (Several, Bracket)):
            raise Unreadable(f"{name} of several")
        call = Call(name, (argument,)) if base is None else Call("log_base", (argument, base))
        return call if exponent is None else Call("pow", (call, exponent))

    def _log_base(self) -> Node:
        r"""Read the base of a logarithm: all of it before an argument (`\log_10 5`), else a digit (`\log_28`)."""
        following = self._peek(1)
        closing = following.kind == COMMAND and following.text in ("rfloor", "rceil", "rangle")
        if (following.kind in (NUMBER, LETTER, COMMAND) and not closing) or following.text in ("(", "{", "|"):
            return self._argument()
        return self._fraction_argument()

    def _function_argument(self) -> Node:
        if self._at("(", "{", "["):
            atom = self._atom()
            if self._at("°") or self._at_command("circ"):
                return self._postfix(atom)
            return atom
        factors = [self._argument_factor()]
        while self._continues_argument(factors):
            if self._at("/"):
                self._position += 1
                factors = [Call("div", (product_of(factors), self._power()))]
            else:
                factors.append(self._power())
        return product_of(factors)

    def _argument_factor(self) -> Node:
        if self._at("-"):
            self._position += 1
            return negated(self._power())
        return self._power()

    def _continues_argument(self, factors: list[Node]) -> bool:
        token, following = self._peek(), self._peek(1)
        if token.kind == MARK and token.text in ("/", "*"):
            return token.text == "/" and following.kind == NUMBER and _is_multiple_of_pi(product_of(factors))
        if token.kind == COMMAND and token.text in FUNCTIONS:
            return False
        if token.kind in (WORD, MARK):
            return False
        return self._starts_factor(factors[-1])

    def _root(self) -> Node:
        degree: Node = number(2)
        if self._at("["):
            self._position += 1
            degree = self._sum()
            self._expect("]")
        inside = self._argument()
        return Call("root", (inside, degree))

    def _list_function(self, name: str) -> Node:
        opening = self._next().text
        if opening not in CLOSERS:
            raise Unreadable(name)
        inside = self._answer()
        if self._next().text not in CLOSERS[opening]:
            raise Unreadable(name)
        arguments = inside.items if isinstance(inside, Several) else (inside,)
        return Call("root", (*arguments, number(3))) if name == "cbrt" else Call(name, arguments)

    def _floor(self, name: str) -> Node:
        inside = self._sum()
        if not self._at_command("r" + name[1:]):
            raise Unreadable(name)
        self._position += 1
        return Call(name[1:], (inside,))

    def _series(self, name: str) -> Node:
        """Read a sum or product over whole numbers; its terms reach to the next plus or minus."""
        index: Relation | None = None
        high: Node | None = None
        for _ in range(2):
            if self._at("_"):
                self._position += 1
                start = self._group()
                index = start if isinstance(start, Relation) and start.operators == ("=",) else None
            elif self._at("^"):
                self._position += 1
                letter = self._peek().kind == LETTER
                high = Symbol(self._next().text) if letter else self._exponent_atom()
        if index is None or high is None or not isinstance(index.sides[0], Symbol):
            raise Unreadable(name)
        variable = index.sides[0].name
        terms = self._mark_index(self._product(), variable)
        return Call(name, (Symbol(INDEX_PREFIX + variable), index.sides[1], high, terms))

    def _mark_index(self, node: Node, variable: str) -> Node:
        """Return the terms of a series with its index marked, in subscripts too: `F_{n-k}` is a function of `n-k`."""
        if isinstance(node, Symbol):
            if node.name == variable:
                return Symbol(INDEX_PREFIX + variable)
            letter, _, subscript = node.name.partition("_")
            if variable in subscript:
                place = type(self)(tokenise(subscript)).read()
                return Call(f"apply {letter}_", (self._mark_index(place, variable),))
            return node
        if isinstance(node, Call):
            return Call(node.name, tuple(self._mark_index(part, variable) for part in node.args))
        return node


def _is_multiple_of_pi(node: Node) -> bool:
    r"""Return whether an argument so far is an angle such as `4\pi`, which a slash divides: `\sin 4\pi/9`."""
    return any(part == Symbol("pi") for part in walk(node)) and not variables(node)
