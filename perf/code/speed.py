r"""Times judgements of small programs: ours beside LiveCodeBench's harness and beside one interpreter for each test.

    python benchmarks/code_speed.py [--peer FOLDER --peer-python .venv-lcb/bin/python] [--repeats 40] [--rounds 3]

First what one instance costs, a program with all its tests: sides take turns program by program, so that a slow spell
of the machine hits all, and every program is another text, so that nothing is remembered. The wall time is from handing
a program over to its verdict, one at a time. Beside it stands what the program itself takes when it is compiled and run
in this process, where all modules are imported. Then throughput: how many instances a second come back when many are
handed over at once and two are judged at a time, the sides in turn again. Cases:

stdin 1, stdin 10    a program that adds two numbers, with one test of standard input and output, and with ten
calls 10             a function that is called ten times
numpy 1, numpy 10    as the first two, with `import numpy` and a little array

The peer gets a process of its own that has all imported before the clock runs. The interpreter is `python -I` for each
test, its output compared as text; it stops at nothing and protects nothing. All programs are right: a verdict that is
not 1 is an error. The peer's environment:

    git clone https://github.com/LiveCodeBench/LiveCodeBench lcb
    python3.11 -m venv .venv-lcb && .venv-lcb/bin/pip install numpy tqdm
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from unittest.mock import patch

from code_programs import call_problem, stdin_problem

from acereason.config.schema import SandboxConfig
from acereason.problems.problem import Problem
from acereason.verifiers.pool.pool import VerifierPool

HERE = Path(__file__).resolve().parent
TIMEOUT_SECONDS, MEMORY_MIB = 60.0, 2048
WARM_UP = 3
OURS_MORE = 10
ADDITION = "a, b = map(int, input().split())\nprint(a + b)\n"
ARRAY = "import numpy as np\na = np.array(input().split(), dtype=np.int64)\nprint(a.sum())\n"
FUNCTION = "class Solution:\n    def add(self, xs: List[int], k: int) -> int:\n        return sum(xs) + k\n"
CALL = "\nimport json, sys\nprint(json.dumps(Solution().add(*map(json.loads, sys.stdin))))\n"


@dataclass(frozen=True)
class Case:
    """A program with its tests, in the form of LiveCodeBench."""

    name: str
    program: str
    inputs: list[str]
    outputs: list[str]
    function: str | None = None

    @property
    def problem(self) -> Problem:
        """The same for our verifier."""
        if self.function is None:
            return stdin_problem(list(zip(self.inputs, self.outputs, strict=True)))
        calls = [[json.loads(line) for line in given.split("\n")] for given in self.inputs]
        return call_problem(self.function, list(zip(calls, map(json.loads, self.outputs), strict=True)))

    @property
    def script(self) -> str:
        """The program as one that reads standard input and prints, whatever its tests are."""
        return "from typing import *\n" + self.program + CALL if self.function else self.program

    def texts(self, count: int) -> list[str]:
        """The program so many times, no two alike."""
        return [f"{self.program}# {random.getrandbits(60)}\n" for _ in range(count)]


Judge = Callable[[list[str]], list[bool]]
"""Judges programs, all of one case; as many at a time as its side was made for."""
Side = Callable[[Case], Judge]


def cases() -> list[Case]:
    """All of them."""
    pairs = [(7 * n, 1000 - n) for n in range(10)]
    inputs, outputs = [f"{a} {b}\n" for a, b in pairs], [f"{a + b}\n" for a, b in pairs]
    calls = [f"[{a}, {b}, 1]\n{b}" for a, b in pairs]
    values = [str(a + b + 1 + b) for a, b in pairs]
    return [
        Case("stdin 1", ADDITION, inputs[:1], outputs[:1]),
        Case("stdin 10", ADDITION, inputs, outputs),
        Case("calls 10", FUNCTION, calls, values, "add"),
        Case("numpy 1", ARRAY, inputs[:1], outputs[:1]),
        Case("numpy 10", ARRAY, inputs, outputs),
    ]


@contextmanager
def ours(workers: int) -> Iterator[Side]:
    """Our verifier pool, ready."""
    with VerifierPool(workers, TIMEOUT_SECONDS, MEMORY_MIB, domains=("code",), sandbox=SandboxConfig()) as pool:
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
    """One `python -I` for each test."""

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
        command = [python, str(HERE / "code_speed_peer.py"), folder]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
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
        """Judges one program after the other, or with processes so many at a time."""

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


def bare_seconds(case: Case, program: str) -> float:
    """What compiling the program and running it on all inputs takes in this process."""
    script, printed = case.script + program.removeprefix(case.program), io.StringIO()
    started = time.perf_counter()
    code = compile(script, "program.py", "exec")
    for given in case.inputs:
        with patch("sys.stdin", io.StringIO(given)), redirect_stdout(printed):
            exec(code, {"__name__": "__main__"})
    return time.perf_counter() - started


def timed(name: str, judge: Judge, programs: list[str]) -> float:
    """Wall seconds until all programs are judged.

    Raises:
        SystemExit: one of them was not judged right.
    """
    started = time.perf_counter()
    passed = judge(programs)
    seconds = time.perf_counter() - started
    if not all(passed) or len(passed) != len(programs):
        raise SystemExit(f"{name} judged {passed.count(False)} of {len(programs)} right programs wrong")
    return seconds


def spread(values: list[float], digits: int) -> str:
    """Median and quartiles."""
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def beside(kept: dict[str, list[float]]) -> str:
    """The first side's median as a part or a multiple of each other side's."""
    (_, mine), *others = kept.items()
    return ", ".join(f"{median(mine) / median(theirs):.3f} of {name}" for name, theirs in others)


def named(our_side: Side, peer: Side | None, interpreters: Side) -> dict[str, Side]:
    """The sides by their names in the tables."""
    return {"ours": our_side} | ({"LiveCodeBench": peer} if peer else {}) | {"interpreter": interpreters}


def show_head(title: str, bare: str, sides: dict[str, Side]) -> None:
    """What a table is about, and its columns."""
    print(f"\n{title}")
    print(f"{'':10}{bare:>8}" + "".join(f"{name:>26}" for name in sides))


def show_row(case: Case, bare: str, kept: dict[str, list[float]], digits: int) -> None:
    """A case: all sides, and under them how the first compares."""
    print(f"{case.name:10}{bare:>8}" + "".join(f"{spread(values, digits):>26}" for values in kept.values()))
    print(f"{'':20}{beside(kept)}", flush=True)


def report_cost(sides: dict[str, Side], repeats: int) -> None:
    """The table of what one instance costs, in milliseconds."""
    show_head(f"milliseconds an instance, one at a time: median (quartiles) of {repeats}", "bare", sides)
    for case in cases():
        judges = {name: side(case) for name, side in sides.items()}
        bare, kept = [], {name: list[float]() for name in sides}
        for program in case.texts(WARM_UP + repeats):
            bare.append(1000 * bare_seconds(case, program))
            for name, judge in judges.items():
                kept[name].append(1000 * timed(name, judge, [program]))
        show_row(case, f"{median(bare[WARM_UP:]):.2f}", {name: values[WARM_UP:] for name, values in kept.items()}, 2)


def report_throughput(sides: dict[str, Side], options: argparse.Namespace) -> None:
    """The table of instances a second."""
    title = f"instances a second, {options.workers} at a time: median (quartiles) of {options.rounds} rounds"
    show_head(title, "", sides)
    for case in cases():
        judges = {name: side(case) for name, side in sides.items()}
        kept = {name: list[float]() for name in sides}
        for _ in range(options.rounds):
            for name, judge in judges.items():
                programs = case.texts(options.programs * (OURS_MORE if name == "ours" else 1))
                kept[name].append(len(programs) / timed(name, judge, programs))
        show_row(case, "", kept, 1)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default="", help="checkout of LiveCodeBench; left out without it")
    parser.add_argument("--peer-python", default="", help="interpreter of the environment that has numpy and tqdm")
    parser.add_argument("--repeats", type=int, default=40, help="programs of each case whose cost is taken")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each case whose throughput is taken")
    parser.add_argument(
        "--programs", type=int, default=40, help=f"programs of a round; ours gets {OURS_MORE} times that"
    )
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if bool(options.peer) != bool(options.peer_python):
        parser.error("--peer and --peer-python belong together")
    if min(options.repeats, options.rounds) < 2:
        parser.error("--repeats and --rounds must be at least 2")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}")
    with Peer(options.peer, options.peer_python) if options.peer else nullcontext() as peer:
        if peer:
            print(f"LiveCodeBench: {peer.versions}")
        with ours(1) as our_side, interpreter(1) as bare_side:
            report_cost(named(our_side, peer.side(0) if peer else None, bare_side), options.repeats)
        with ours(options.workers) as our_side, interpreter(options.workers) as bare_side:
            report_throughput(named(our_side, peer.side(options.workers) if peer else None, bare_side), options)


if __name__ == "__main__":
    main()
