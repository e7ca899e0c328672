"""Judgements in flight and verdicts remembered: what is asked twice is judged once."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass

from acereason.problems.problem import Problem
from acereason.rewards.verifier import Verdict

REMEMBERED = 1 << 16
"""Verdicts remembered, about 20 MB: of each a digest, whatever the length of what was judged."""


@dataclass(eq=False)
class Judgement:
    """One judgement in flight.

    Attributes:
        request: the line a worker is sent; two judgements with the same line are the same.
        key: digest of that line.
        waiting: the answers, as they were given, and futures of all who asked for it.
        deaths: workers lost over it so far.
    """

    request: bytes
    key: bytes
    waiting: list[tuple[str, Future[Verdict]]]
    deaths: int = 0


class Judgements:
    """All judgements of a pool that are not settled, and the latest verdicts that came from workers.

    Attributes:
        shared: times that a verdict was given without a judgement of its own.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self.shared = 0
        self._limit = remembered
        self._in_flight: dict[bytes, Judgement] = {}
        self._known: OrderedDict[bytes, tuple[float, str]] = OrderedDict()

    def ask(self, problem: Problem, answer: str, future: Future[Verdict]) -> Judgement | None:
        """The judgement that has to be made; None when an equal one is known, or in flight and now shared."""
        request = _request(problem, answer)
        key = hashlib.blake2b(request, digest_size=16).digest()
        if known := self._known.get(key):
            self._known.move_to_end(key)
            self.shared += 1
            reward, reason = known
            future.set_result(Verdict(reward, answer, reason, 0.0))
            return None
        if judgement := self._in_flight.get(key):
            self.shared += 1
            judgement.waiting.append((answer, future))
            return None
        self._in_flight[key] = judgement = Judgement(request, key, [(answer, future)])
        return judgement

    def settle(self, judgement: Judgement, reward: float, reason: str, seconds: float) -> None:
        """Give a worker's verdict to all who wait, and remember it. The first of them gets its seconds, others 0."""
        self._known[judgement.key] = (reward, reason)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
        self._give(judgement, reward, reason, seconds)

    def fail(self, judgement: Judgement, reason: str, seconds: float = 0.0) -> None:
        """Give all who wait a 0 that no verifier came to. It is not remembered: it may be the machine's fault."""
        self._give(judgement, 0.0, reason, seconds)

    def fail_all(self, reason: str) -> None:
        """As `fail`, for everything in flight."""
        for judgement in list(self._in_flight.values()):
            self.fail(judgement, reason)

    def _give(self, judgement: Judgement, reward: float, reason: str, seconds: float) -> None:
        del self._in_flight[judgement.key]
        for answer, future in judgement.waiting:
            future.set_result(Verdict(reward, answer, reason, seconds))
            seconds = 0.0


def _request(problem: Problem, answer: str) -> bytes:
    """One line of JSON with all that the verdict depends on, and nothing else."""
    return json.dumps({"domain": problem.domain, "gold": problem.answer, "answer": answer}).encode() + b"\n"
