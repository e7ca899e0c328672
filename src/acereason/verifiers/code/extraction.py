"""The program of a response: the last block of Python after `</think>` (§3.1)."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator

from acereason.verifiers.verifier import Extraction, after_thinking

_FENCE_LINE = re.compile(
    r"\n(?P<before>[ \t]*+(?:(?:[-*+]|[0-9]{1,9}[.)])[ \t]++)?+)"
    r"(?P<fence>`{3,}+(?=[^`\n]*+$)|~{3,}+)"  # backticks later in the line make it code within a text
    r"(?P<tag>[^\n]*+)",
    re.MULTILINE,
)
_PYTHON = re.compile(r"\{?\s*+\.?py(?:thon)?3?(?![\w+#-])", re.IGNORECASE)
_TAB = 4
_DEEPER = 3
"""Columns by which a closing fence may be indented more than the opening one; one that is indented more is code."""


def find_program(response: str, thinking_required: bool = True) -> Extraction:
    r"""Return the last block of Python after the last `</think>`, or why there is none: `no_think_end`, `no_code`.

    - A fence is three or more backticks or tildes at the beginning of a line, which may be indented or a list item; no
      more backticks follow backticks in that line.
    - A block is closed by the next line that begins with at least as many of the same, indented by at most three
      columns more. If a language follows them, that line also opens the next block. Elsewhere in a line they close
      nothing.
    - A block that is never closed is no block: its program was cut off. Those before it count.
    - A block is Python when its tag is `python`, `python3`, `py` or `py3`, in any case, as in `{.python}` or
      `python title=x`. Of several such blocks the last counts, even an empty one, which is `no_code`.
    - If no block has such a tag, the last one without a tag counts. Blocks in other languages never count.
    - Line ends become `\n`, and the common indentation of all lines is removed; all else stays as it was written.

    The time is linear in the length of any response; little more than the fences is read.
    """
    text = after_thinking(response, thinking_required)
    if text is None:
        return Extraction("", "no_think_end")
    text = "\n" + text
    tagged, untagged = slice(0), slice(0)
    for tag, place in _blocks(text):
        if _PYTHON.match(tag):
            tagged = place
        elif not tag:
            untagged = place
    program = _program(text[tagged if tagged.start is not None else untagged])
    return Extraction(program, "" if program else "no_code")


def _blocks(text: str) -> Iterator[tuple[str, slice]]:
    """Yield the tag of each block, "" for none, and where its code is; the text begins with a line end."""
    opening, opening_tag, code, deepest = "", "", 0, 0
    for line in _FENCE_LINE.finditer(text):
        before, fence, tag = line.groups()
        column = len(before.expandtabs(_TAB))
        if opening and not (fence.startswith(opening) and column <= deepest and not before.strip()):
            continue
        tag = tag.strip()
        if opening:
            yield opening_tag, slice(code, line.start() + 1)
        opening = fence if tag or not opening else ""
        opening_tag, code, deepest = tag, line.end() + 1, column + _DEEPER


def _program(code: str) -> str:
    """Return the code of a block without the indentation common to all lines; "" when it is blank."""
    if not code.strip():
        return ""
    code = code.replace("\r\n", "\n").removesuffix("\n")
    if not code.lstrip("\n").startswith((" ", "\t")):
        return code
    lines = code.split("\n")
    indents = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines if line.strip()]
    margin = os.path.commonprefix(indents)  # noqa: RUF071 - of any strings
    return "\n".join(line.removeprefix(margin) for line in lines)
