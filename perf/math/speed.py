r"""Time a step's worth of math judgements: long responses through the verifier pool, as in training.

    python -m perf.math.speed PROBLEMS.jsonl [--rows 1024] [--tokens 30000] [--workers 2]

A line of PROBLEMS has `answer`; the gold answers are drawn from them. The responses are made up: text with mathematics
and boxes in it that fills `--tokens` at 4 characters each, thinking for the most part, then `</think>` and a solution
of 600 tokens with the answer in a box. Half of the answers are right, every other one of these in another spelling
(`\dfrac`, `\left`, other spaces); half are the answer to another problem. Three cases:

drawn       golds as they come, so that some pairs of gold and answer are the same, as in groups of rollouts
distinct    golds that are all different, so that every pair has to be judged
no thought  as drawn, but everything stands after `</think>`

Every case starts a pool of its own; the clock runs from the first response handed over to the last verdict, workers
started before. The times of judgements are those of the workers, those of extraction are measured apart in this
process. A reader may conclude what a step waits for its rewards when all responses end at once; in training they end
one by one, and the pool works meanwhile. The paper: 3.9 s for 1,024 responses with 64 workers.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from acereason.verifiers.math.verifier import extract_answer
from acereason.verifiers.verifier import Verdict
from perf.pools import math_pool, submit_math
from perf.script import command_line, start
from perf.tables import Table

CHARS_A_TOKEN = 4
SOLUTION_TOKENS = 600
SENTENCES = (
    r"Let $x_{%d}=\frac{%d}{%d}$, so that $x_{%d}^2+\sqrt{%d}\le %d$. ",
    r"Wait, if $n\equiv %d \pmod{%d}$ then $\{%d,%d\}$ is not the only set; \[\sum_{k=1}^{%d} k^2 = %d\] says more. ",
    "So the number of ways is %d times %d, less %d, which gives %d over %d, that is about %d. ",
    r"With $f(x)=\begin{cases} x^{%d} & x<%d \\ %d x & \text{otherwise}\end{cases}$ we get $f(%d)=%d$ or %d. ",
    r"That would be \boxed{%d}, but %d is too large: check \( \binom{%d}{%d} = %d \) and $\left(%d\right]$ again. ",
    "Hmm, let me try small cases: %d gives %d, %d gives %d, and %d gives %d.\n\n",
)


@dataclass(frozen=True)
class Sample:
    """A problem, the answer of a response, and whether it is meant to be right."""

    gold: str
    answer: str
    right: bool


def read_golds(path: Path) -> list[str]:
    """Return the answers in the order of the file.

    Raises:
        SystemExit: there are not two different ones.
    """
    golds = [str(json.loads(line)["answer"]) for line in path.read_text(encoding="utf-8").splitlines()]
    if len(set(golds)) < 2:
        raise SystemExit(f"{path} needs at least two different answers")
    return golds


def respelled(answer: str) -> str:
    """Return the same answer as another writer sets it."""
    answer = re.sub(r"\\frac(?![a-z])", r"\\dfrac", answer)
    answer = re.sub(r"(?<!\\left)\((?=[^()]*\)$)", r"\\left( ", answer)
    return re.sub(r"(?<!\\right)\)$", r" \\right)", answer) if r"\left( " in answer else f" {answer} "


def samples(golds: list[str], rows: int, draw: random.Random) -> Iterator[Sample]:
    """Yield right and wrong ones in turn; of the right ones every other one is respelled."""
    for number in range(rows):
        gold = golds[number % len(golds)]
        if number % 2:
            others = (draw.choice(golds) for _ in iter(int, 1))
            yield Sample(gold, next(other for other in others if other != gold), False)
        else:
            yield Sample(gold, respelled(gold) if number % 4 else gold, True)


class Writer:
    """Author of made-up text with mathematics in it, of any length."""

    def __init__(self, draw: random.Random) -> None:
        """Write the sentences that all texts are put together from."""
        self.draw = draw
        self.sentences = [
            sentence % tuple(draw.randrange(1, 1000) for _ in range(6)) for sentence in SENTENCES for _ in range(200)
        ]
        self.mean = sum(map(len, self.sentences)) / len(self.sentences)

    def text(self, tokens: int) -> str:
        """Return sentences that fill so many tokens."""
        chars = tokens * CHARS_A_TOKEN
        chosen = self.draw.choices(self.sentences, k=int(1.1 * chars / self.mean) + 10)
        return "".join(chosen)[:chars].rpartition(" ")[0] + ". "

    def response(self, answer: str, tokens: int, thinking: bool) -> str:
        """Return thinking, if wanted, and a solution that ends with the answer in a box."""
        solution = SOLUTION_TOKENS if thinking else tokens
        thought = self.text(tokens - solution) if thinking else ""
        return f"{thought}\n</think>\n\n{self.text(solution)}The answer is $\\boxed{{{answer}}}$."


def judge(drawn: list[Sample], responses: list[str], options: argparse.Namespace) -> tuple[float, list[Verdict]]:
    """Return wall seconds, from the first response handed over to the last verdict, and the verdicts."""
    with math_pool(options.workers) as pool:
        pool.wait_ready()
        time.sleep(options.settle_seconds)  # the other workers started when the first did
        started = time.perf_counter()
        verdicts = [each.result() for each in submit_math(pool, [sample.gold for sample in drawn], responses)]
        return time.perf_counter() - started, verdicts


def milliseconds(seconds: list[float]) -> list[str]:
    """Return median, 99th percentile and slowest."""
    ordered = sorted(1000 * each for each in seconds)
    high = quantiles(ordered, n=100, method="inclusive")[98]
    return [f"{median(ordered):.3f}", f"{high:.2f}", f"{ordered[-1]:.1f}"]


def run_case(name: str, golds: list[str], options: argparse.Namespace, thinking: bool) -> None:
    """Make the responses of one case, have them judged and print the figures."""
    draw = random.Random(options.seed)
    drawn = list(samples(golds, options.rows, draw))
    writer = Writer(draw)
    responses = [writer.response(sample.answer, options.tokens, thinking) for sample in drawn]
    wall, verdicts = judge(drawn, responses, options)
    extraction = []
    for response in responses:
        started = time.perf_counter()
        extract_answer(response)
        extraction.append(time.perf_counter() - started)
    characters = sum(map(len, responses)) / 1e6
    title = f"{name}: {wall:.2f} s for {len(drawn)} responses, {characters:.1f} million characters"
    table = Table(title, "median ms", "99% ms", "slowest ms", first=12)
    table.row("judgement", *milliseconds([verdict.seconds for verdict in verdicts]))
    table.row("extraction", *milliseconds(extraction))
    pairs = len({(sample.gold, sample.answer) for sample in drawn})
    print(f"{pairs} different pairs; {dict(Counter(verdict.reason for verdict in verdicts))}")
    for sample, verdict in zip(drawn, verdicts, strict=True):
        if sample.right != (verdict.reward == 1):
            print(f"  {sample.gold!r:.60} against {sample.answer!r:.60}, meant {sample.right}: {verdict.reason}")


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run, on more answers than it has rows."""
    path = folder / "problems.jsonl"
    path.write_text("".join(json.dumps({"answer": rf"\frac{{{n}}}{{17}}"}) + "\n" for n in range(1, 14)))
    return [str(path), "--rows", "12", "--tokens", str(2 * SOLUTION_TOKENS), "--settle-seconds", "0", "--workers", "1"]


def main(words: Sequence[str]) -> None:
    """Run the three cases."""
    parser = command_line(__doc__)
    parser.add_argument("problems", type=Path)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--tokens", type=int, default=30000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--settle-seconds", type=float, default=3.0, help="wait for the other workers to start")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    if options.rows < 2 or options.tokens < 2 * SOLUTION_TOKENS:
        parser.error(f"--rows must be at least 2 and --tokens at least {2 * SOLUTION_TOKENS}")
    golds = read_golds(options.problems)
    random.Random(options.seed).shuffle(golds)
    distinct = list(dict.fromkeys(golds))
    print(f"{options.problems.name}, {options.workers} workers")
    run_case("drawn", golds, options, thinking=True)
    if len(distinct) < options.rows:
        print(f"\ndistinct: only {len(distinct)} different answers, not {options.rows}; left out")
    else:
        run_case("distinct", distinct, options, thinking=True)
    run_case("no thought", golds, options, thinking=False)


if __name__ == "__main__":
    start(main, smallest)
