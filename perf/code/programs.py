"""Small programs with known verdicts and their problems, for the scripts about the code verifier."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from acereason.problems.code_tests import CodeTests
from acereason.problems.problem import CodeTest, Problem
from acereason.verifiers.verifier import Verdict


@dataclass(frozen=True)
class Item:
    """A program and what is known of its verdict.

    Attributes:
        problem: what it is to be judged by.
        program: its source.
        kind: what it does, for the report.
        reasons: the verdict must have one of these reasons; none of them: it may have any.
    """

    problem: Problem
    program: str
    kind: str
    reasons: tuple[str, ...]

    def is_right(self, verdict: Verdict) -> bool:
        """Return whether the verdict is one that the program may get."""
        said = verdict.reason in self.reasons if self.reasons else True
        return said and verdict.reward == float(verdict.reason == "passed")


def stdin_problem(tests: list[tuple[str, str]], limit: float | None = None) -> Problem:
    """Return a problem of standard input and output; the limit is that of a test, in seconds."""
    packed = CodeTests.pack([CodeTest(given, wanted) for given, wanted in tests])
    return Problem("stdin", "code", "", tests=packed, time_limit_seconds=limit)


def call_problem(name: str, tests: list[tuple[list[Any], Any]], limit: float | None = None) -> Problem:
    """Return a problem that calls the function of this name with arguments and compares what it returns."""
    packed = CodeTests.pack([CodeTest(arguments, value) for arguments, value in tests])
    return Problem("call", "code", "", tests=packed, entry_point=name, time_limit_seconds=limit)


def sums(draw: random.Random, off: int) -> tuple[Problem, str]:
    """Have two numbers from standard input added."""
    pairs = [(draw.randrange(1000), draw.randrange(1000)) for _ in range(3)]
    problem = stdin_problem([(f"{a} {b}\n", f"{a + b}\n") for a, b in pairs])
    return problem, f"a, b = map(int, input().split())\nprint(a + b + {off})\n"


def sorted_lines(draw: random.Random, off: int) -> tuple[Problem, str]:
    """Have all lines of standard input sorted."""
    lines = [str(draw.randrange(10, 100)) for _ in range(20)]
    problem = stdin_problem([("\n".join(lines), "\n".join(sorted(lines)))])
    return problem, f"import sys\nprint(*sorted(sys.stdin.read().split())[{off}:], sep='\\n')\n"


def multiples(draw: random.Random, off: int) -> tuple[Problem, str]:
    """Have a function of a list and a number called."""
    tests: list[tuple[list[Any], Any]] = []
    for factor in range(2, 5):
        xs = [draw.randrange(100) for _ in range(5)]
        tests.append(([xs, factor], [factor * x for x in xs]))
    return call_problem("multiples", tests), f"def multiples(xs, k):\n    return [k * x + {off} for x in xs]\n"


def letters(draw: random.Random, off: int) -> tuple[Problem, str]:
    """Have a method of `Solution` called that returns a mapping, with names that it does not import."""
    text = "".join(draw.choices("abcdef", k=12))
    counts = {letter: text.count(letter) for letter in sorted(set(text))}
    program = (
        f"class Solution:\n    def letters(self, text: str) -> Dict[str, int]:\n        return Counter(text[{off}:])\n"
    )
    return call_problem("letters", [([text], counts)]), program


def halves(draw: random.Random, off: int) -> tuple[Problem, str]:
    """Have a function examined by a test source."""
    n = draw.randrange(2, 1000)
    check = (
        f"def check(candidate):\n    assert candidate({2 * n}) == {n}\n    assert candidate(0) == 0\ncheck(candidate)\n"
    )
    problem = Problem("check", "code", "", entry_point="half", check=check)
    return problem, f"def half(n):\n    return n // 2 + {off}\n"


KINDS: tuple[Callable[[random.Random, int], tuple[Problem, str]], ...] = (
    sums,
    sorted_lines,
    multiples,
    letters,
    halves,
)
"""Each makes a problem and a program that is right when the second argument is 0, and wrong when it is 1."""


def harmless(draw: random.Random, number: int, pause: float = 0.0) -> Item:
    """Return a right or wrong program, one that raises, or one that does not compile.

    Args:
        draw: decides which.
        number: written into the program, so that no two are equal.
        pause: seconds that the program sleeps.
    """
    kind, reason = draw.choices(
        (("right", "passed"), ("wrong", "wrong_answer"), ("raises", "runtime_error"), ("no Python", "syntax_error")),
        weights=(10, 6, 3, 1),
    )[0]
    problem, program = draw.choice(KINDS)(draw, int(kind == "wrong"))
    start = f"# {number}\n" + (f"import time\ntime.sleep({pause})\n" if pause else "")
    start += {"raises": "[][0]\n", "no Python": "def (:\n"}.get(kind, "")
    return Item(replace(problem, id=str(number)), start + program, kind, (reason,))
