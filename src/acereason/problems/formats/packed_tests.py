"""LiveCodeBench's packed tests: base64 of zlib of a pickle, of which nothing but text is taken.

The pickle is never loaded. Its instructions are listed, and those that do more than hold text are refused.
"""

from __future__ import annotations

import base64
import pickletools
import re
import zlib

LONGEST_UNPACKED = 512 * 2**20
"""Bytes. No tests of LiveCodeBench come near; what would be longer is refused before it is unpacked."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_TEXT = {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
_FRAMING = {"PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP"}
_OBJECT = {"EMPTY_DICT", "MARK", "DICT", "SETITEM", "SETITEMS"}  # {"input_output": text}


def is_packed(text: str) -> bool:
    """Whether a text can be nothing but base64, and so neither JSON nor source."""
    return _BASE64.fullmatch(text.strip()) is not None


def unpacked(text: str) -> str:
    """The text in a packed one: what was pickled, or the value of the one key of a dict that was.

    Raises:
        ValueError: something else, or too long.
    """
    content = _inflated(base64.b64decode(text, validate=True))
    return content.decode() if content[:1] in (b"[", b"{") else _pickled_text(content)


def _inflated(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(packed, LONGEST_UNPACKED)
    except zlib.error as error:
        raise ValueError(f"not zlib: {error}") from error
    if not inflater.eof:
        longer = f"more than {LONGEST_UNPACKED} bytes"
        raise ValueError(longer if inflater.unconsumed_tail else "the zlib stream is cut off")
    return content


def _pickled_text(pickled: bytes) -> str:
    """The last text of a pickle that holds no more than a text, or a dict from text to text."""
    text = None
    for instruction, argument, _ in pickletools.genops(pickled):
        if instruction.name in _TEXT:
            text = argument
        elif instruction.name not in _FRAMING | _OBJECT:
            raise ValueError(f"a pickle with {instruction.name}, where nothing but text may be")
    if not isinstance(text, str):
        raise ValueError("a pickle without text")
    return text
