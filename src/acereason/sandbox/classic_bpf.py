"""An assembler for classic BPF, the machine language of seccomp filters, that jumps to labels."""

import struct

LOAD, AND, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
"""Codes: load a word of the call's description, mask it, compare it, answer."""
SIZE = 8
"""Bytes of one instruction, `struct sock_filter`."""
_INSTRUCTION = struct.Struct("<HBBI")


class Assembler:
    """A program in the making; all jumps go forward, over at most 255 instructions."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, str, str]] = []
        self._places: dict[str, int] = {}

    def mark(self, label: str) -> None:
        """Give the next instruction a label."""
        self._places[label] = len(self._code)

    def add(self, code: int, operand: int, yes: str = "", no: str = "") -> None:
        """Add an instruction; a comparison jumps to label `yes` or `no`, and where that is empty, to the next one."""
        self._code.append((code, operand, yes, no))

    def operands(self, operand: int) -> tuple[int, ...]:
        """Return the offsets in `packed()` of the operands with this value."""
        return tuple(SIZE * (at + 1) - 4 for at, instruction in enumerate(self._code) if instruction[1] == operand)

    def packed(self) -> bytes:
        """Return the program; operands below zero, which stand for something else, are zero in it.

        Raises:
            struct.error: a jump is too long.
            KeyError: a label is missing.
        """
        return b"".join(
            _INSTRUCTION.pack(code, self._skip(at, yes), self._skip(at, no), max(operand, 0))
            for at, (code, operand, yes, no) in enumerate(self._code)
        )

    def _skip(self, at: int, label: str) -> int:
        return self._places[label] - at - 1 if label else 0
