"""The place of a reader in its tokens, and the methods by which the parts of the reader call each other."""

from __future__ import annotations

from abc import ABC, abstractmethod

from acereason.verifiers.math.reading.expressions import Node, Unreadable
from acereason.verifiers.math.reading.tokens import COMMAND, MARK, Token

MAX_DEPTH = 60
END = Token("end", "")


class Cursor(ABC):
    """A place in a list of tokens.

    Args:
        tokens: the tokens to read.
        bars_open: whether a `|` that could close an absolute value opens another.
    """

    def __init__(self, tokens: list[Token], bars_open: bool = False) -> None:
        self._tokens, self._position = tokens, 0
        self._bars_open, self._bars, self._depth = bars_open, 0, 0
        self._matrices = 0
        self._builder = 0  # inside \{ \}, where `|` and `:` may begin a condition

    def _peek(self, ahead: int = 0) -> Token:
        position = self._position + ahead
        return self._tokens[position] if position < len(self._tokens) else END

    def _next(self) -> Token:
        token = self._peek()
        self._position += 1
        return token

    def _at(self, *marks: str) -> bool:
        token = self._peek()
        return token.kind == MARK and token.text in marks

    def _at_command(self, *names: str) -> bool:
        token = self._peek()
        return token.kind == COMMAND and token.text in names

    def _expect(self, mark: str) -> None:
        if not self._at(mark):
            raise Unreadable(f"expected {mark}")
        self._position += 1

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unreadable("too deeply nested")

    def _subscript(self) -> str:
        if not self._at("_"):
            return ""
        self._position += 1
        if not self._at("{"):
            return "_" + self._next().text
        texts: list[str] = []
        depth = 0
        while True:
            token = self._next()
            if token is END:
                raise Unreadable("a subscript that does not close")
            depth += (token.text == "{") - (token.text == "}")
            if depth == 0:
                return "_" + "".join(texts[1:])
            texts.append(token.text)

    def _plain_argument(self) -> str:
        """Read the next token or group and return its text."""
        token = self._next()
        if token.text != "{":
            return token.text
        texts: list[str] = []
        depth = 1
        while True:
            token = self._next()
            if token is END:
                raise Unreadable("a group that does not close")
            depth += (token.text == "{") - (token.text == "}")
            if depth == 0:
                return "".join(texts)
            texts.append(token.text)

    # The grammar, loosest first. Each method reads one such part from here on, or raises Unreadable.

    @abstractmethod
    def read(self) -> Node:
        """Return the whole text as one tree."""

    @abstractmethod
    def _answer(self) -> Node: ...

    @abstractmethod
    def _relation(self) -> Node: ...

    @abstractmethod
    def _sum(self) -> Node: ...

    @abstractmethod
    def _product(self) -> Node: ...

    @abstractmethod
    def _power(self) -> Node: ...

    @abstractmethod
    def _atom(self) -> Node: ...

    @abstractmethod
    def _group(self) -> Node: ...

    @abstractmethod
    def _argument(self) -> Node: ...

    @abstractmethod
    def _fraction_argument(self) -> Node: ...

    @abstractmethod
    def _exponent_atom(self) -> Node: ...

    @abstractmethod
    def _postfix(self, base: Node) -> Node: ...

    @abstractmethod
    def _starts_factor(self, previous: Node) -> bool: ...
