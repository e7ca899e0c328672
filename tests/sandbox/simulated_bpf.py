"""What a filter answers, computed as the kernel does it: for architectures that are not at hand."""

import struct
from collections.abc import Sequence

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003}
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000


def answer(code: bytes, machine: str, number: int, arguments: Sequence[int] = ()) -> str | int:
    """ "allow", "kill" or the number of the error."""
    words = [argument & 0xFFFFFFFFFFFFFFFF for argument in arguments] + [0] * (6 - len(arguments))
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, AUDIT_ARCH[machine], 0, *words)
    at, accumulator = 0, 0
    while True:
        kind, yes, no, operand = struct.unpack_from("<HBBI", code, 8 * at)
        at += 1
        if kind == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif kind == 0x54:
            accumulator &= operand
        elif kind in (0x15, 0x35):
            at += yes if (accumulator == operand if kind == 0x15 else accumulator >= operand) else no
        elif kind == 0x06:
            named: dict[int, str | int] = {ALLOW: "allow", KILL: "kill"}
            return named.get(operand, operand - ERRNO)
        else:
            raise ValueError(f"instruction {kind:#x}")
