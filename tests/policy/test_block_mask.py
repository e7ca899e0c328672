"""The blocks of flex attention's mask are found without the mask itself."""

import random
from typing import Any

import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask
from torch.utils._python_dispatch import TorchDispatchMode

from acereason.planning.memory import mask_bytes
from acereason.policy.block_mask import BLOCK, block_mask
from acereason.policy.packing import PackedBatch, ResponseTokens, pack

LISTS = [f"{kind}{side}_{what}" for kind in ("", "full_") for side in "kq" for what in ("num_blocks", "indices")]
NAMES = [name.replace("k_", "kv_") for name in LISTS]


def packed(seed: int) -> PackedBatch:
    """One to five groups whose prompts and responses often begin and end at the edge of a block, or beside it."""
    draw, sequences = random.Random(seed), []
    for group in range(draw.randint(1, 5)):
        prompt = (0,) * draw.choice([1, 5, 100, 127, 128, 130, 400])
        for _ in range(draw.randint(1, 4)):
            sequences.append(
                ResponseTokens(len(sequences), group, prompt, (0,) * draw.choice([1, 3, 127, 128, 256, 500]))
            )
    return pack(sequences)


@pytest.mark.parametrize("window", [None, 1, 50, 128, 300])
def test_blocks_are_those_of_the_mask_written_out(window: int | None) -> None:
    for seed in range(8):
        batch = packed(seed)
        ours, tokens = block_mask(batch, window), len(batch.input_ids)
        theirs = create_block_mask(ours.mask_mod, None, None, tokens, tokens, device="cpu")
        assert ours.seq_lengths == theirs.seq_lengths
        for name in NAMES:
            mine, expected = getattr(ours, name), getattr(theirs, name)
            assert mine.dtype == expected.dtype
            assert torch.equal(mine, expected)
        assert torch.equal(ours.to_dense(), theirs.to_dense())


class Largest(TorchDispatchMode):
    """The most elements of any tensor that an operation returned."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


def test_no_tensor_is_larger_than_a_grid_of_blocks_or_a_few_numbers_a_token() -> None:
    batch = pack([ResponseTokens(index, 0, (0,) * 384, (0,) * 9120) for index in range(4)])
    tokens, blocks = len(batch.input_ids), 288
    assert tokens == blocks * BLOCK == 36_864
    with Largest() as largest:
        mask = block_mask(batch)
    assert largest.elements <= max(2 * blocks * (blocks + 1), 2 * tokens)
    kept = sum(tensor.numel() * tensor.element_size() for tensor in map(mask.__getattribute__, NAMES))
    assert kept == 16 * blocks * blocks + 16 * blocks
    assert kept < mask_bytes(tokens) < 11 * 2**20  # a mask written out would take 12.7 GiB while it is made
