r"""From cleaned text to tokens: numbers, letters, words, commands, marks.

Several letters in a row are the hard case: `xy` is a product, `east` a word, `sqrt` a command, `cm` a unit after a
number.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from acereason.verifiers.math.reading.expressions import Unreadable
from acereason.verifiers.math.reading.units import PLAIN_UNITS, SINGLE_LETTER_UNITS
from acereason.verifiers.math.reading.vocabulary import CONNECTIVES, FUNCTIONS, PLAIN_COMMANDS, SHORT_WORDS

MAX_TOKENS = 3000

NUMBER, LETTER, WORD, COMMAND, MARK = "number", "letter", "word", "command", "mark"


class Token(NamedTuple):
    """One token; `spaced` tells whether white space precedes it."""

    kind: str
    text: str
    spaced: bool = False


_GROUPED = r"[1-9]\d{0,2}(?:,\d{3})+(?![\d])(?:\.\d+)?"
_EXPONENT = r"(?:[eE][+-]?\d+(?![a-zA-Z\d]))?"
_TOKEN = re.compile(
    rf"""(?P<space>\s+)
    |(?P<grouped>{_GROUPED})
    |(?P<number>(?:[1-9]\d{{0,2}}(?:\ \d{{3}})+(?!\d)|\d+)(?:\.\d+|\.(?=[\s,;()\]}}\\]|$))?{_EXPONENT}|\.\d+)
    |\\(?P<command>[a-zA-Z]+|[{{}}|])
    |(?P<letters>[a-zA-Z]+)
    |(?P<mark><=|>=|=<|!=|==|\*\*|\.\.\.|=>|->|[^\s\w\\]|_)""",
    re.VERBOSE,
)
_LAST = re.compile(r"(?:\s*\^\s*\{?-?\d\}?)?\s*(?:[/,].*|\s\d.*)?", re.DOTALL)
"""What may follow a short unit, `5 cm^2`; anywhere else its letters are variables."""
_TEXT_COMMANDS = frozenset(
    (
        "text textbf textit textrm textsf texttt textnormal emph mbox hbox mathrm mathbf mathit mathsf"
        " mathtt bm boldsymbol operatorname mathop rm bf underline"
    ).split()
)
_FUNCTION_OF_LETTER = re.compile(r"(sin|cos|tan|cot|sec|csc|ln|log|sqrt)([xyzuABC])")
_DROPPED = frozenset(["displaystyle", "it", "newpage", "noindent", "centering"])
_MARKS = {"=<": "<=", "==": "=", "**": "^", "...": "…"}
_COMMAND_MARKS = {
    "lt": "<",
    "gt": ">",
    "le": "<=",
    "leq": "<=",
    "leqslant": "<=",
    "leqq": "<=",
    "ge": ">=",
    "geq": ">=",
    "geqslant": ">=",
    "geqq": ">=",
    "ne": "!=",
    "neq": "!=",
    "cdot": "*",
    "times": "*",
    "ast": "*",
    "div": "/",
    "colon": ":",
    "lvert": "|",
    "rvert": "|",
    "vert": "|",
    "|": "|",
    "lbrace": "\\{",
    "rbrace": "\\}",
    "{": "\\{",
    "}": "\\}",
    "lbrack": "[",
    "rbrack": "]",
    "lparen": "(",
    "rparen": ")",
    "ldots": "…",
    "cdots": "…",
    "dots": "…",
    "dotsc": "…",
    "dotsb": "…",
    "prime": "'",
    "degree": "°",
    "land": "and",
    "lor": "or",
    "wedge": "and",
    "vee": "or",
}
_OPENING, _CLOSING = frozenset({"(", "[", "\\{"}), frozenset({")", "]", "\\}"})


class Lexer:
    """A lexer for one cleaned text."""

    def __init__(self, text: str, commas_group: bool) -> None:
        self._text, self._commas_group = text, commas_group
        self._tokens: list[Token] = []
        self._depth = 0

    def run(self) -> list[Token]:
        """Return the tokens.

        Raises:
            Unreadable: a character that mathematics does not use, a text group that never closes, or too many tokens.
        """
        self._cut(0, len(self._text), in_text=False)
        return self._tokens

    def _cut(self, position: int, end: int, in_text: bool, operator: bool = False) -> None:
        spaced = False
        while position < end:
            match = _TOKEN.match(self._text, position, end)
            if match is None:
                if in_text:
                    position += 1
                    continue
                raise Unreadable(self._text[position : position + 10])
            position = match.end()
            kind = match.lastgroup
            if kind == "space":
                spaced = True
                continue
            if kind == "grouped" and (self._depth > 0 or not self._commas_group):
                match = re.compile(r"\d+").match(self._text, match.start())
                assert match is not None
                position, kind = match.end(), "number"
            if kind in ("number", "grouped"):
                self._add(NUMBER, match[0].replace(",", "").replace(" ", ""), spaced)
            elif kind == "letters":
                unit = match[0] in PLAIN_UNITS and self._after_value()
                as_text = in_text and not (operator and match[0] in PLAIN_COMMANDS and not unit)
                position = self._letters(match, spaced, as_text, end)
            elif kind == "mark":
                position = self._mark(match[0], position, spaced, in_text)
            else:
                position = self._command(match["command"], position, end, spaced)
            spaced = False

    def _add(self, kind: str, text: str, spaced: bool) -> None:
        if len(self._tokens) >= MAX_TOKENS:
            raise Unreadable("too many tokens")
        self._tokens.append(Token(kind, text, spaced))

    def _mark(self, mark: str, position: int, spaced: bool, in_text: bool) -> int:
        if in_text and mark in ".'!?\"`":
            return position
        if mark == "!=" and not spaced and self._after_value():
            self._add(MARK, "!", spaced)
            self._add(MARK, "=", False)
            return position
        mark = _MARKS.get(mark, mark)
        self._depth += (mark in _OPENING) - (mark in _CLOSING)
        self._add(MARK, mark, spaced)
        return position

    def _after_value(self) -> bool:
        return bool(self._tokens) and (self._tokens[-1].kind == NUMBER or self._tokens[-1].text in (")", "}"))

    def _command(self, name: str, position: int, end: int, spaced: bool) -> int:
        if name in _TEXT_COMMANDS:
            return self._text_group(position, end, spaced, operator=name in ("operatorname", "mathrm", "mathop"))
        mark = _COMMAND_MARKS.get(name)
        if mark is None:
            if name not in _DROPPED:
                self._add(COMMAND, name, spaced)
            return position
        if mark in ("and", "or"):
            self._add(WORD, mark, spaced)
            return position
        self._depth += (mark in _OPENING) - (mark in _CLOSING)
        self._add(MARK, mark, spaced)
        return position

    def _text_group(self, position: int, end: int, spaced: bool, operator: bool) -> int:
        while position < end and self._text[position] == " ":
            position += 1
        if position >= end or self._text[position] != "{":
            return position
        close = _closing_brace(self._text, position, end)
        inside = self._text[position + 1 : close].strip()
        if len(inside) == 1 and inside in SINGLE_LETTER_UNITS and self._after_value():
            self._add(WORD, inside, spaced)
        elif inside.isalnum() or not inside:
            self._cut(position + 1, close, in_text=True, operator=operator)
        else:
            self._grouped_text(position + 1, close, spaced)
        return close + 1

    def _grouped_text(self, start: int, close: int, spaced: bool) -> None:
        # A group that mixes words and marks keeps its braces only where it is an exponent or a subscript.
        if self._tokens and self._tokens[-1].text in ("^", "_"):
            self._add(MARK, "{", spaced)
            self._cut(start, close, in_text=True)
            self._add(MARK, "}", False)
        else:
            self._cut(start, close, in_text=True)

    def _letters(self, match: re.Match[str], spaced: bool, in_text: bool, end: int) -> int:
        run, position = match[0], match.end()
        if in_text:
            while position + 1 < end and self._text[position] in "-'" and self._text[position + 1].isalpha():
                more = re.compile(r"[-'][a-zA-Z]+").match(self._text, position, end)
                assert more is not None
                run, position = run + more[0], more.end()
        for kind, text in self._split_letters(run, in_text, position):
            self._add(kind, text, spaced)
            spaced = False
        return position

    def _split_letters(self, run: str, in_text: bool, end: int) -> list[tuple[str, str]]:
        if (
            run in PLAIN_UNITS
            and self._tokens_end_a_value()
            and (in_text or len(run) > 3 or _LAST.fullmatch(self._text, end))
        ):
            return [(WORD, run)]
        if run in PLAIN_COMMANDS and not (in_text and len(run) > 3 and run not in FUNCTIONS and run != "infinity"):
            return [(COMMAND, PLAIN_COMMANDS[run])]
        if len(run) == 1:
            if run in SINGLE_LETTER_UNITS and (self._follows_unit() if in_text else self._divides_unit()):
                return [(WORD, run)]
            return [(LETTER, run)]
        if run.lower() in CONNECTIVES:
            return [(WORD, CONNECTIVES[run.lower()])]
        if not in_text and (match := _FUNCTION_OF_LETTER.fullmatch(run)):
            return [(COMMAND, match[1]), (LETTER, match[2])]
        if in_text or self._is_word(run):
            return [(WORD, run)]
        return [(LETTER, letter) for letter in run]

    def _divides_unit(self) -> bool:
        """Return whether the last tokens are a unit and a slash, as in `km/h`."""
        return [token.kind for token in self._tokens[-2:]] == [WORD, MARK] and self._tokens[-1].text == "/"

    def _follows_unit(self) -> bool:
        return bool(self._tokens) and (self._tokens[-1].kind == NUMBER or self._tokens[-1].text in ("/", "*"))

    def _tokens_end_a_value(self) -> bool:
        """Return whether the last token is a number, a bracket or a word of a unit."""
        return self._after_value() or (bool(self._tokens) and self._tokens[-1].kind == WORD)

    def _is_word(self, run: str) -> bool:
        if run.isupper():
            return False
        return (
            run.lower() in SHORT_WORDS
            or run == "pct"
            or (run in ("to", "per", "sq") and self._tokens_end_a_value())
            or (len(run) >= 4 and any(letter in "aeiouyAEIOUY" for letter in run))
        )


def _closing_brace(text: str, opening: int, end: int) -> int:
    depth = 0
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, opening, end):
        depth += (match[0] == "{") - (match[0] == "}")
        if depth == 0:
            return match.start()
    raise Unreadable("a group that does not close")


def tokenise(text: str, commas_group: bool = True) -> list[Token]:
    """Return the tokens of a cleaned text; `commas_group` tells whether `1,234` is one number or two."""
    return Lexer(text, commas_group).run()
