"""Attention over a packed row, for any Hugging Face model that takes an attention function.

On GPUs it is flex attention with a block mask. On the CPU, where flex attention has no backward pass, the row is split
into buckets of responses of similar length, and each bucket is one dense attention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence
from transformers import AttentionInterface

from acereason.policy.packing import PROMPT, PackedBatch

NAME = "acereason_packed"
BUCKET = 32


@dataclass(frozen=True)
class Bucket:
    """Rows of queries of similar length, attended in one call.

    Attributes:
        queries: `[rows, q]`, index in the packed row of each query; padding repeats index 0.
        keys: `[rows, k]`, the same for keys and values.
        mask: `[rows, 1, q, k]`, True where a query may attend; None for plain causal attention.
    """

    queries: Tensor
    keys: Tensor
    mask: Tensor | None


@dataclass(frozen=True)
class BucketPlan:
    """The buckets of a packed row on the CPU, and the index of each token's output in them (`inverse`)."""

    buckets: list[Bucket]
    inverse: Tensor


def bucket_plan(batch: PackedBatch) -> BucketPlan:
    """Make buckets of at most `BUCKET` rows for prompts and, sorted by length, for responses."""
    spans = _spans(batch)
    prompts = [span for span in spans if span[3] == PROMPT]
    prompt_of = {segment: (start, end) for start, end, segment, _ in prompts}
    responses = sorted((span for span in spans if span[3] != PROMPT), key=lambda s: (s[1] - s[0], s[2]))
    buckets, places = [], []
    for rows in _chunks(sorted(prompts, key=lambda s: s[1] - s[0])):
        spans_of = [torch.arange(start, end) for start, end, _, _ in rows]
        buckets.append(Bucket(_padded(spans_of), _padded(spans_of), None))
        places.append(_padded(spans_of, -1))
    for rows in _chunks(responses):
        own = [torch.arange(start, end) for start, end, _, _ in rows]
        context = [torch.arange(*prompt_of[segment]) for _, _, segment, _ in rows]
        buckets.append(_response_bucket(own, context))
        places.append(_padded(own, -1))
    flat = torch.cat([place.flatten() for place in places])
    inverse = torch.empty(len(batch.input_ids), dtype=torch.long)
    inverse[flat[flat >= 0]] = torch.arange(len(flat))[flat >= 0]
    return BucketPlan(buckets, inverse)


def _spans(batch: PackedBatch) -> list[tuple[int, int, int, int]]:
    """Return (start, end, segment, response) of each prompt and response, in the order of the row."""
    change = (batch.segments.diff() != 0) | (batch.responses.diff() != 0)
    starts = [0, *(torch.nonzero(change).flatten() + 1).tolist()]
    ends = [*starts[1:], len(batch.input_ids)]
    return [
        (start, end, int(batch.segments[start]), int(batch.responses[start]))
        for start, end in zip(starts, ends, strict=True)
    ]


def _chunks(rows: list[Any]) -> list[list[Any]]:
    return [rows[i : i + BUCKET] for i in range(0, len(rows), BUCKET)]


def _padded(rows: list[Tensor], value: int = 0) -> Tensor:
    return pad_sequence(rows, batch_first=True, padding_value=value)


def _response_bucket(own: list[Tensor], context: list[Tensor]) -> Bucket:
    """Make a bucket of responses; its keys are the prompt, padded to the longest one, then the response itself."""
    prompt, response = _padded(context), _padded(own)
    real = torch.arange(prompt.shape[1]) < torch.tensor([len(c) for c in context])[:, None]
    length = response.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool).tril().expand(len(own), -1, -1)
    mask = torch.cat([real[:, None, :].expand(-1, length, -1), causal], dim=2)
    return Bucket(response, torch.cat([prompt, response], dim=1), mask[:, None])


def _bucketed(query: Tensor, key: Tensor, value: Tensor, scaling: float, plan: BucketPlan) -> Tensor:
    """Attend bucket by bucket: `query [tokens, heads, d]`, `key`, `value [tokens, kv heads, d]` to `query`'s shape."""
    repeats = query.shape[1] // key.shape[1]
    outputs = []
    for bucket in plan.buckets:
        q = query[bucket.queries].transpose(1, 2)
        k = key[bucket.keys].repeat_interleave(repeats, dim=2).transpose(1, 2)
        v = value[bucket.keys].repeat_interleave(repeats, dim=2).transpose(1, 2)
        out = scaled_dot_product_attention(q, k, v, attn_mask=bucket.mask, is_causal=bucket.mask is None, scale=scaling)
        outputs.append(out.transpose(1, 2).flatten(0, 1))
    return torch.cat(outputs)[plan.inverse]


def block_mask(batch: PackedBatch) -> Any:
    """Make flex attention's mask of a packed row: a token's own prompt and own response, nothing later."""
    from torch.nn.attention.flex_attention import create_block_mask

    segments, responses, positions = batch.segments, batch.responses, batch.positions

    def may_attend(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        own = (responses[k] == PROMPT) | (responses[k] == responses[q])
        return (segments[q] == segments[k]) & own & (positions[k] <= positions[q])

    tokens = len(batch.input_ids)
    return create_block_mask(may_attend, None, None, tokens, tokens, device=batch.input_ids.device)


def plan_attention(batch: PackedBatch) -> Any:
    """Compute what the attention function needs for this micro-batch, once for all layers."""
    return bucket_plan(batch) if batch.input_ids.device.type == "cpu" else block_mask(batch)


@cache
def _compiled_flex_attention() -> Callable[..., Tensor]:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=True)


def packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    scaling: float,
    packing_plan: Any,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend, with Hugging Face's signature: `query [1, heads, tokens, d]` to `[1, tokens, heads, d]`."""
    if isinstance(packing_plan, BucketPlan):
        query, key, value = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
        return _bucketed(query, key, value, scaling, packing_plan)[None], None
    attend = _compiled_flex_attention() if query.is_cuda else _flex_attention_eager()
    out = attend(query, key, value, block_mask=packing_plan, scale=scaling, enable_gqa=True)
    return out.transpose(1, 2), None


def _flex_attention_eager() -> Callable[..., Any]:
    from torch.nn.attention.flex_attention import flex_attention

    return flex_attention


AttentionInterface.register(NAME, packed_attention)
