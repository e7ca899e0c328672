"""An engine with scripted responses, for tests of everything around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from torch import Tensor

from acereason.engines.engine import Generation, Request, Sampling, never

Script = Callable[[Request], Sequence[int]]


class ScriptedEngine:
    """An engine that answers a request with `script(request)`, cut at `max_tokens`; log-probs are 0: certain tokens.

    Attributes:
        synced, slept: number of calls of `sync` and of `sleep`.
        names: names of the weights of the last sync.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self.synced = self.slept = 0
        self.names: list[str] = []

    def generate(
        self,
        requests: Iterable[Request],
        sampling: Sampling,
        concurrency: int | None = None,
        should_stop: Callable[[], bool] = never,
    ) -> Iterator[Generation]:
        """See `Engine.generate`."""
        for request in requests:
            if should_stop():
                return
            ids = tuple(self._script(request))
            kept = ids[: sampling.max_tokens]
            yield Generation(request.id, kept, (0.0,) * len(kept), len(ids) > len(kept))

    def sync(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """See `Engine.sync`."""
        self.synced += 1
        self.names = [name for name, _ in weights]

    def sleep(self) -> None:
        """See `Engine.sleep`."""
        self.slept += 1

    def close(self) -> None:
        """See `Engine.close`."""
