"""Names that LeetCode solutions and their tests take as given; `solutions.py` puts this text before them.

Lists are written as LeetCode does, trees by levels with None for what is not there. The built-ins are imported last,
so that no star has taken the place of one.
"""
# ruff: noqa: F401, F403, F405, I001, UP029

import datetime
import math
import operator
from bisect import *
from collections import *
from functools import *
from heapq import *
from itertools import *
from math import *
from operator import *
from queue import PriorityQueue
from string import *
from typing import *
from builtins import *


class ListNode:
    """A link of a list."""

    def __init__(self, val=0, next=None):
        self.val, self.next = val, next


class TreeNode:
    """A node of a binary tree."""

    def __init__(self, val=0, left=None, right=None):
        self.val, self.left, self.right = val, left, right


def list_node(values):
    """The first link of a list of these values; None for no values."""
    head = None
    for value in reversed(values):
        head = ListNode(value, head)
    return head


def tree_node(values):
    """The root of a tree whose levels have these values, children of missing nodes left out; None for no values."""
    if not values or values[0] is None:
        return None
    root = TreeNode(values[0])
    waiting, rest = deque([root]), iter(values[1:])
    while waiting:
        node = waiting.popleft()
        for side in ("left", "right"):
            value = next(rest, None)
            if value is not None:
                setattr(node, side, TreeNode(value))
                waiting.append(getattr(node, side))
    return root


def is_same_list(one, other):
    """Whether two lists have the same values."""
    while one and other and one.val == other.val:
        one, other = one.next, other.next
    return one is None and other is None


def is_same_tree(one, other):
    """Whether two trees have the same shape and values."""
    waiting = [(one, other)]
    while waiting:
        one, other = waiting.pop()
        if one is None and other is None:
            continue
        if one is None or other is None or one.val != other.val:
            return False
        waiting += [(one.left, other.left), (one.right, other.right)]
    return True
