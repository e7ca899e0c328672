r"""Time judgements of small programs: ours beside LiveCodeBench's harness and beside one interpreter for each test.

    python -m perf.code.speed [--peer FOLDER --peer-python .venv-lcb/bin/python] [--repeats 40] [--rounds 3]

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
import time
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from statistics import median, quantiles
from unittest.mock import patch

from perf.code.harnesses import Case, Judge, Peer, Side, cases, interpreter, ours
from perf.script import command_line, start
from perf.tables import Table

WARM_UP = 3
OURS_MORE = 10


def bare_seconds(case: Case, program: str) -> float:
    """Return what compiling the program and running it on all inputs takes in this process."""
    script, printed = case.script + program.removeprefix(case.program), io.StringIO()
    started = time.perf_counter()
    code = compile(script, "program.py", "exec")
    for given in case.inputs:
        with patch("sys.stdin", io.StringIO(given)), redirect_stdout(printed):
            exec(code, {"__name__": "__main__"})
    return time.perf_counter() - started


def timed(name: str, judge: Judge, programs: list[str]) -> float:
    """Return the wall seconds until all programs are judged.

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
    """Return median and quartiles."""
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def ratios(kept: dict[str, list[float]]) -> list[str]:
    """Return the first side's median over each other side's."""
    (_, mine), *others = kept.items()
    return [f"{median(mine) / median(theirs):.3f}" for _, theirs in others]


def named(our_side: Side, peer: Side | None, interpreters: Side) -> dict[str, Side]:
    """Return the sides by their names in the tables."""
    return {"ours": our_side} | ({"LiveCodeBench": peer} if peer else {}) | {"interpreter": interpreters}


def headings(sides: dict[str, Side]) -> list[str]:
    """Return the columns of all sides, and of ours compared with each other one."""
    return [*(f"{name:>26}" for name in sides), *(f"ours / {name}" for name in sides if name != "ours")]


def report_cost(sides: dict[str, Side], options: argparse.Namespace) -> None:
    """Print what one instance costs, in milliseconds."""
    title = f"milliseconds an instance, one at a time: median (quartiles) of {options.repeats}"
    table = Table(title, "bare", *headings(sides), first=10)
    for case in options.cases:
        judges = {name: side(case) for name, side in sides.items()}
        bare, kept = [], {name: list[float]() for name in sides}
        for program in case.texts(WARM_UP + options.repeats):
            bare.append(1000 * bare_seconds(case, program))
            for name, judge in judges.items():
                kept[name].append(1000 * timed(name, judge, [program]))
        kept = {name: values[WARM_UP:] for name, values in kept.items()}
        spreads = [spread(values, 2) for values in kept.values()]
        table.row(case.name, f"{median(bare[WARM_UP:]):.2f}", *spreads, *ratios(kept))


def report_throughput(sides: dict[str, Side], options: argparse.Namespace) -> None:
    """Print how many instances come back in a second."""
    title = f"instances a second, {options.workers} at a time: median (quartiles) of {options.rounds} rounds"
    table = Table(title, *headings(sides), first=10)
    for case in options.cases:
        judges = {name: side(case) for name, side in sides.items()}
        kept = {name: list[float]() for name in sides}
        for _ in range(options.rounds):
            for name, judge in judges.items():
                programs = case.texts(options.programs * (OURS_MORE if name == "ours" else 1))
                kept[name].append(len(programs) / timed(name, judge, programs))
        table.row(case.name, *(spread(values, 1) for values in kept.values()), *ratios(kept))


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run."""
    return ["--cases", "stdin 1", "calls 10", "numpy 1", "--repeats", "2", "--rounds", "2", "--programs", "1"]


def main(words: Sequence[str]) -> None:
    """Measure and print."""
    parser = command_line(__doc__)
    parser.add_argument("--peer", default="", help="checkout of LiveCodeBench; left out without it")
    parser.add_argument("--peer-python", default="", help="interpreter of the environment that has numpy and tqdm")
    parser.add_argument("--repeats", type=int, default=40, help="programs of each case whose cost is taken")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each case whose throughput is taken")
    parser.add_argument(
        "--programs", type=int, default=40, help=f"programs of a round; ours gets {OURS_MORE} times that"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cases", nargs="+", choices=cases(), default=list(cases()), help="names of cases to run")
    options = parser.parse_args(words)
    options.cases = [cases()[name] for name in options.cases]
    if bool(options.peer) != bool(options.peer_python):
        parser.error("--peer and --peer-python belong together")
    if min(options.repeats, options.rounds) < 2:
        parser.error("--repeats and --rounds must be at least 2")
    with Peer(options.peer, options.peer_python) if options.peer else nullcontext() as peer:
        print(f"LiveCodeBench: {peer.versions if peer else 'missing, left out; --peer names a checkout'}")
        with ours(1) as our_side, interpreter(1) as bare_side:
            report_cost(named(our_side, peer.side(0) if peer else None, bare_side), options)
        with ours(options.workers) as our_side, interpreter(options.workers) as bare_side:
            report_throughput(named(our_side, peer.side(options.workers) if peer else None, bare_side), options)


if __name__ == "__main__":
    start(main, smallest)
