"""Linked lists and trees that LeetCode's test sources rely on: `list_node([1, 2])`, `tree_node([1, None, 2])`.

A tree is listed level by level; nothing is listed below an empty node.
"""

from __future__ import annotations

import re

LISTS = """\
class ListNode:
    def __init__(self, val=0, next=None):
        self.val = val
        self.next = next


def list_node(values):
    first = None
    for value in reversed(values):
        first = ListNode(value, first)
    return first


def is_same_list(p, q):
    while p is not None and q is not None and p.val == q.val:
        p, q = p.next, q.next
    return p is None and q is None
"""

TREES = """\
class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val = val
        self.left = left
        self.right = right


def tree_node(values):
    nodes = [None if value is None else TreeNode(value) for value in values]
    places = ((node, side) for node in nodes if node is not None for side in ("left", "right"))
    for (parent, side), node in zip(places, nodes[1:]):
        setattr(parent, side, node)
    return nodes[0] if nodes else None


def is_same_tree(p, q):
    pairs = [(p, q)]
    while pairs:
        p, q = pairs.pop()
        if p is None and q is None:
            continue
        if p is None or q is None or p.val != q.val:
            return False
        pairs += [(p.left, q.left), (p.right, q.right)]
    return True
"""

_USED = re.compile(r"(?<![\w.])(?:(?P<lists>list_node|is_same_list)|(?P<trees>tree_node|is_same_tree))\(")
_DEFINED = re.compile(r"^def (list|tree)_node\(", re.MULTILINE)


def node_sources(check: str, prelude: str) -> str:
    """Return the definitions above that a test source uses and that neither it nor the prelude defines; "" for none."""
    if "_node(" not in check and "is_same_" not in check:  # a plain search first: a test source may have megabytes
        return ""
    kinds = {match.lastgroup for match in _USED.finditer(check)}
    kinds -= {f"{match[1]}s" for match in _DEFINED.finditer(f"{prelude}\n{check}")}
    return "\n\n".join(source for kind, source in (("lists", LISTS), ("trees", TREES)) if kind in kinds)
