r"""What `\pm` stands for: every value that the signs can give."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from acereason.verifiers.math.reading.expressions import Call, Node, changed, walk

MAX_SIGNS = 3


def alternatives(node: Node) -> list[Node]:
    r"""The values of an expression with `\pm`: signs vary together where `\mp` occurs, else each by itself.

    An expression without such signs, or with more than `MAX_SIGNS`, is its only value.
    """
    signs = [part.name for part in walk(node) if isinstance(part, Call) and part.name in ("pm", "mp")]
    if not signs or len(signs) > MAX_SIGNS:
        return [node]
    if "mp" in signs:
        return [_chosen(node, iter([plus] * len(signs))) for plus in (True, False)]
    return [_chosen(node, iter(choice)) for choice in product((True, False), repeat=len(signs))]


def _chosen(node: Node, signs: Iterator[bool]) -> Node:
    def choose(part: Node) -> Node:
        if not isinstance(part, Call) or part.name not in ("pm", "mp"):
            return part
        left, right = part.args
        plus = next(signs) == (part.name == "pm")
        return Call("add", (left, right if plus else Call("neg", (right,))))

    return changed(node, choose)
