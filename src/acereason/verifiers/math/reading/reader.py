r"""From tokens to a tree: a reader of LaTeX and plain mathematics by operator precedence.

It knows the notation of answers and refuses the rest. Where notation is ambiguous, it chooses: factors without a sign
have the precedence of an explicit product and are read from the left (`1/2x` is x/2); a digit after `\frac` is one
argument (`\frac12`); an exponent without braces is a whole number (`2^10`); `2\frac12` with a proper fraction is a
mixed number.
"""

from __future__ import annotations

from acereason.verifiers.math.reading.atoms import ACCENTS, FIGURES, AtomReader
from acereason.verifiers.math.reading.cursor import END
from acereason.verifiers.math.reading.expressions import (
    Call,
    Node,
    Number,
    Relation,
    Several,
    Symbol,
    Unreadable,
    Word,
    number,
)
from acereason.verifiers.math.reading.numerals import negated, product_of
from acereason.verifiers.math.reading.tokens import COMMAND, LETTER, MARK, NUMBER, WORD, Token
from acereason.verifiers.math.reading.units import is_percent
from acereason.verifiers.math.reading.vocabulary import FUNCTIONS, GREEK, LIST_FUNCTIONS

_RELATIONS = {"=", "<", ">", "<=", ">=", "!="}
_RELATION_COMMANDS = {
    "in": "in",
    "approx": "approx",
    "simeq": "approx",
    "equiv": "equiv",
    "sim": "~",
    "subset": "subset",
}
_SET_OPERATORS = {"cup": "union", "cap": "intersection", "setminus": "minus", "backslash": "minus", "bigcup": "union"}
_FACTOR_COMMANDS = (
    GREEK
    | frozenset(FUNCTIONS)
    | frozenset(LIST_FUNCTIONS)
    | frozenset(
        {"sum", "prod", "frac", "binom", "sqrt", "infty", "lfloor", "lceil", "langle", "begin", "mathbb", "dollar"}
    )
    | ACCENTS
    | FIGURES
)


