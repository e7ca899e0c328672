"""Cases of `speed.py`, and what judges them: our verifier, one interpreter for each test, LiveCodeBench's harness."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acereason.problems.problem import Problem
from perf.code.programs import call_problem, stdin_problem
from perf.pools import code_pool
from perf.script import ROOT

ADDITION = "a, b = map(int, input().split())\nprint(a + b)\n"
ARRAY = "import numpy as np\na = np.array(input().split(), dtype=np.int64)\nprint(a.sum())\n"
FUNCTION = "class Solution:\n    def add(self, xs: List[int], k: int) -> int:\n        return sum(xs) + k\n"
CALL = "\nimport json, sys\nprint(json.dumps(Solution().add(*map(json.loads, sys.stdin))))\n"


@dataclass(frozen=True)
class Case:
    """A program with its tests, in the form of LiveCodeBench.

    Attributes:
        name: in the tables.
        program: source; right.
        inputs, outputs: of its tests, as text.
        function: the method to call; None for standard input and output.
    """

    name: str
    program: str
    inputs: list[str]
    outputs: list[str]
    function: str | None = None

    @property
    def problem(self) -> Problem:
        """The problem as our verifier takes it."""
        if self.function is None:
            return stdin_problem(list(zip(self.inputs, self.outputs, strict=True)))
        calls = [[json.loads(line) for line in given.split("\n")] for given in self.inputs]
        return call_problem(self.function, list(zip(calls, map(json.loads, self.outputs), strict=True)))

    @property
    def script(self) -> str:
        """The source of a program that reads standard input and prints, whatever its tests are."""
        return "from typing import *\n" + self.program + CALL if self.function else self.program

    def texts(self, count: int) -> list[str]:
        """Return the program so many times, no two alike."""
        return [f"{self.program}# {random.getrandbits(60)}\n" for _ in range(count)]


Judge = Callable[[list[str]], list[bool]]
"""Judges programs, all of one case; as many at a time as its side was made for."""
Side = Callable[[Case], Judge]


def cases() -> dict[str, Case]:
    """Return all of them by name."""
    pairs = [(7 * n, 1000 - n) for n in range(10)]
    inputs, outputs = [f"{a} {b}\n" for a, b in pairs], [f"{a + b}\n" for a, b in pairs]
    calls = [f"[{a}, {b}, 1]\n{b}" for a, b in pairs]
    values = [str(a + b + 1 + b) for a, b in pairs]
    every = (
        Case("stdin 1", ADDITION, inputs[:1], outputs[:1]),
        Case("stdin 10", ADDITION, inputs, outputs),
        Case("calls 10", FUNCTION, calls, values, "add"),
        Case("numpy 1", ARRAY, inputs[:1], outputs[:1]),
        Case("numpy 10", ARRAY, inputs, outputs),
    )
    return {case.name: case for case in every}


@contextmanager
def ours(workers: int) -> Iterator[Side]:
    """Start our verifier pool."""
    with code_pool(workers) as pool:
        pool.wait_ready()

        def of_case(case: Case) -> Judge:
            problem = case.problem

            def judge(programs: list[str]) -> list[bool]:
                futures = [pool.submit_answer(problem, program) for program in programs]
                return [future.result().reward == 1 for future in futures]

            return judge

        yield of_case


@contextmanager
def interpreter(workers: int) -> Iterator[Side]:
    """Run one `python -I` for each test."""

    def passes(case: Case, program: str) -> bool:
        script = case.script + program.removeprefix(case.program)
        for given, wanted in zip(case.inputs, case.outputs, strict=True):
            done = subprocess.run([sys.executable, "-I", "-c", script], input=given, capture_output=True, text=True)
            if done.stdout.split() != wanted.split():
                return False
        return True

    with ThreadPoolExecutor(workers) as threads:
        yield lambda case: lambda programs: list(threads.map(lambda program: passes(case, program), programs))


class Peer:
    """LiveCodeBench's harness in a process of its own. Use it as a context manager."""

    def __init__(self, folder: str, python: str) -> None:
        command = [python, "-m", "perf.code.livecodebench_side", str(Path(folder).resolve())]
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=nowhere, text=True)
        self.versions = self._reply().get("with")
        if not self.versions:
            raise SystemExit(f"the peer did not start: {' '.join(command)}")

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def side(self, processes: int) -> Side:
        """Return a side that judges one program after the other, or with processes so many at a time."""

        def of_case(case: Case) -> Judge:
            sample = {"inputs": case.inputs, "outputs": case.outputs, "fn_name": case.function}
            return lambda programs: self._ask({"sample": sample, "programs": programs, "processes": processes})

        return of_case

    def _ask(self, request: dict[str, Any]) -> list[bool]:
        assert self._process.stdin
        print(json.dumps(request), file=self._process.stdin, flush=True)
        passed: list[bool] = self._reply()["passed"]
        return passed

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout
        reply: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        return reply
