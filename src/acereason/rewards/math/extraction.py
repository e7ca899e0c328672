r"""Where the answer of a response is: the last `\boxed{}` after `</think>` (§3.1)."""

from __future__ import annotations

import re

THINK_END = "</think>"

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
    last, last_start = None, -1
    open_braces: list[tuple[int, int]] = []  # (where the content starts, where its box starts or -1)
    for token in _BOX_TOKEN.finditer(text):
        if token["open"]:
            open_braces.append((token.end(), token.start()))
        elif token["bare"]:
            last, last_start = token["bare"].rstrip(".,"), token.start()
        elif token[0] == "{":
            open_braces.append((token.end(), -1))
        elif token[0] == "}" and open_braces:
            content, box = open_braces.pop()
            if box >= 0:
                last, last_start = text[content : token.start()], box
    if any(box > last_start for _, box in open_braces):
        return "", "unbalanced"
    if last is None:
        return "", "no_answer"
    return last.strip(), "" if last.strip() else "empty"
