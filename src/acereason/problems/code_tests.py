"""The tests of a code problem, held and sent packed: those of a hard problem may be many megabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from acereason.problems.json_values import json_text, json_value

_COUNT_BYTES = 4
_FAST = 1
"""Level of zlib; the usual one takes three to six times as long and saves some percent."""


@dataclass(frozen=True)
class CodeTest:
    """One test of a code problem.

    Attributes:
        input: text for standard input, or the list of call arguments.
        output: text expected on standard output, or the expected return value.
    """

    input: Any
    output: Any


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CodeTests(Sequence[CodeTest]):
    """An immutable sequence of `CodeTest`, unpacked anew each time that it is read.

    What tests hold comes back as JSON gives it: tuples as lists, keys of objects as text. Tests are equal when they
    would be written alike, so 1, 1.0 and True are three different expected values.

    Attributes:
        packed: their number in 4 bytes, then zlib of a JSON list of `[input, output]`; equal tests, equal bytes.
    """

    packed: bytes = bytes(_COUNT_BYTES)

    @classmethod
    def pack(cls, tests: Iterable[CodeTest]) -> CodeTests:
        """Packs tests.

        Raises:
            TypeError: a test holds what JSON cannot.
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
