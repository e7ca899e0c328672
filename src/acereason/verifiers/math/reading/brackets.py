r"""Everything in brackets: groups, tuples, intervals, sets, absolute values, environments."""

from __future__ import annotations

from acereason.verifiers.math.reading.cursor import END, Cursor
from acereason.verifiers.math.reading.expressions import (
    DOTS,
    Bracket,
    Call,
    Matrix,
    Node,
    Number,
    Relation,
    Several,
    Symbol,
    Unreadable,
)
from acereason.verifiers.math.reading.tokens import Token

CLOSERS = {"(": (")", "]"), "[": (")", "]"), "\\{": ("\\}",), "{": ("}",)}


class BracketReader(Cursor):
    """The part of the reader that reads brackets of any kind."""

    def _bracketed(self, token: Token) -> Node:
        if token.text == "{":
            self._position -= 1
            return self._group()
        if token.text in ("(", "["):
            return self._sequence(token.text, "")
        if token.text == "\\{":
            return self._set()
        if token.text == "|":
            return self._absolute()
        if token.text == "…":
            return DOTS
        raise Unreadable(token.text or "an end where a value should be")

    def _group(self) -> Node:
        self._expect("{")
        bars, builder, self._bars, self._builder = self._bars, self._builder, 0, 0
        node = self._answer()
        if self._at_command("over", "choose"):
            name = self._next().text
            node = Call("div" if name == "over" else "binom", (node, self._answer()))
        self._expect("}")
        self._bars, self._builder = bars, builder
        if isinstance(node, Several) and not any(isinstance(item, Relation) for item in node.items):
            return Bracket("{", node.items, "}")
        return node

    def _absolute(self) -> Node:
        self._bars += 1
        inside = self._sum()
        self._expect("|")
        self._bars -= 1
        return Call("abs", (inside,))

    def _sequence(self, opening: str, closing_command: str) -> Node:
        """Read entries in brackets; one entry in round or square brackets is only grouped."""
        bars, builder, self._bars, self._builder = self._bars, self._builder, 0, 0
        inside = self._answer()
        self._bars, self._builder = bars, builder
        token = self._next()
        if token.text != closing_command and token.text not in CLOSERS.get(opening, ()):
            raise Unreadable("brackets that do not match")
        if not isinstance(inside, Several) or inside.joint not in (",", ";"):
            if (opening, token.text) in (("(", ")"), ("[", "]")):
                return Call("group", (inside,)) if isinstance(inside, (Symbol, Number)) else inside
            raise Unreadable("an interval of one end")
        return Bracket(opening, inside.items, ">" if closing_command else token.text)

    def _set(self) -> Node:
        bars, builder, self._bars = self._bars, self._builder, 0
        if self._at("\\}"):
            self._position += 1
            return Bracket("{", (), "}")
        self._builder = self._depth + 1
        inside = self._answer()
        condition = None
        if self._at("|", ":") or self._at_command("mid"):
            self._position += 1
            self._builder = 0
            condition = self._answer()
        self._expect("\\}")
        self._bars, self._builder = bars, builder
        if condition is not None:
            return Call("such_that", (inside, condition))
        return Bracket("{", inside.items if isinstance(inside, Several) else (inside,), "}")

    def _environment(self) -> Node:
        name = self._plain_argument()
        if name in ("array", "tabular") and self._at("{"):
            self._plain_argument()
        self._matrices += 1
        rows: list[list[Node]] = [[]]
        while not self._at_command("end"):
            if self._at_command("newline"):
                self._position += 1
                rows.append([])
            elif self._at("&"):
                self._position += 1
                if not rows[-1] or self._at("&") or self._at_command("newline", "end"):
                    raise Unreadable("an empty cell")
            elif self._at(","):
                self._position += 1
            elif self._peek() is END:
                raise Unreadable("an environment that does not end")
            else:
                rows[-1].append(self._relation())
        self._position += 1
        if self._plain_argument() != name:
            raise Unreadable("environments that do not match")
        self._matrices -= 1
        return _environment_node(name, [tuple(row) for row in rows if row])


def _environment_node(name: str, rows: list[tuple[Node, ...]]) -> Node:
    listed = name in ("cases", "aligned", "align", "align*", "gathered")
    if name == "array" and any(isinstance(entry, Relation) for row in rows for entry in row):
        listed = True
    if listed and all(len(row) == 1 for row in rows):
        return Several(tuple(row[0] for row in rows), ",")
    if not rows or len({len(row) for row in rows}) != 1 or ("matrix" not in name and name != "array"):
        raise Unreadable(name)
    matrix = Matrix(tuple(rows))
    return Call("det", (matrix,)) if name == "vmatrix" else matrix
