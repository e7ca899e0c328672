r"""Checks the gold answers of a file against themselves and each against the next one that is written differently.

    python benchmarks/math_answers.py PROBLEMS.jsonl [--workers 2]

A line of PROBLEMS has `answer`. Each answer must equal itself, bare and in the box of a response of 30,000 tokens. It
should equal itself as another writer sets it (`\dfrac`, `\left`, other spaces), and differ from the next answer in the
file that is another text. Where it does not, it is listed: two neighbours may be the same answer in two spellings,
which is for the reader to say. Also counted is which step of the comparison with the next answer decided, how many
comparisons needed sympy, and how many answers cannot be read: those that get no verdict against a number, nor against
an interval, nor against words.

Verdicts come through the verifier pool, so that no answer can hold the check up; the steps are counted in this process,
for answers that the pool judged in time. Ends with 1 if an answer does not equal itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import mean

from math_speed import respelled

from acereason.problems.problem import Problem
from acereason.verifiers.math.compare import decide
from acereason.verifiers.pool.pool import VerifierPool
from acereason.verifiers.verifier import Verdict

TIMEOUT_SECONDS, MEMORY_MIB = 5.0, 2048
RESPONSE_CHARS = 120_000
THOUGHT = r"Then $\frac{a}{b}\le\sqrt{c}$, so it could be \boxed{17}; but let me check $\{x_1,x_2\}$ again. "
PROBES = ("7919", "[7919,7920)", r"\text{no such word}")
JUDGED = ("correct", "wrong")
NOT_JUDGED = ("timeout", "memory", "crashed")


def read_answers(path: Path) -> list[str]:
    """The `answer` of each line."""
    return [str(json.loads(line)["answer"]) for line in path.read_text(encoding="utf-8").splitlines()]


def next_different(answers: list[str]) -> list[str]:
    """For each answer the next one, from the start again after the end, that is another text.

    Raises:
        SystemExit: all are the same.
    """
    if len(set(answers)) < 2:
        raise SystemExit("needs at least two different answers")
    following = next(answer for answer in answers if answer != answers[-1])
    found = []
    for index in range(len(answers) - 1, -1, -1):
        found.append(following)
        if index and answers[index - 1] != answers[index]:
            following = answers[index]
    return found[::-1]


def judged(pool: VerifierPool, golds: list[str], answers: list[str], before: str) -> list[Verdict]:
    """The verdicts on responses that begin with `before` and have the answer in a box."""
    futures = [
        pool.submit(Problem(str(number), "math", "", answer=gold), f"{before}</think>\nIt is $\\boxed{{{answer}}}$.")
        for number, (gold, answer) in enumerate(zip(golds, answers, strict=True))
    ]
    return [future.result() for future in futures]


def show(title: str, golds: list[str], chosen: list[int], beside: list[str]) -> None:
    """How many rows, and each with what is said beside it."""
    print(f"\n{title}: {len(chosen)}")
    for row in chosen:
        print(f"  line {row + 1}: {golds[row]!r}, {beside[row]}")


def failed(verdicts: list[Verdict]) -> list[int]:
    """The rows without a reward."""
    return [row for row, verdict in enumerate(verdicts) if not verdict.reward]


def said(verdicts: list[Verdict]) -> list[str]:
    """What was read and what was said of it."""
    return [f"{verdict.extracted!r}: {verdict.reason}" for verdict in verdicts]


def show_steps(golds: list[str], others: list[str], verdicts: list[Verdict]) -> None:
    """Which step of the comparison decided how often, how long they took, and which rows needed sympy."""
    decided: dict[int, str] = {}
    seconds = []
    for row, verdict in enumerate(verdicts):
        if verdict.reason not in NOT_JUDGED:
            started = time.perf_counter()
            decided[row] = decide(golds[row], others[row])[1]
            seconds.append(time.perf_counter() - started)
    print(f"\nreasons against the next answer: {dict(Counter(verdict.reason for verdict in verdicts).most_common())}")
    print(f"decided by: {dict(Counter(decided.values()).most_common())}")
    print(f"mean {1000 * mean(seconds):.3f} ms, slowest {1000 * max(seconds):.1f} ms")
    show("needed sympy", golds, [row for row, step in decided.items() if step == "sympy"], others)


def main() -> int:
    """Judges and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    golds = read_answers(options.problems)
    others = next_different(golds)
    thought = THOUGHT * (RESPONSE_CHARS // len(THOUGHT))
    with VerifierPool(options.workers, TIMEOUT_SECONDS, MEMORY_MIB) as pool:
        own = judged(pool, golds, golds, "")
        boxed = judged(pool, golds, golds, thought)
        reset = judged(pool, golds, [respelled(gold) for gold in golds], "")
        against = judged(pool, golds, others, "")
        probed = [judged(pool, golds, [probe] * len(golds), "") for probe in PROBES]
    print(f"{options.problems.name}: {len(golds)} answers; {os.cpu_count()} cores, {platform.platform()}")
    show("not equal to themselves", golds, failed(own), said(own))
    show("not equal to themselves in the box of a long response", golds, failed(boxed), said(boxed))
    show("not equal to themselves as another writer sets them", golds, failed(reset), said(reset))
    equal = sorted(set(range(len(golds))) - set(failed(against)))
    show("equal to the next answer that is another text", golds, equal, said(against))
    show_steps(golds, others, against)
    probes = list(zip(*probed, strict=True))
    unread = [row for row, of_row in enumerate(probes) if not any(v.reason in JUDGED for v in of_row)]
    show("cannot be read", golds, unread, [", ".join(verdict.reason for verdict in of_row) for of_row in probes])
    return int(bool(failed(own) or failed(boxed)))


if __name__ == "__main__":
    sys.exit(main())
