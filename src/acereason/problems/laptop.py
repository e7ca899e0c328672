"""The built-in laptop problems: small, seeded, and longer to solve the harder they are.

A math problem is a chain of steps on one digit modulo 10; its level is the number of steps. A code problem asks for
`f(x)` that applies a chain of integer operations; its level is the number of operations. A hash of the question decides
which split a problem belongs to, so train and held-out sets are disjoint whatever their seeds and sizes.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Literal

from acereason.problems.code_tests import CodeTest, CodeTests
from acereason.problems.problem import Domain, Problem

Split = Literal["train", "held_out"]
LABELS = "abcdefghijklmnopqrstuvwxyz"
HELD_OUT_FRACTION = 1 / 8
MATH_LEVELS = (2, 14)
CODE_LEVELS = (1, 6)
CODE_TEST_INPUTS = (0, 1, 2, 5, -3, 17, 100)

# Multipliers are units modulo 10: after each step all ten digits are possible, so a guess is right one time in ten.
_MATH_OPERATIONS = [(op, b) for op in "+-" for b in range(1, 10)] + [("*", b) for b in (3, 7, 9)]
_CODE_OPERATIONS = [(op, b) for op in "+-*%" for b in range(2, 10)]


@dataclass(frozen=True)
class Chain:
    """A start value and the operations applied to it in order: `(operator, operand)` pairs."""

    start: int
    steps: tuple[tuple[str, int], ...]


def apply_step(value: int, step: tuple[str, int]) -> int:
    """Return `value` after one `(operator, operand)`, in plain integer arithmetic."""
    op, operand = step
    if op == "+":
        return value + operand
    if op == "-":
        return value - operand
    if op == "*":
        return value * operand
    return value % operand


def chain_values(chain: Chain) -> list[int]:
    """Return the digit after each step of a math chain, modulo 10; the last one is the answer."""
    values, value = [], chain.start
    for step in chain.steps:
        value = apply_step(value, step) % 10
        values.append(value)
    return values


def _listed(chain: Chain) -> str:
    return " ".join(f"{label}{op}{operand}" for label, (op, operand) in zip(LABELS, chain.steps, strict=False))


def math_question(chain: Chain) -> str:
    """Write the question of a math chain, for example `Start at 7, work modulo 10: a+5 b*3 c-4`."""
    return f"Start at {chain.start}, work modulo 10: {_listed(chain)}"


def code_question(chain: Chain) -> str:
    """Write the question of a code chain, for example `f takes x and applies in order: a*3 b+4 c%7`."""
    return f"f takes x and applies in order: {_listed(chain)}"


def sample_chain(rng: random.Random, domain: Domain, level: int) -> Chain:
    """Draw a random chain of `level` steps."""
    operations = _MATH_OPERATIONS if domain == "math" else _CODE_OPERATIONS
    return Chain(rng.randrange(10), tuple(rng.choice(operations) for _ in range(level)))


def split_of(question: str) -> Split:
    """Return the split that a question belongs to, from a hash of its text."""
    bucket = int.from_bytes(hashlib.sha256(question.encode()).digest()[:4], "big") / 2**32
    return "held_out" if bucket < HELD_OUT_FRACTION else "train"


def to_problem(chain: Chain, domain: Domain) -> Problem:
    """Make the problem that asks for a chain, with its answer or tests."""
    level = len(chain.steps)
    if domain == "math":
        question = math_question(chain)
        return Problem(question, "math", question, answer=str(chain_values(chain)[-1]), level=level, source="laptop")
    tests = []
    for x in CODE_TEST_INPUTS:
        value = x
        for step in chain.steps:
            value = apply_step(value, step)
        tests.append(CodeTest([x], value))
    question = code_question(chain)
    return Problem(
        question,
        "code",
        question,
        tests=CodeTests.pack(tests),
        entry_point="f",
        starter_code="def f(x):",
        level=level,
        source="laptop",
    )


def laptop_problems(domain: Domain, split: Split, count: int, levels: tuple[int, int], seed: int = 0) -> list[Problem]:
    """Make `count` distinct problems of one split, with levels spread evenly over `levels` (both ends included).

    Raises:
        ValueError: the generator does not make these levels, or there are fewer than `count` such problems.
    """
    lowest, highest = MATH_LEVELS if domain == "math" else CODE_LEVELS
    if not lowest <= levels[0] <= levels[1] <= highest:
        raise ValueError(f"laptop {domain} levels go from {lowest} to {highest}, not {levels[0]} to {levels[1]}")
    rng = random.Random(f"{seed}/{domain}/{split}")
    problems: dict[str, Problem] = {}
    for attempt in range(200 * count + 1000):
        if len(problems) == count:
            break
        level = levels[0] + attempt % (levels[1] - levels[0] + 1)
        problem = to_problem(sample_chain(rng, domain, level), domain)
        if split_of(problem.question) == split:
            problems.setdefault(problem.id, problem)
    if len(problems) < count:
        raise ValueError(f"there are not {count} different {split} {domain} problems of levels {levels}")
    return list(problems.values())
