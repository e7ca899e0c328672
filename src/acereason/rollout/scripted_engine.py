"""An engine that says what it is told to, for tests of everything around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from torch import Tensor

from acereason.rollout.engine import Generation, Request, Sampling

Script = Callable[[Request], Sequence[int]]


class ScriptedEngine:
    """Answers each request with `script(request)`, cut at `max_tokens`; log-probs are 0, as if each token was certain.

    Attributes:
        synced: how often weights arrived.
        names: names of the weights of the last sync.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self.synced = 0
        self.names: list[str] = []

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Generation]:
        """See `Engine.generate`."""
        for request in requests:
            ids = tuple(self._script(request))
            kept = ids[: sampling.max_tokens]
            yield Generation(request.id, kept, (0.0,) * len(kept), len(ids) > len(kept))

    def sync(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """See `Engine.sync`."""
        self.synced += 1
        self.names = [name for name, _ in weights]

    def close(self) -> None:
        """See `Engine.close`."""
