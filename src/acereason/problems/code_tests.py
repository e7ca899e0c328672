"""The tests of a code problem, kept and sent compressed: those of a hard problem may be many megabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from acereason.problems.json_values import json_text, json_value

_COUNT_BYTES = 4
_FAST = 1
"""Level of zlib; the default level takes three to six times as long and saves a few percent."""


@dataclass(frozen=True)
class CodeTest:
    """One test of a code problem.

    Attributes:
        input: text for standard input, or the list of arguments of a call.
        output: expected text on standard output, or expected return value.
    """

    input: Any
    output: Any


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CodeTests(Sequence[CodeTest]):
    """An immutable sequence of `CodeTest`, unpacked each time it is read.

    Values come back as JSON gives them: tuples as lists, keys of objects as text. Two tests are equal if their JSON
    text is the same, so 1, 1.0 and True are three different expected values.

    Attributes:
        packed: number of tests in 4 bytes, then a zlib-compressed JSON list of `[input, output]`; the same bytes for
            the same tests.
    """

    packed: bytes = bytes(_COUNT_BYTES)

    @classmethod
    def pack(cls, tests: Iterable[CodeTest]) -> CodeTests:
        """Pack tests.

        Raises:
            TypeError: a test holds a value that JSON cannot hold.
            RecursionError: a test is nested too deeply.
        """
        pairs = [[test.input, test.output] for test in tests]
        if not pairs:
            return cls()
        return cls(len(pairs).to_bytes(_COUNT_BYTES, "big") + zlib.compress(json_text(pairs).encode(), _FAST))

    def __len__(self) -> int:
        return int.from_bytes(self.packed[:_COUNT_BYTES], "big")

    def __iter__(self) -> Iterator[CodeTest]:
        return iter(self._unpacked())

    @overload
    def __getitem__(self, index: int) -> CodeTest: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[CodeTest]: ...
    def __getitem__(self, index: int | slice) -> CodeTest | Sequence[CodeTest]:
        return self._unpacked()[index]

    def _unpacked(self) -> list[CodeTest]:
        if not self:
            return []
        pairs = json_value(zlib.decompress(self.packed[_COUNT_BYTES:]).decode())
        return [CodeTest(given, wanted) for given, wanted in pairs]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, CodeTests):
            return self.packed == other.packed
        if isinstance(other, list | tuple) and all(isinstance(test, CodeTest) for test in other):
            return self.packed == CodeTests.pack(other).packed
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.packed)

    def __repr__(self) -> str:
        return f"<{len(self)} tests>"
