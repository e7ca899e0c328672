"""The rank that computes each response: neighbours stay together, and the largest number of tokens is minimal."""

from __future__ import annotations

from collections.abc import Sequence

Size = tuple[int, int, int]
"""A response's group, the number of tokens of its prompt, and the number of its own."""


def spread(sizes: Sequence[Size], ranks: int) -> list[int]:
    """Return the rank of each response: consecutive runs whose largest number of tokens is as small as possible.

    Responses of one group on one rank share their prompt, so it counts once a rank. The minimum is found by bisection.
    """
    low, high = 0, sum(prompt + response for _, prompt, response in sizes)
    while low < high:
        middle = (low + high) // 2
        owners = _filled(sizes, middle)
        if owners and owners[-1] < ranks:
            high = middle
        else:
            low = middle + 1
    return _filled(sizes, high)


def _filled(sizes: Sequence[Size], most: int) -> list[int]:
    """Fill ranks one after the other with at most `most` tokens each; return [] if a single response is longer."""
    owners: list[int] = []
    rank, tokens, last_group = 0, 0, None
    for group, prompt, response in sizes:
        if prompt + response > most:
            return []
        added = response + (prompt if group != last_group else 0)
        if tokens + added > most:
            rank, tokens, added = rank + 1, 0, prompt + response
        owners.append(rank)
        tokens, last_group = tokens + added, group
    return owners