class Reader(AtomReader):
    """The reader of one list of tokens."""

    def read(self) -> Node:
        """Return the whole text as one tree.

        Raises:
            Unreadable: it is not mathematics that this reader knows.
        """
        node = self._answer()
        if self._peek() is not END:
            raise Unreadable(self._peek().text)
        return node

    def _answer(self) -> Node:
        """Read relations between commas, semicolons, `and`, `or`."""
        self._deeper()
        groups: list[list[Node]] = [[self._relation()]]
        joint = ","
        while separator := self._separator():
            if separator in (",", ";"):
                if self._peek() is END:
                    break
                if separator == ";" and joint == ",":
                    joint = ";"
            else:
                joint = separator
            if separator == ",":
                groups[-1].append(self._relation())
            else:
                groups.append([self._relation()])
        self._depth -= 1
        return _joined(groups, joint)

    def _separator(self) -> str:
        """Read the separator that stands here, `, and` being one; return "" for none."""
        found = ""
        while True:
            token = self._peek()
            if token.kind == MARK and token.text in (",", ";"):
                text = token.text
            elif token.kind == WORD and token.text in ("and", "or"):
                text = found or token.text
            elif token.kind == COMMAND and token.text == "newline" and not self._matrices:
                text = ","
            else:
                return found
            if found and text in (",", ";") and text is not found:
                return found
            self._position += 1
            found = text

    def _relation(self) -> Node:
        sides, operators = [self._ratio()], []
        while operator := self._operator():
            operators.append(operator)
            sides.append(self._ratio())
        return Relation(tuple(sides), tuple(operators)) if operators else sides[0]

    def _operator(self) -> str:
        token = self._peek()
        if token.kind == MARK and token.text in _RELATIONS:
            self._position += 1
            return token.text
        if token.kind == COMMAND and token.text in _RELATION_COMMANDS:
            self._position += 1
            return _RELATION_COMMANDS[token.text]
        if token.kind == WORD and token.text == "in" and self._peek(1).text in ("(", "[", "\\{"):
            self._position += 1
            return "in"
        return ""

    def _ratio(self) -> Node:
        sides = [self._union()]
        while self._at_ratio():
            self._position += 1
            sides.append(self._union())
        return Call("ratio", tuple(sides)) if len(sides) > 1 else sides[0]

    def _at_ratio(self) -> bool:
        """Return whether `:` or `to` stands here as the sign of a ratio, not before the condition of a set."""
        if self._peek().kind == WORD and self._peek().text == "to":
            return self._peek(1).kind == NUMBER
        return self._at(":") and not (self._builder and self._depth == self._builder)

    def _union(self) -> Node:
        left = self._sum()
        while self._peek().kind == COMMAND and self._peek().text in _SET_OPERATORS:
            name = _SET_OPERATORS[self._next().text]
            left = Call(name, (left, self._sum()))
        return left

    def _sum(self) -> Node:
        terms = [self._signed_product()]
        while self._at("+", "-") or self._at_command("pm", "mp"):
            name = self._peek().text
            if name in ("pm", "mp"):
                self._position += 1
                left = terms[0] if len(terms) == 1 else Call("add", tuple(terms))
                terms = [Call(name, (left, self._signed_product()))]
            else:
                terms.append(self._signed_product())
        return terms[0] if len(terms) == 1 else Call("add", tuple(terms))

    def _signed_product(self) -> Node:
        token = self._peek()
        if token.kind == MARK and token.text in ("+", "-"):
            self._position += 1
            self._deeper()
            inner = self._signed_product()
            self._depth -= 1
            if isinstance(inner, Call) and inner.name in ("mod", "residue") and token.text == "-":
                return Call(inner.name, (negated(inner.args[0]), inner.args[1]))
            return inner if token.text == "+" else negated(inner)
        if token.kind == COMMAND and token.text in ("pm", "mp"):
            self._position += 1
            return Call(token.text, (number(0), self._signed_product()))
        return self._product()

    def _product(self) -> Node:
        factors = [self._power()]
        while True:
            if self._at("*"):
                self._position += 1
                factors.append(self._signed_factor())
            elif self._at("/"):
                self._position += 1
                left = factors[0] if len(factors) == 1 else Call("mul", tuple(factors))
                factors = [Call("div", (left, self._signed_factor()))]
            elif self._at_command("bmod", "mod", "pmod"):
                left = factors[0] if len(factors) == 1 else Call("mul", tuple(factors))
                return Call("residue" if self._next().text == "pmod" else "mod", (left, self._power()))
            elif self._starts_factor(factors[-1]):
                factors.append(self._power())
            else:
                break
        return product_of(factors)

    def _signed_factor(self) -> Node:
        if self._at("-"):
            self._position += 1
            return negated(self._power())
        if self._at("+"):
            self._position += 1
        return self._power()

    def _starts_factor(self, previous: Node) -> bool:
        """Return whether the next token begins a factor that is multiplied without a sign."""
        token = self._peek()
        if token.kind == NUMBER:
            return self._peek(1).text == "^" if isinstance(previous, Symbol) else not isinstance(previous, Number)
        if token.kind == LETTER:
            return True
        if token.kind == WORD:
            return token.text not in ("and", "or", "to") and not (
                token.text == "in" and self._peek(1).text in ("(", "[", "\\{")
            )
        if token.kind == MARK:
            if token.text == "|":
                return not self._builder and (self._bars == 0 or (self._bars_open and self._bar_can_open()))
            return token.text in ("(", "[", "\\{", "{")
        return token.kind == COMMAND and token.text in _FACTOR_COMMANDS

    def _bar_can_open(self) -> bool:
        following = self._peek(1)
        return following.kind in (NUMBER, LETTER) or (following.kind == MARK and following.text in ("(", "{", "-"))

    def _power(self) -> Node:
        return self._postfix(self._atom())

    def _postfix(self, base: Node) -> Node:
        while True:
            if self._at("^"):
                self._position += 1
                base = self._exponent(base)
            elif self._at("!"):
                double = self._peek(1).text == "!" and not self._peek(1).spaced
                self._position += 2 if double else 1
                base = Call("double_factorial" if double else "factorial", (base,))
            elif self._at("%") or (self._peek().kind == WORD and is_percent(self._peek().text)):
                self._position += 1
                base = Call("percent", (base,))
            elif self._at("°") or (
                self._peek().kind == WORD and self._peek().text.lower() in ("degrees", "degree", "deg")
            ):
                self._position += 1
                base = self._degrees(base)
            elif self._at("'") and isinstance(base, Symbol):
                self._position += 1
                base = Symbol(base.name + "'")
            elif self._at("_") and isinstance(base, (Number, Call)):
                self._position += 1
                base = Call("base", (base, self._argument()))
            else:
                return base

    def _exponent(self, base: Node) -> Node:
        if self._at("{") and self._peek(1).text in ("circ", "°", "'") and self._peek(2).text == "}":
            mark = self._peek(1).text
            self._position += 3
            return self._marked(base, mark)
        if self._at("°", "'") or self._at_command("circ"):
            return self._marked(base, self._next().text)
        if self._at("{") and self._peek(1).text in ("th", "st", "nd", "rd") and self._peek(2).text == "}":
            self._position += 3
            return base
        if self._at("-", "+") and isinstance(base, Symbol) and base.name.startswith("set "):
            return Symbol(base.name + self._next().text)
        if self._at("-", "+"):
            negative = self._next().text == "-"
            exponent = self._exponent_atom()
            return Call("pow", (base, negated(exponent) if negative else exponent))
        return Call("pow", (base, self._exponent_atom()))

    def _exponent_atom(self) -> Node:
        if self._at("{"):
            return self._group()
        atom = self._atom()
        if self._at("^"):  # 2^3^4 as programs write it
            self._position += 1
            return self._exponent(atom)
        return atom

    def _marked(self, base: Node, mark: str) -> Node:
        if mark == "'":
            if not isinstance(base, Symbol):
                raise Unreadable("prime")
            return Symbol(base.name + "'")
        return self._degrees(base)

    def _degrees(self, base: Node) -> Node:
        token = self._peek()
        if token.text in ("C", "F") and token.kind in (LETTER, WORD):
            self._position += 1
            return Call("mul", (base, Word(f"degrees {token.text}")))
        return Call("degrees", (base,))


def _joined(groups: list[list[Node]], joint: str) -> Node:
    """Return one tree of items in groups: flat where the groups are only parts of one list."""
    if len(groups) == 1:
        return groups[0][0] if len(groups[0]) == 1 else Several(tuple(groups[0]), ",")
    sizes = [len(group) for group in groups]
    if all(size == 1 for size in sizes) or (joint in ("and", "or") and sizes[1:] == [1] * (len(sizes) - 1)):
        return Several(tuple(item for group in groups for item in group), joint)
    return Several(tuple(group[0] if len(group) == 1 else Several(tuple(group), ",") for group in groups), joint)


def read_tokens(tokens: list[Token]) -> Node:
    """Return the tree of a text's tokens.

    Raises:
        Unreadable: it is not mathematics that the reader knows.
    """
    try:
        return Reader(list(tokens)).read()
    except Unreadable:
        if not any(token.text == "|" for token in tokens):
            raise
        return Reader(list(tokens), bars_open=True).read()
