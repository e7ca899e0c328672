r"""Check the gold answers of a file against themselves and each against the next one that is written differently.

    python -m perf.math.answers PROBLEMS.jsonl [--workers 2]

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

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from acereason.verifiers.math.compare import decide
from acereason.verifiers.pool.pool import VerifierPool
from acereason.verifiers.verifier import Verdict
from perf.math.speed import read_golds, respelled
from perf.pools import boxed, math_pool, submit_math
from perf.script import command_line, start
from perf.tables import Table

RESPONSE_CHARS = 120_000
THOUGHT = r"Then $\frac{a}{b}\le\sqrt{c}$, so it could be \boxed{17}; but let me check $\{x_1,x_2\}$ again. "
PROBES = ("7919", "[7919,7920)", r"\text{no such word}")
JUDGED = ("correct", "wrong")
NOT_JUDGED = ("timeout", "memory", "crashed")


def next_different(answers: list[str]) -> list[str]:
    """Return for each answer the next one, from the start again after the end, that is another text."""
    following = next(answer for answer in answers if answer != answers[-1])
    found = []
    for index in range(len(answers) - 1, -1, -1):
        found.append(following)
        if index and answers[index - 1] != answers[index]:
            following = answers[index]
    return found[::-1]


def judged(pool: VerifierPool, golds: list[str], answers: list[str], before: str) -> list[Verdict]:
    """Return the verdicts on responses that begin with `before` and have the answer in a box."""
    return [future.result() for future in submit_math(pool, golds, [before + boxed(answer) for answer in answers])]


def show(title: str, golds: list[str], chosen: list[int], beside: list[str]) -> None:
    """Print how many rows there are, and each with what is said beside it."""
    print(f"\n{title}: {len(chosen)}")
    for row in chosen:
        print(f"  line {row + 1}: {golds[row]!r}, {beside[row]}")


def failed(verdicts: list[Verdict]) -> list[int]:
    """Return the rows without a reward."""
    return [row for row, verdict in enumerate(verdicts) if not verdict.reward]


def said(verdicts: list[Verdict]) -> list[str]:
    """Return what was read of each response and the reason of its verdict."""
    return [f"{verdict.extracted!r}: {verdict.reason}" for verdict in verdicts]


def show_steps(golds: list[str], others: list[str], verdicts: list[Verdict]) -> None:
    """Print which step of the comparison decided how often and how long, and which rows needed sympy."""
    decided: dict[int, str] = {}
    seconds: dict[str, list[float]] = {}
    for row, verdict in enumerate(verdicts):
        if verdict.reason not in NOT_JUDGED:
            started = time.perf_counter()
            decided[row] = decide(golds[row], others[row])[1]
            seconds.setdefault(decided[row], []).append(time.perf_counter() - started)
    print(f"\nreasons against the next answer: {dict(Counter(verdict.reason for verdict in verdicts).most_common())}")
    table = Table("steps that decided against the next answer", "answers", "mean ms", "slowest ms")
    for step, times in sorted(seconds.items(), key=lambda entry: -len(entry[1])):
        table.row(step, len(times), f"{1000 * mean(times):.3f}", f"{1000 * max(times):.1f}")
    show("needed sympy", golds, [row for row, step in decided.items() if step == "sympy"], others)


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run: answers that are read in different ways, and one that is not."""
    numbers_and_sets = ["17", r"\frac{7}{2}", "[2,5)", "17"]
    expressions = ["x^2+2x+1", "(x+1)^2", r"\int_0^1 x\,dx", r"\frac{1}{2}"]
    answers = [*numbers_and_sets, *expressions, r"\text{Tuesday}", r"\begin{array}"]
    path = folder / "problems.jsonl"
    path.write_text("".join(json.dumps({"answer": answer}) + "\n" for answer in answers))
    return [str(path), "--workers", "1"]


def main(words: Sequence[str]) -> int:
    """Judge and report."""
    parser = command_line(__doc__)
    parser.add_argument("problems", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(words)
    golds = read_golds(options.problems)
    others = next_different(golds)
    thought = THOUGHT * (RESPONSE_CHARS // len(THOUGHT))
    with math_pool(options.workers) as pool:
        own = judged(pool, golds, golds, "")
        boxed_ones = judged(pool, golds, golds, thought)
        reset = judged(pool, golds, [respelled(gold) for gold in golds], "")
        against = judged(pool, golds, others, "")
        probed = [judged(pool, golds, [probe] * len(golds), "") for probe in PROBES]
    print(f"{options.problems.name}: {len(golds)} answers")
    show("not equal to themselves", golds, failed(own), said(own))
    show("not equal to themselves in the box of a long response", golds, failed(boxed_ones), said(boxed_ones))
    show("not equal to themselves as another writer sets them", golds, failed(reset), said(reset))
    equal = sorted(set(range(len(golds))) - set(failed(against)))
    show("equal to the next answer that is another text", golds, equal, said(against))
    show_steps(golds, others, against)
    probes = list(zip(*probed, strict=True))
    unread = [row for row, of_row in enumerate(probes) if not any(v.reason in JUDGED for v in of_row)]
    show("cannot be read", golds, unread, [", ".join(verdict.reason for verdict in of_row) for of_row in probes])
    return int(bool(failed(own) or failed(boxed_ones)))


if __name__ == "__main__":
    start(main, smallest)
