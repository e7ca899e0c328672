"""Flex attention's mask: the same blocks as torch finds, in the memory that the plan says."""

from __future__ import annotations

from collections.abc import Iterator

from acereason.doctor.attention import ROWS, row, whole_mask
from acereason.doctor.finding import Context, Finding, finding
from acereason.doctor.gpu import device

LONG = ((384, (9120,) * 4),)
"""36,864 tokens."""


def block_masks(context: Context) -> Iterator[Finding]:
    """Compare the blocks of a short row, and measure a mask: of 36,864 tokens on a GPU, of the short row elsewhere."""
    import torch

    from acereason.planning.memory import mask_bytes
    from acereason.policy.block_mask import BLOCK, block_mask

    where = device()
    batch = row(ROWS["several blocks"]).to(where)
    tokens = len(batch.input_ids)
    blocks = -(-tokens // BLOCK)
    padded = torch.zeros(blocks * BLOCK, blocks * BLOCK, dtype=torch.bool, device=where)
    padded[:tokens, :tokens] = whole_mask(batch)
    expected = padded.view(blocks, BLOCK, blocks, BLOCK).any(3).any(1)
    same = bool((block_mask(batch).to_dense()[0, 0].bool() == expected).all())
    seen = "those" if same else "others"
    fix = "report it with output=FILE"
    yield finding("blocks", f"those of the mask written out, at {tokens} tokens", seen, same, fix)
    if where.type == "cuda":
        batch = row(LONG).to(where)
        tokens = len(batch.input_ids)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        mask = block_mask(batch)
        used = torch.cuda.max_memory_allocated() - before
    else:
        mask = block_mask(batch)
        used = sum(value.nbytes for value in vars(mask).values() if isinstance(value, torch.Tensor))
    planned = mask_bytes(tokens)
    text = f"at most {planned / 2**10:,.0f} KiB at {tokens:,} tokens, as planned"
    yield finding(
        "memory", text, f"{used / 2**10:,.1f} KiB", used <= 1.1 * planned, "a smaller model.micro_batch_tokens"
    )
