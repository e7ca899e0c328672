r"""Where the answer of a response is: the last `\boxed{}` after `</think>` (§3.1)."""

from __future__ import annotations

import re

THINK_END = "</think>"

_BOX = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])")
_BOX_TOKEN = re.compile(
    r"\\(?:boxed|fbox)(?![a-zA-Z])\s*(?:(?P<open>\{)|(?P<bare>[^\s${}]+(?:\{[^\s${}]*\})*))|\\.|[{}]", re.DOTALL
)


def after_thinking(response: str) -> str | None:
    """The text after the last `</think>`, all that is ever judged; None when thinking did not end."""
    start = response.rfind(THINK_END)
    return None if start < 0 else response[start + len(THINK_END) :]


def extract_boxed(text: str) -> tuple[str, str]:
    """The content of the last box and "", or "" and why there is none: `no_answer`, `unbalanced`, `empty`.

    Of nested boxes the outermost counts. A last box that never closes is `unbalanced`, whatever came before it.
    One pass over the text, whatever it holds.
    """
    first = _BOX.search(text)
    if first is None:
        return "", "no_answer"
    last, last_start, depth = None, -1, 0
    boxes: list[tuple[int, int, int]] = []  # depth of braces outside, where the box starts, where its content does
    for token in _BOX_TOKEN.finditer(text, first.start()):
        if token["open"]:
            boxes.append((depth, token.start(), token.end()))
            depth += 1
        elif token["bare"]:
            last, last_start = token["bare"].rstrip(".,"), token.start()
        elif token[0] == "{":
            depth += 1
        elif token[0] == "}" and depth:
            depth -= 1
            if boxes and boxes[-1][0] == depth:
                _, last_start, content = boxes.pop()
                last = text[content : token.start()]
    if any(start > last_start for _, start, _ in boxes):
        return "", "unbalanced"
    if last is None:
        return "", "no_answer"
    return last.strip(), "" if last.strip() else "empty"
