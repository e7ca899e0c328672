"""Flex attention's mask of a packed row, from where prompts and responses begin and end."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from acereason.policy.packing import PROMPT, PackedBatch

BLOCK = 128
"""Tokens of a block of the mask, in both directions."""


def block_mask(batch: PackedBatch, window: int | None = None) -> BlockMask:
    """Make flex attention's mask of a packed row: a token's own prompt and own response, nothing later.

    The blocks are those of `create_block_mask`, which holds the whole `[tokens, tokens]` mask several times; here only
    grids of `[blocks, blocks]` exist. Nothing waits for the device.

    Args:
        batch: the row.
        window: tokens that a query of a layer with a sliding window sees, itself included.
    """
    segments, responses, positions = batch.segments, batch.responses, batch.positions

    def may_attend(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        own = (responses[k] == PROMPT) | (responses[k] == responses[q])
        seen = (segments[q] == segments[k]) & own & (positions[k] <= positions[q])
        return seen if window is None else seen & (positions[q] - positions[k] < window)

    pairs, tokens = _pairs_in_blocks(batch, window), len(batch.input_ids)
    whole = pairs == BLOCK * BLOCK
    parts, full = _listed((pairs > 0) & ~whole), _listed(whole)
    return BlockMask.from_kv_blocks(*parts, *full, BLOCK, may_attend, (tokens, tokens))


def _pairs_in_blocks(batch: PackedBatch, window: int | None) -> Tensor:
    """Return `[query blocks, key blocks]`, how many keys of a block are seen by how many queries of another, in pairs.

    A query sees two runs of the row: the end of its prompt, and its own response, or prompt, up to itself.
    """
    index = torch.arange(len(batch.input_ids), device=batch.input_ids.device)
    new_segment = batch.segments.diff(prepend=batch.segments[:1] - 1) != 0
    new_span = new_segment | (batch.responses.diff(prepend=batch.responses[:1]) != 0)
    prompt, own = (torch.where(new, index, 0).cummax(0).values for new in (new_segment, new_span))
    length = batch.positions[own]  # of the prompt before a response; 0 on prompts themselves
    unseen = torch.zeros_like(index) if window is None else (batch.positions - window + 1).clamp(min=0)
    starts = prompt + torch.minimum(unseen, length), own + (unseen - length).clamp(min=0)
    ends = prompt + length, index + 1
    return _covered(index, torch.cat(ends)) - _covered(index, torch.cat(starts))


def _covered(queries: Tensor, bounds: Tensor) -> Tensor:
    """Return `[blocks, blocks]`, the tokens before `bounds` in each key block, summed over each block of queries.

    Args:
        queries: `[tokens]`, index of each query.
        bounds: `[n · tokens]`, n bounds of each query, one after the other.
    """
    blocks = -(-len(queries) // BLOCK)
    places = queries.repeat(len(bounds) // len(queries)) // BLOCK * (blocks + 1) + bounds // BLOCK
    counts = torch.zeros(2, blocks * (blocks + 1), dtype=torch.long, device=queries.device)
    counts[0].index_add_(0, places, bounds % BLOCK)
    counts[1].index_add_(0, places, torch.ones_like(bounds))
    inside, ending = counts.view(2, blocks, blocks + 1)
    after = ending.flip(1).cumsum(1).flip(1)[:, 1:]  # bounds in later blocks: all tokens of this one come before them
    return inside[:, :-1] + BLOCK * after


def _listed(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Return the numbers and the lists of chosen blocks of a `[blocks, blocks]` grid, as flex attention wants them."""
    counts = chosen.sum(1, dtype=torch.int32)
    order = chosen.int().argsort(dim=1, descending=True, stable=True).int()
    return counts[None, None], order[None, None]
