"""Packed attention against torch's own on the whole mask, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from acereason.doctor.finding import Context, Finding, finding
from acereason.doctor.gpu import device

if TYPE_CHECKING:
    import torch

    from acereason.policy.packing import PackedBatch

HEADS = ((28, 4), (40, 8))
"""Query heads and key heads of the 7B and the 14B policy."""
ROWS = {"several blocks": ((200, (90, 300, 17)), (33, (128, 250))), "one block": ((20, (30, 40)),)}
"""Rows of tokens: for each group the length of its prompt and those of its responses."""
FIX = "report it with output=FILE: the policy would learn from wrong attention"


def against_sdpa(context: Context) -> Iterator[Finding]:
    """Compare what the update of this machine uses; on the CPU flex attention's forward pass as well."""
    import torch

    from acereason.policy.attention import FlexPlan, plan_attention

    where = device()
    gpu = where.type == "cuda"
    dtype, width, bound = (torch.bfloat16, 128, 2e-2) if gpu else (torch.float32, 16, 1e-4)
    for heads in HEADS:
        for name, groups in ROWS.items():
            batch = row(groups).to(where)
            errors = [relative_error(batch, plan_attention(batch), heads, width, dtype, True)]
            if not gpu:
                errors.append(relative_error(batch, FlexPlan(batch), heads, width, dtype, False))
            seen = f"{max(errors):.1e} ({'flex attention' if gpu else 'buckets, and flex attention without gradients'})"
            expected = f"output and gradients as SDPA's in float32, relative error below {bound:g}"
            yield finding(f"heads {heads[0]}/{heads[1]}, {name}", expected, seen, max(errors) < bound, FIX)


def row(groups: tuple[tuple[int, tuple[int, ...]], ...]) -> PackedBatch:
    """Return a packed row of groups, each the length of its prompt and those of its responses."""
    from acereason.policy.packing import ResponseTokens, pack

    return pack(
        [
            ResponseTokens(number, group, (5,) * prompt, (6,) * length)
            for group, (prompt, lengths) in enumerate(groups)
            for number, length in enumerate(lengths)
        ]
    )


def relative_error(
    batch: PackedBatch, plan: Any, heads: tuple[int, int], width: int, dtype: torch.dtype, backward: bool
) -> float:
    """Return the largest relative error of output and, if `backward`, of the gradients of queries, keys and values."""
    import torch

    from acereason.policy.attention import packed_attention

    torch.manual_seed(0)
    tokens, where = len(batch.input_ids), batch.input_ids.device
    shapes = [(1, count, tokens, width) for count in (heads[0], heads[1], heads[1])]
    exact = [torch.randn(shape, device=where).to(dtype).float().requires_grad_(backward) for shape in shapes]
    ours = [tensor.detach().to(dtype).requires_grad_(backward) for tensor in exact]
    scale = width**-0.5
    (query, key, value), mask = exact, whole_mask(batch)
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, mask, scale=scale, enable_gqa=True)
    expected = expected.transpose(1, 2)
    with torch.set_grad_enabled(backward):
        found, _ = packed_attention(None, ours[0], ours[1], ours[2], None, scale, plan)
    pairs = [(found, expected)]
    if backward:
        weight = torch.randn_like(expected)
        expected.backward(weight)
        found.backward(weight.to(dtype))
        pairs += [(mine.grad, theirs.grad) for mine, theirs in zip(ours, exact, strict=True)]  # type: ignore[misc]
    return max(((mine.float() - theirs).norm() / theirs.norm()).item() for mine, theirs in pairs)


def whole_mask(batch: PackedBatch) -> torch.Tensor:
    """Return `[tokens, tokens]`, True where a query may attend: the definition, written out."""
    same = batch.segments[:, None] == batch.segments[None, :]
    own = (batch.responses[None, :] == -1) | (batch.responses[None, :] == batch.responses[:, None])
    return same & own & (batch.positions[None, :] <= batch.positions[:, None])
