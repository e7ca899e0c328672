"""The tests of a code problem as they travel to a worker: once, not with each of its programs."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass

from acereason.problems.code_tests import CodeTests
from acereason.problems.problem import Problem

SUITES_HELD = 64
"""Suites that a worker keeps, and that the pool knows it to have."""


@dataclass(frozen=True)
class Suite:
    """The tests of a problem.

    Attributes:
        key: digest; two suites with the same key give the same verdicts.
        line: the message to a worker.
    """

    key: str
    line: bytes


class WorkerSuites:
    """The suites that a worker used last, by key. Pool and worker see the same uses, so both know what it holds."""

    def __init__(self) -> None:
        self._problems: OrderedDict[str, Problem | None] = OrderedDict()

    def use(self, key: str) -> bool:
        """Note a use; return False when the suite is not held."""
        if key in self._problems:
            self._problems.move_to_end(key)
        return key in self._problems

    def add(self, key: str, problem: Problem | None = None) -> None:
        """Hold a suite, and drop the one whose last use is longest ago."""
        self._problems[key] = problem
        if len(self._problems) > SUITES_HELD:
            self._problems.popitem(last=False)

    def problem(self, key: str) -> Problem:
        """Return the problem of a suite, for the worker."""
        self._problems.move_to_end(key)
        problem = self._problems[key]
        assert problem
        return problem


class SuiteCache:
    """The suites of the latest problems; making one costs as much as hashing its tests."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[Problem, Suite]] = OrderedDict()

    def suite(self, problem: Problem) -> Suite:
        """Return the suite of a problem."""
        known = self._known.get(id(problem))
        if known is None:
            known = (problem, make_suite(problem))
            self._known[id(problem)] = known
            if len(self._known) > SUITES_HELD:
                self._known.popitem(last=False)
        return known[1]


def make_suite(problem: Problem) -> Suite:
    """Return all that a verdict on this problem's programs depends on, besides the program."""
    suite = {
        "tests": base64.b64encode(problem.tests.packed).decode(),
        "check": problem.check,
        "prelude": problem.prelude,
        "entry_point": problem.entry_point,
        "time_limit_seconds": problem.time_limit_seconds,
    }
    text = json.dumps(suite)
    key = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return Suite(key, json.dumps({"suite": key, **suite}).encode() + b"\n")


def read_suite(message: dict[str, str | float | None]) -> Problem:
    """Return the problem of a suite's line, without its question."""
    fields = {name: message[name] for name in ("check", "prelude", "entry_point", "time_limit_seconds")}
    tests = CodeTests(base64.b64decode(str(message["tests"])))
    return Problem(str(message["suite"]), "code", "", tests=tests, **fields)  # type: ignore[arg-type]
