"""Judgements in flight and verdicts remembered: equal questions are judged once."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass

from acereason.problems.problem import Domain, Problem
from acereason.verifiers.pool.suites import Suite, SuiteCache
from acereason.verifiers.verifier import Verdict

REMEMBERED = 1 << 16
"""Verdicts remembered, about 20 MB: only a digest is kept of each question."""

_MAY_BE_THE_MACHINE = frozenset({"timeout", "memory", "crashed"})


@dataclass(eq=False)
class Judgement:
    """One judgement in flight.

    Attributes:
        request: the message to a worker; two judgements with the same request are the same.
        key: digest of the request.
        domain: domain of the problem.
        suite: tests that the worker needs as well; None for math.
        waiting: the answers, as they were given, and the futures of all who asked for it.
        time_limit_seconds: limit of one test of the problem; 0 where the problem sets none.
        deaths: workers lost over it so far.
    """

    request: bytes
    key: bytes
    domain: Domain
    suite: Suite | None
    waiting: list[tuple[str, Future[Verdict]]]
    time_limit_seconds: float = 0.0
    deaths: int = 0


class VerdictCache:
    """All judgements of a pool that are not settled, and the latest verdicts that came from workers.

    Attributes:
        shared: verdicts given so far without a judgement of their own.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self.shared = 0
        self._limit = remembered
        self._in_flight: dict[bytes, Judgement] = {}
        self._known: OrderedDict[bytes, tuple[float, str, int | None]] = OrderedDict()
        self._suites = SuiteCache()

    def ask(self, problem: Problem, answer: str, future: Future[Verdict]) -> Judgement | None:
        """Return the judgement that has to be made; None when an equal one is known, or in flight and now shared."""
        suite = self._suites.suite(problem) if problem.domain == "code" else None
        request = _request(problem, answer, suite)
        key = hashlib.blake2b(request, digest_size=16).digest()
        if known := self._known.get(key):
            self._known.move_to_end(key)
            self.shared += 1
            reward, reason, failing_test = known
            future.set_result(Verdict(reward, answer, reason, 0.0, failing_test))
            return None
        if judgement := self._in_flight.get(key):
            self.shared += 1
            judgement.waiting.append((answer, future))
            return None
        limit = problem.time_limit_seconds or 0.0
        self._in_flight[key] = judgement = Judgement(request, key, problem.domain, suite, [(answer, future)], limit)
        return judgement

    def settle(
        self, judgement: Judgement, reward: float, reason: str, seconds: float, failing_test: int | None = None
    ) -> None:
        """Give a worker's verdict to all who wait, and remember it. The first of them gets its seconds, others 0.

        A verdict over a limit of time or memory is not remembered: the machine may have been busy.
        """
        if reason not in _MAY_BE_THE_MACHINE:
            self._known[judgement.key] = (reward, reason, failing_test)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
        self._give(judgement, reward, reason, seconds, failing_test)

    def fail(self, judgement: Judgement, reason: str, seconds: float = 0.0) -> None:
        """Give all who wait a 0 that no verifier decided. It is not remembered: it may be the machine's fault."""
        self._give(judgement, 0.0, reason, seconds)

    def fail_all(self, reason: str) -> None:
        """Fail everything in flight."""
        for judgement in list(self._in_flight.values()):
            self.fail(judgement, reason)

    def _give(
        self, judgement: Judgement, reward: float, reason: str, seconds: float, failing_test: int | None = None
    ) -> None:
        del self._in_flight[judgement.key]
        for answer, future in judgement.waiting:
            future.set_result(Verdict(reward, answer, reason, seconds, failing_test))
            seconds = 0.0


def _request(problem: Problem, answer: str, suite: Suite | None) -> bytes:
    """Return one line of JSON with all that the verdict depends on, and nothing else."""
    gold = suite.key if suite else problem.answer
    return json.dumps({"domain": problem.domain, "gold": gold, "answer": answer}).encode() + b"\n"
