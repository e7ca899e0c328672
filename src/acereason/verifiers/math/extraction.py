r"""The answer of a response: the last `\boxed{}` after `</think>` (§3.1)."""

from __future__ import annotations

import re

_BOX = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])\s*(?:(?P<open>\{)|(?P<bare>[^\s${}]+(?:\{[^\s${}]*\})*))")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_ANY = re.compile(f"{_BOX.pattern}|{_BRACE.pattern}", re.DOTALL)
MAX_PASSES = 2
"""Boxes are followed one by one until this many times the text has been read; nested boxes would be read many times."""


def extract_boxed(text: str) -> tuple[str, str]:
    """Return the content of the last box and "", or "" and why there is none: `no_answer`, `unbalanced`, `empty`.

    Of nested boxes the outermost counts. A last box that never closes is `unbalanced`, whatever came before it.
    The time is linear in the length of any text; where boxes close, little more than the boxes is read.
    """
    boxes = _boxes(text)
    if not boxes:
        return "", "no_answer"
    last, balanced = _last_by_itself(text, boxes) or _last_in_one_pass(text, boxes)
    if not balanced:
        return "", "unbalanced"
    return last.strip(), "" if last.strip() else "empty"


def _boxes(text: str) -> list[re.Match[str]]:
    """Return the openings of all boxes; searched as plain text, far quicker than a pattern among other commands."""
    found: list[re.Match[str]] = []
    start = 0
    upcoming = {command: text.find(command) for command in ("\\boxed", "\\fbox")}
    while any(place >= 0 for place in upcoming.values()):
        command = min((name for name in upcoming if upcoming[name] >= 0), key=upcoming.__getitem__)
        place = upcoming[command]
        box = _BOX.match(text, place) if place >= start and _is_command(text, place) else None
        if box:
            found.append(box)
            start = box.end()
        upcoming[command] = text.find(command, max(start, place + 1))
    return found


def _is_command(text: str, start: int) -> bool:
    r"""Return whether the backslash at `start` begins a command, and is not the second one of a line break."""
    before = start
    while before and text[before - 1] == "\\":
        before -= 1
    return (start - before) % 2 == 0


def _last_by_itself(text: str, boxes: list[re.Match[str]]) -> tuple[str, bool] | None:
    """Return the content of the last box, and whether it closes; None where that would read the text too often."""
    last, last_start, end, unclosed = "", -1, -1, -1
    left = MAX_PASSES * len(text)
    for box in boxes:
        if box.start() < end:  # nested
            continue
        if box["bare"]:
            last, last_start, end = box["bare"].rstrip(".,"), box.start(), box.end()
        elif (close := _closing(text, box.end())) >= 0:
            last, last_start, end = text[box.end() : close], box.start(), close
        else:
            unclosed = box.start()
        left -= (end if end > box.start() else len(text)) - box.start()
        if left < 0:
            return None
    return last, unclosed <= last_start


def _closing(text: str, start: int) -> int:
    """Return where the group that was opened before `start` closes; -1 for nowhere."""
    depth = 1
    for brace in _BRACE.finditer(text, start):
        depth += (brace[0] == "{") - (brace[0] == "}")
        if depth == 0:
            return brace.start()
    return -1


def _last_in_one_pass(text: str, boxes: list[re.Match[str]]) -> tuple[str, bool]:
    """Return the same as `_last_by_itself`, in one pass over all braces."""
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
