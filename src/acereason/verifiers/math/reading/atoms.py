r"""The smallest parts of an expression: numbers, letters, words, commands, brackets."""

from __future__ import annotations

from acereason.verifiers.math.reading.brackets import BracketReader
from acereason.verifiers.math.reading.cursor import END
from acereason.verifiers.math.reading.expressions import (
    INFINITY,
    Bracket,
    Call,
    Node,
    Several,
    Symbol,
    Unreadable,
    Word,
    number,
)
from acereason.verifiers.math.reading.functions import FunctionReader
from acereason.verifiers.math.reading.numerals import NumeralReader, decimal
from acereason.verifiers.math.reading.tokens import COMMAND, LETTER, NUMBER, WORD, Token
from acereason.verifiers.math.reading.units import is_percent
from acereason.verifiers.math.reading.vocabulary import (
    FUNCTIONS,
    GREEK,
    GREEK_SPELLINGS,
    LIST_FUNCTIONS,
    NUMBER_WORDS,
    SCALES,
)

ACCENTS = {"overline", "vec", "hat", "bar", "overrightarrow", "widehat", "tilde", "overset", "dot"}
FIGURES = {"angle", "triangle", "measuredangle", "odot", "square"}
_APPLIED = frozenset("fghFGH")


class AtomReader(NumeralReader, BracketReader, FunctionReader):
    """The part of the reader that reads one number, symbol, word, function or bracket."""

    def _atom(self) -> Node:
        self._deeper()
        token = self._next()
        if token.kind == NUMBER:
            node = self._number(token)
        elif token.kind == LETTER:
            node = self._letter(token.text)
        elif token.kind == WORD:
            node = self._words(token)
        elif token.kind == COMMAND:
            node = self._command(token.text)
        else:
            node = self._bracketed(token)
        self._depth -= 1
        return node

    def _letter(self, letter: str) -> Node:
        name = letter + self._subscript()
        if letter in _APPLIED:
            if [self._peek(i).text for i in range(6)] == ["^", "{", "-", "1", "}", "("]:
                self._position += 5
                name += "^-1"
            if self._at("("):
                return self._applied(name)
        return Symbol(name)

    def _applied(self, name: str) -> Node:
        self._position += 1
        inside = self._answer()
        self._expect(")")
        return Call("apply " + name, inside.items if isinstance(inside, Several) else (inside,))

    def _words(self, token: Token) -> Node:
        word = token.text.lower()
        if word in NUMBER_WORDS or (word in SCALES and self._position > 1):
            return number(NUMBER_WORDS.get(word) or SCALES.get(word, 0))
        texts = [token.text]
        while self._peek().kind == WORD and not self._ends_words(self._peek().text.lower()):
            texts.append(self._next().text)
        return Word(" ".join(texts))

    def _ends_words(self, text: str) -> bool:
        return text in ("and", "or", "to") or text in SCALES or is_percent(text)

    def _command(self, name: str) -> Node:
        if name in GREEK:
            name = GREEK_SPELLINGS.get(name, name)
            return Symbol(name + self._subscript())
        if name in FUNCTIONS:
            return self._function(FUNCTIONS[name])
        if name in ("frac", "binom"):
            above, below = self._fraction_argument(), self._fraction_argument()
            if _is_differential(above) and _is_differential(below):
                raise Unreadable("a derivative")
            return Call("div" if name == "frac" else name, (above, below))
        if name in ("sum", "prod"):
            return self._series("sum" if name == "sum" else "product")
        if name == "sqrt":
            return self._root()
        if name in ("infty", "infin"):
            return INFINITY
        if name in LIST_FUNCTIONS:
            return self._list_function(LIST_FUNCTIONS[name])
        if name in ("lfloor", "lceil"):
            return self._floor(name)
        if name == "langle":
            return self._sequence("<", "rangle")
        if name == "begin":
            return self._environment()
        if name in ("emptyset", "varnothing"):
            return Bracket("{", (), "}")
        return self._named(name)

    def _named(self, name: str) -> Node:
        if name in ("dollar", "euro", "pounds"):
            unit = {"dollar": "dollars", "euro": "euros", "pounds": "GBP"}[name]
            if self._peek() is END:
                return Word(unit)
            return Call("mul", (self._power(), Word(unit)))
        if name == "mathbb":
            return Symbol("set " + self._plain_argument())
        if name in ACCENTS:
            return Symbol(f"{name} {self._plain_argument()}" + self._subscript())
        if name in FIGURES:
            return Symbol(name + " " + self._letters_run())
        if name == "circ":
            return Symbol("circ")
        raise Unreadable("\\" + name)

    def _letters_run(self) -> str:
        texts = []
        while self._peek().kind == LETTER:
            texts.append(self._next().text + self._subscript())
        if not texts and self._at("{"):
            return self._plain_argument()
        if not texts:
            raise Unreadable("a figure without a name")
        return "".join(texts)

    def _argument(self) -> Node:
        return self._group() if self._at("{") else self._atom()

    def _fraction_argument(self) -> Node:
        r"""Read an argument of `\frac`: a group, or one digit, letter or command."""
        token = self._peek()
        if token.kind == NUMBER and len(token.text) > 1 and token.text.isdigit():
            self._tokens[self._position] = Token(NUMBER, token.text[1:])
            return decimal(token.text[0])
        return self._argument()


def _is_differential(node: Node) -> bool:
    """Return whether an expression is `d`, `dx`, `dy` or `d^2y`, as above and below the line of a derivative."""
    first = node.args[0] if isinstance(node, Call) and node.name == "mul" else node
    first = first.args[0] if isinstance(first, Call) and first.name == "pow" else first
    return first == Symbol("d")
