"""What tokens cost to compute: as much for each one's matrix products, and more the more tokens it attends to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Cost:
    """The cost of tokens, in operations of one query that attends to one key in one layer.

    Attributes:
        token: of the matrix products of one token.
        layers: (window, number of layers with it); a window of None is a layer whose queries see everything before.
    """

    token: int = 1
    layers: tuple[tuple[int | None, int], ...] = ()

    @classmethod
    def of(cls, model: Any) -> Cost:
        """Return the cost of a Hugging Face model's tokens, from its shape.

        A token takes 2 N operations, N the weights that it is multiplied by: all but an embedding that only looks rows
        up. A query and a key take 4 q in a layer, q the width of its queries: 2 q for the product of both and 2 q for
        that of the score and the value. The token therefore counts N / 2q. Forward passes are counted; backward passes
        take about twice as much of both.
        """
        settings = model.config.get_text_config()
        width = getattr(settings, "head_dim", None) or settings.hidden_size // settings.num_attention_heads
        looked_up, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        multiplied = sum(weight.numel() for weight in model.parameters())
        multiplied -= looked_up.numel() if looked_up is not head else 0
        token = multiplied // (2 * settings.num_attention_heads * width)
        return cls(max(token, 1), tuple(Counter(_windows(settings)).items()))

    def of_first(self, tokens: Numbers) -> Numbers:
        """Return the cost of the first so many tokens of a sequence."""
        total = self.token * tokens
        for window, layers in self.layers:
            seen = tokens if window is None else np.minimum(tokens, window)
            total = total + layers * (seen * (seen + 1) // 2 + (tokens - seen) * seen)
        return total


TOKENS_ALONE = Cost()
"""The cost of tokens that attend to nothing."""


def _windows(settings: Any) -> list[int | None]:
    """Return the window of each layer: that of the config for layers that slide, or for all if it names no kinds."""
    window = getattr(settings, "sliding_window", None)
    kinds = getattr(settings, "layer_types", None)
    if kinds is None:
        return [window] * settings.num_hidden_layers
    return [window if kind == "sliding_attention" else None for kind in kinds]
