r"""Where the answer of a response is: the last `\boxed{}` after `</think>` (§3.1)."""

from __future__ import annotations

import re

THINK_END = "</think>"

_BOX = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])\s*(?:(?P<open>\{)|(?P<bare>[^\s${}]+(?:\{[^\s${}]*\})*))")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_ANY = re.compile(f"{_BOX.pattern}|{_BRACE.pattern}", re.DOTALL)
FEW_BOXES = 4
"""Boxes up to which each is followed to its end by itself; many could be nested, and be followed again and again."""


def after_thinking(response: str) -> str | None:
    """The text after the last `</think>`, all that is ever judged; None when thinking did not end."""
    start = response.rfind(THINK_END)
    return None if start < 0 else response[start + len(THINK_END) :]


def extract_boxed(text: str) -> tuple[str, str]:
    """The content of the last box and "", or "" and why there is none: `no_answer`, `unbalanced`, `empty`.

    Of nested boxes the outermost counts. A last box that never closes is `unbalanced`, whatever came before it.
    Linear in the text, whatever it holds; of a text with few boxes, little more than the boxes is looked at.
    """
    boxes = [box for box in _BOX.finditer(text) if _is_command(text, box.start())]
    if not boxes:
        return "", "no_answer"
    find = _last_of_few if len(boxes) <= FEW_BOXES else _last_of_many
    last, balanced = find(text, boxes)
    if not balanced:
        return "", "unbalanced"
    return last.strip(), "" if last.strip() else "empty"


def _is_command(text: str, start: int) -> bool:
    r"""Whether the backslash at `start` begins a command, and is not the second one of a line break."""
    before = start
    while before and text[before - 1] == "\\":
        before -= 1
    return (start - before) % 2 == 0


def _last_of_few(text: str, boxes: list[re.Match[str]]) -> tuple[str, bool]:
    """The content of the last box, and whether it closes."""
    last, last_start, end, unclosed = "", -1, -1, -1
    for box in boxes:
        if box.start() < end:  # nested
            continue
        if box["bare"]:
            last, last_start = box["bare"].rstrip(".,"), box.start()
        elif (close := _closing(text, box.end())) >= 0:
            last, last_start, end = text[box.end() : close], box.start(), close
        else:
            unclosed = box.start()
    return last, unclosed <= last_start


def _closing(text: str, start: int) -> int:
    """Where the group that was opened before `start` closes; -1 for nowhere."""
    depth = 1
    for brace in _BRACE.finditer(text, start):
        depth += (brace[0] == "{") - (brace[0] == "}")
        if depth == 0:
            return brace.start()
    return -1


def _last_of_many(text: str, boxes: list[re.Match[str]]) -> tuple[str, bool]:
    """As `_last_of_few`, in one pass."""
    last, last_start, depth = "", -1, 0
    opened: list[tuple[int, int, int]] = []  # depth of braces outside, where the box starts, where its content does
    for token in _ANY.finditer(text, boxes[0].start()):
        if token["open"]:
            opened.append((depth, token.start(), token.end()))
            depth += 1
        elif token["bare"]:
            last, last_start = token["bare"].rstrip(".,"), token.start()
        elif token[0] == "{":
            depth += 1
        elif token[0] == "}" and depth:
            depth -= 1
            if opened and opened[-1][0] == depth:
                _, last_start, content = opened.pop()
                last = text[content : token.start()]
    return last, not any(start > last_start for _, start, _ in opened)
