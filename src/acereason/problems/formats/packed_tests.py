"""LiveCodeBench's packed tests: base64 of zlib of a pickle, from which only text is taken.

The pickle is never loaded: its instructions are listed, and one that does more than hold text is refused.
"""

from __future__ import annotations

import base64
import pickletools
import re
import zlib

LONGEST_UNPACKED = 512 * 2**20
"""Bytes. LiveCodeBench's tests are far smaller; anything longer is refused before it is unpacked."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_TEXT = {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
_FRAMING = {"PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP"}
_OBJECT = {"EMPTY_DICT", "MARK", "DICT", "SETITEM", "SETITEMS"}  # {"input_output": text}


def is_packed(text: str) -> bool:
    """Return whether a text is base64 and so can be neither JSON nor source."""
    return _BASE64.fullmatch(text.strip()) is not None


def unpacked(text: str) -> str:
    """Unpack a text: the pickled text itself, or the text in a pickled dict with one key.

    Raises:
        ValueError: the content is something else, or too long.
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
    """Return the last text of a pickle that contains only text, or a dict from text to text."""
    text = None
    for instruction, argument, _ in pickletools.genops(pickled):
        if instruction.name in _TEXT:
            text = argument
        elif instruction.name not in _FRAMING | _OBJECT:
            raise ValueError(f"a pickle with {instruction.name}; only text is allowed")
    if not isinstance(text, str):
        raise ValueError("a pickle without text")
    return text
