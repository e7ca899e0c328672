"""The rank and the micro-batch that compute each response, so that ranks wait little for each other.

FSDP ties ranks together: the k-th micro-batches of all ranks are computed at the same time and take as long as the one
that costs most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from acereason.policy.cost import Cost

Size = tuple[int, int, int]
"""A response's group, the number of tokens of its prompt, and the number of its own."""

MicroBatch = list[int]
"""Numbers of the responses of a micro-batch, in order, so that neighbours of the same group share their prompt."""

PARTS = (1, 2, 4, 8)
"""Groups are split into pieces that cost at most this part of an average micro-batch; see `micro_batches`."""


def micro_batches(sizes: Sequence[Size], ranks: int, limit: int, cost: Cost) -> list[list[MicroBatch]]:
    """Return the micro-batches of each rank, equally many on all of them; some are empty if there are few responses.

    Groups are split into pieces, since responses of one group in one micro-batch compute their prompt once. The pieces
    are packed, those that cost most first: first-fit gives the number of micro-batches, which are then filled evenly by
    cost. Sorted by cost and dealt to the ranks, the k-th micro-batches of all ranks cost nearly the same. Large pieces
    compute fewer prompts twice and small ones balance better, so several sizes are tried, and the plan kept whose
    lock-step takes least. It depends on the arguments alone, in integers.

    Args:
        sizes: of the responses.
        ranks: number of ranks.
        limit: tokens of a micro-batch; a response that is longer with its prompt is one of its own.
        cost: what tokens cost.
    """
    groups = _groups(sizes, cost)
    total = sum(piece.cost + piece.prompt_cost for piece in groups)
    least = max(1, -(-sum(piece.tokens + piece.prompt for piece in groups) // (limit * ranks)))
    best: _Bins | None = None
    for most in (*(total // (least * ranks * part) for part in PARTS), 0):
        pieces = [piece for group in groups for piece in _split(group, sizes, cost, most, limit)]
        pieces.sort(key=lambda piece: (-piece.cost, piece.responses))
        for bins in _packings(pieces, ranks, limit):
            if best is None or bins.lock_step(ranks) < best.lock_step(ranks):
                best = bins
    assert best is not None
    dealt = [sorted(best.responses[number]) for number in best.order(ranks)]
    return [dealt[rank::ranks] for rank in range(ranks)]


class _Piece(NamedTuple):
    """Responses of one group that are computed together; cost and tokens are without the prompt."""

    cost: int
    tokens: int
    responses: tuple[int, ...]
    group: int
    prompt: int
    prompt_cost: int


def _groups(sizes: Sequence[Size], cost: Cost) -> list[_Piece]:
    """Return each group as one piece."""
    members: dict[int, list[int]] = {}
    for number, (group, _, _) in enumerate(sizes):
        members.setdefault(group, []).append(number)
    return [_piece(numbers, sizes, cost) for numbers in members.values()]


def _piece(numbers: Sequence[int], sizes: Sequence[Size], cost: Cost) -> _Piece:
    group, prompt, _ = sizes[numbers[0]]
    lengths = np.array([0, *(sizes[number][2] for number in numbers)], np.int64)
    costs = cost.of_first(prompt + lengths)
    own = int(costs[1:].sum() - costs[0] * len(numbers))
    return _Piece(own, int(lengths.sum()), tuple(numbers), group, prompt, int(costs[0]))


def _split(group: _Piece, sizes: Sequence[Size], cost: Cost, most: int, limit: int) -> list[_Piece]:
    """Split a group into pieces of similar length that cost at most about `most` and fit into a micro-batch."""
    numbers = sorted(group.responses, key=lambda number: (-sizes[number][2], number))
    wanted = len(numbers) if most == 0 else -(-group.cost // most)
    for count in range(min(max(wanted, 1), len(numbers)), len(numbers) + 1):
        parts: list[list[int]] = [[] for _ in range(count)]
        tokens = [0] * count
        for number in numbers:
            shortest = tokens.index(min(tokens))
            parts[shortest].append(number)
            tokens[shortest] += sizes[number][2]
        if all(group.prompt + n <= limit or len(part) == 1 for n, part in zip(tokens, parts, strict=True)):
            break
    return [_piece(part, sizes, cost) for part in parts]


class _Bins:
    """Micro-batches while they are packed."""

    def __init__(self, count: int, limit: int) -> None:
        self.limit = limit
        self.costs, self.tokens = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.responses: list[list[int]] = [[] for _ in range(count)]
        self.holding: dict[int, list[int]] = {}

    def put(self, piece: _Piece, *, evenly: bool) -> bool:
        """Put a piece into the first micro-batch with room for it, or the one that then costs least; False if none."""
        held = self.holding.setdefault(piece.group, [])
        tokens, costs = self.tokens + (piece.tokens + piece.prompt), self.costs + (piece.cost + piece.prompt_cost)
        tokens[held] -= piece.prompt
        costs[held] -= piece.prompt_cost
        fits = (tokens <= self.limit) | (self.tokens == 0)
        chosen = int(np.where(fits, costs, np.iinfo(np.int64).max).argmin()) if evenly else int(fits.argmax())
        if not fits[chosen]:
            return False
        self.tokens[chosen], self.costs[chosen] = tokens[chosen], costs[chosen]
        self.responses[chosen] += piece.responses
        held.append(chosen)
        return True

    def order(self, ranks: int) -> list[int]:
        """Return the numbers of the micro-batches, those that cost most first, as many on each rank."""
        used = max(int((self.tokens > 0).sum()), 1)
        ordered: list[int] = np.argsort(-self.costs, kind="stable").tolist()
        return ordered[: -(-used // ranks) * ranks]

    def lock_step(self, ranks: int) -> tuple[int, int]:
        """Return what all micro-batches cost a rank, with the waiting for others, and how many there are."""
        slowest = self.costs[self.order(ranks)][::ranks]
        return int(slowest.sum()), len(slowest)


def _packings(pieces: Sequence[_Piece], ranks: int, limit: int) -> list[_Bins]:
    """Return the pieces packed first-fit and, for several ranks, evenly by cost into as few micro-batches a rank."""
    first_fit = _Bins(-(-max(len(pieces), 1) // ranks) * ranks, limit)
    for piece in pieces:
        first_fit.put(piece, evenly=False)
    if ranks == 1:
        return [first_fit]
    each = len(first_fit.order(ranks)) // ranks
    while True:
        even = _Bins(each * ranks, limit)
        if all(even.put(piece, evenly=True) for piece in pieces):
            return [first_fit, even]
        each += 1 + each // 32  # room is tight where costs are even; more micro-batches hold the same work
