"""Attention over a packed row, for any Hugging Face model that takes an attention function.

On GPUs it is flex attention with a block mask. On the CPU, where flex attention has no backward pass, the row is split
into buckets of responses of similar length, and each bucket is one dense attention.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence
from transformers import AttentionInterface

from acereason.policy.block_mask import block_mask
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
        distances: `[rows, q, 1]` and `[rows, 1, k]`, positions of queries and keys, for sliding windows.
    """

    queries: Tensor
    keys: Tensor
    mask: Tensor | None
    distances: tuple[Tensor, Tensor]

    def windowed(self, window: int) -> Tensor:
        """Return the mask of a layer whose queries see `window` tokens: themselves and those right before them."""
        queries, keys = self.distances
        mask = self.mask if self.mask is not None else _causal(queries.shape[1])
        return mask & (queries - keys < window)[:, None]


@dataclass(frozen=True)
class BucketPlan:
    """The buckets of a packed row on the CPU, and the index of each token's output in them (`inverse`)."""

    buckets: list[Bucket]
    inverse: Tensor
    windows: dict[int, list[Tensor]] = field(default_factory=dict)

    def masks(self, window: int | None) -> Sequence[Tensor | None]:
        """Return the mask of each bucket; those of a sliding window are computed once for all layers that have it."""
        if window is None:
            return [bucket.mask for bucket in self.buckets]
        if window not in self.windows:
            self.windows[window] = [bucket.windowed(window) for bucket in self.buckets]
        return self.windows[window]


def bucket_plan(batch: PackedBatch) -> BucketPlan:
    """Make buckets of at most `BUCKET` rows for prompts and, sorted by length, for responses."""
    spans = _spans(batch)
    prompts = [span for span in spans if span[3] == PROMPT]
    prompt_of = {segment: (start, end) for start, end, segment, _ in prompts}
    responses = sorted((span for span in spans if span[3] != PROMPT), key=lambda s: (s[1] - s[0], s[2]))
    buckets, places = [], []
    for rows in _chunks(sorted(prompts, key=lambda s: s[1] - s[0])):
        spans_of = [torch.arange(start, end) for start, end, _, _ in rows]
        prompt = _padded(spans_of)
        buckets.append(Bucket(prompt, prompt, None, _positions(batch, prompt, prompt)))
        places.append(_padded(spans_of, -1))
    for rows in _chunks(responses):
        own = [torch.arange(start, end) for start, end, _, _ in rows]
        context = [torch.arange(*prompt_of[segment]) for _, _, segment, _ in rows]
        buckets.append(_response_bucket(batch, own, context))
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


def _causal(length: int) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool).tril()


def _positions(batch: PackedBatch, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    return batch.positions[queries][:, :, None], batch.positions[keys][:, None, :]


def _response_bucket(batch: PackedBatch, own: list[Tensor], context: list[Tensor]) -> Bucket:
    """Make a bucket of responses; its keys are the prompt, padded to the longest one, then the response itself."""
    prompt, response = _padded(context), _padded(own)
    real = torch.arange(prompt.shape[1]) < torch.tensor([len(c) for c in context])[:, None]
    length = response.shape[1]
    causal = _causal(length).expand(len(own), -1, -1)
    mask = torch.cat([real[:, None, :].expand(-1, length, -1), causal], dim=2)
    keys = torch.cat([prompt, response], dim=1)
    return Bucket(response, keys, mask[:, None], _positions(batch, response, keys))


def _bucketed(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scaling: float,
    plan: BucketPlan,
    window: int | None,
    softcap: float | None,
) -> Tensor:
    """Attend bucket by bucket: `query [tokens, heads, d]`, `key`, `value [tokens, kv heads, d]` to `query`'s shape."""
    repeats = query.shape[1] // key.shape[1]
    outputs = []
    for bucket, mask in zip(plan.buckets, plan.masks(window), strict=True):
        q = query[bucket.queries].transpose(1, 2)
        k = key[bucket.keys].repeat_interleave(repeats, dim=2).transpose(1, 2)
        v = value[bucket.keys].repeat_interleave(repeats, dim=2).transpose(1, 2)
        if softcap is None:
            out = scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, scale=scaling)
        else:
            out = _capped_attention(q, k, v, _causal(q.shape[2]) if mask is None else mask, scaling, softcap)
        outputs.append(out.transpose(1, 2).flatten(0, 1))
    return torch.cat(outputs)[plan.inverse]


def _capped_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scaling: float, softcap: float) -> Tensor:
    """Attend with scores that approach ±`softcap` smoothly (Gemma 2, arXiv:2408.00118, §2), which SDPA cannot."""
    scores = softcap * torch.tanh(q.float() @ k.float().transpose(-2, -1) * (scaling / softcap))
    return torch.softmax(scores.masked_fill(~mask, -torch.inf), dim=-1).to(v.dtype) @ v


@dataclass(frozen=True)
class FlexPlan:
    """The block masks of a packed row for flex attention, one for each width of window."""

    batch: PackedBatch
    masks: dict[int | None, Any] = field(default_factory=dict)

    def mask(self, window: int | None) -> Any:
        """Return the mask of layers with this window, computed once for all of them."""
        if window not in self.masks:
            self.masks[window] = block_mask(self.batch, window)
        return self.masks[window]


def plan_attention(batch: PackedBatch) -> BucketPlan | FlexPlan:
    """Compute what the attention function needs for this micro-batch, once for all layers."""
    return bucket_plan(batch) if batch.input_ids.device.type == "cpu" else FlexPlan(batch)


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
    packing_plan: BucketPlan | FlexPlan,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend, with Hugging Face's signature: `query [1, heads, tokens, d]` to `[1, tokens, heads, d]`.

    Args:
        module, query, key, value, attention_mask, scaling, kwargs: as `transformers` passes them.
        packing_plan: the result of `plan_attention`.
        sliding_window: of the layer, tokens: a query sees itself and the tokens right before it, so many in all.
        softcap: bound that the scores approach smoothly; None if they have none.
    """
    if isinstance(packing_plan, BucketPlan):
        query, key, value = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
        return _bucketed(query, key, value, scaling, packing_plan, sliding_window, softcap)[None], None
    attend = _compiled_flex_attention() if query.is_cuda else _flex_attention_eager()
    mask, score_mod = packing_plan.mask(sliding_window), None if softcap is None else _cap_scores(softcap)
    out = attend(query, key, value, score_mod=score_mod, block_mask=mask, scale=scaling, enable_gqa=True)
    return out.transpose(1, 2), None


@cache
def _cap_scores(softcap: float) -> Callable[..., Tensor]:
    """Return flex attention's `score_mod` of a soft cap, always the same one: each would be compiled anew."""

    def capped(score: Tensor, b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return softcap * torch.tanh(score / softcap)

    return capped


def _flex_attention_eager() -> Callable[..., Any]:
    from torch.nn.attention.flex_attention import flex_attention

    return flex_attention


AttentionInterface.register(NAME, packed_attention)
