"""The engine interface: prompts and seeds in, finished responses streamed out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How responses are sampled.

    Attributes:
        max_tokens: longest response, in tokens.
        temperature: softmax temperature; 0 is greedy.
        top_p: nucleus; below 1 the reported log-probs are those of the renormalised nucleus.
        ignore_eos: sample on to `max_tokens`, for benchmarks with equal token counts.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    ignore_eos: bool = False


@dataclass(frozen=True)
class Request:
    """One response to be sampled from `prompt_ids`; its `seed` alone decides the randomness."""

    id: int
    prompt_ids: tuple[int, ...]
    seed: int


@dataclass(frozen=True)
class Generation:
    """One sampled response.

    Attributes:
        request_id: the id of its request.
        token_ids: response tokens, the end-of-sequence token included.
        logprobs: log-prob of each token under the distribution it was sampled from (after the temperature).
        truncated: True when `max_tokens` ended it.
    """

    request_id: int
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    truncated: bool


def never() -> bool:
    """Go on."""
    return False


class Engine(Protocol):
    """Generates with weights that it is given."""

    def generate(
        self,
        requests: Iterable[Request],
        sampling: Sampling,
        concurrency: int | None = None,
        should_stop: Callable[[], bool] = never,
    ) -> Iterator[Generation]:
        """Yields every request's response as soon as it is finished, in any order.

        Args:
            requests: asked for the next one only when there is room for it, so that engines can share what is left.
            sampling: how to sample.
            concurrency: requests in progress at most; None is as many as the engine can hold.
            should_stop: asked again and again; once it says so, no more responses come.
        """
        ...

    def sync(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Takes new weights, streamed as (Hugging Face name, whole tensor); caches of the old ones are dropped."""
        ...

    def sleep(self) -> None:
        """Gives its device memory back until it is next used."""
        ...

    def close(self) -> None:
        """Frees the engine's memory."""
        ...
