"""The engine interface: prompts and seeds in, finished responses streamed out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """The parameters that responses are sampled with.

    Attributes:
        max_tokens: longest response, in tokens.
        temperature: softmax temperature; 0 is greedy.
        top_p: nucleus; below 1 the reported log-probs are those of the renormalised nucleus.
        ignore_eos: whether to sample on to `max_tokens` after an end token, for benchmarks with equal token counts.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    ignore_eos: bool = False


@dataclass(frozen=True)
class Request:
    """A request for one response to `prompt_ids`; its `seed` alone decides the randomness."""

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
        truncated: True if `max_tokens` ended it.
    """

    request_id: int
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    truncated: bool


def never() -> bool:
    """Return False, to never stop."""
    return False


class Engine(Protocol):
    """A generator of responses, with weights that are synced into it."""

    def generate(
        self,
        requests: Iterable[Request],
        sampling: Sampling,
        concurrency: int | None = None,
        should_stop: Callable[[], bool] = never,
    ) -> Iterator[Generation]:
        """Yield the response to every request as soon as it is finished, in any order.

        Args:
            requests: the next one is drawn only when there is room for it, so that engines can share a queue.
            sampling: how to sample.
            concurrency: most requests in progress at the same time; None for as many as the engine can hold.
            should_stop: called many times during generation, which ends once it returns True.
        """
        ...

    def sync(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Take new weights, streamed as (Hugging Face name, whole tensor), and drop all caches of the old ones."""
        ...

    def sleep(self) -> None:
        """Free the device memory until the next sync; the engine may lose its weights by it."""
        ...

    def close(self) -> None:
        """Free all memory of the engine."""
        ...
