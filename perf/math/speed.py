r"""Times a step's worth of math judgements: long responses through the verifier pool, as in training.

    python benchmarks/math_speed.py PROBLEMS.jsonl [--rows 1024] [--tokens 30000] [--workers 2]

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
import os
import platform
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from acereason.problems.problem import Problem
from acereason.verifiers.math.verifier import extract_answer
from acereason.verifiers.pool.pool import VerifierPool
from acereason.verifiers.verifier import Verdict

CHARS_A_TOKEN = 4
SOLUTION_TOKENS = 600
TIMEOUT_SECONDS, MEMORY_MIB = 5.0, 2048
SETTLE_SECONDS = 3.0
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
    """The answers in the order of the file.

    Raises:
        SystemExit: there are not two different ones.
    """
    golds = [str(json.loads(line)["answer"]) for line in path.read_text(encoding="utf-8").splitlines()]
    if len(set(golds)) < 2:
        raise SystemExit(f"{path} needs at least two different answers")
    return golds


def respelled(answer: str) -> str:
    """The same answer as another writer sets it."""
    answer = re.sub(r"\\frac(?![a-z])", r"\\dfrac", answer)
    answer = re.sub(r"(?<!\\left)\((?=[^()]*\)$)", r"\\left( ", answer)
    return re.sub(r"(?<!\\right)\)$", r" \\right)", answer) if r"\left( " in answer else f" {answer} "


def samples(golds: list[str], rows: int, draw: random.Random) -> Iterator[Sample]:
    """Right and wrong in turn; of the right ones every other one is respelled."""
    for number in range(rows):
        gold = golds[number % len(golds)]
        if number % 2:
            others = (draw.choice(golds) for _ in iter(int, 1))
            yield Sample(gold, next(other for other in others if other != gold), False)
        else:
            yield Sample(gold, respelled(gold) if number % 4 else gold, True)


class Writer:
    """Makes up text with mathematics in it, of any length."""

    def __init__(self, draw: random.Random) -> None:
        """Writes the sentences that all texts are put together from."""
        self.draw = draw
        self.sentences = [
            sentence % tuple(draw.randrange(1, 1000) for _ in range(6)) for sentence in SENTENCES for _ in range(200)
        ]
        self.mean = sum(map(len, self.sentences)) / len(self.sentences)

    def text(self, tokens: int) -> str:
        """Sentences that fill so many tokens."""
        chars = tokens * CHARS_A_TOKEN
        chosen = self.draw.choices(self.sentences, k=int(1.1 * chars / self.mean) + 10)
        return "".join(chosen)[:chars].rpartition(" ")[0] + ". "

    def response(self, answer: str, tokens: int, thinking: bool) -> str:
        """Thinking, if wanted, and a solution that ends with the answer in a box."""
        solution = SOLUTION_TOKENS if thinking else tokens
        thought = self.text(tokens - solution) if thinking else ""
        return f"{thought}\n</think>\n\n{self.text(solution)}The answer is $\\boxed{{{answer}}}$."


def judge(drawn: list[Sample], responses: list[str], workers: int) -> tuple[float, list[Verdict]]:
    """Wall seconds, from the first response handed over to the last verdict, and the verdicts."""
    with VerifierPool(workers, TIMEOUT_SECONDS, MEMORY_MIB) as pool:
        pool.wait_ready()
        time.sleep(SETTLE_SECONDS)  # the other workers started when the first did
        started = time.perf_counter()
        futures = [
            pool.submit(Problem(str(number), "math", "", answer=sample.gold), response)
            for number, (sample, response) in enumerate(zip(drawn, responses, strict=True))
        ]
        verdicts = [future.result() for future in futures]
        return time.perf_counter() - started, verdicts


def milliseconds(seconds: list[float]) -> str:
    """Median, 99th percentile and slowest."""
    ordered = sorted(1000 * each for each in seconds)
    high = quantiles(ordered, n=100, method="inclusive")[98]
    return f"median {median(ordered):.3f} ms, 99th percentile {high:.2f} ms, slowest {ordered[-1]:.1f} ms"


def run_case(name: str, golds: list[str], options: argparse.Namespace, thinking: bool) -> None:
    """Makes the responses of one case, has them judged and prints the figures."""
    draw = random.Random(options.seed)
    drawn = list(samples(golds, options.rows, draw))
    writer = Writer(draw)
    responses = [writer.response(sample.answer, options.tokens, thinking) for sample in drawn]
    wall, verdicts = judge(drawn, responses, options.workers)
    extraction = []
    for response in responses:
        started = time.perf_counter()
        extract_answer(response)
        extraction.append(time.perf_counter() - started)
    pairs = len({(sample.gold, sample.answer) for sample in drawn})
    print(f"\n{name}: {wall:.2f} s for {len(drawn)} responses, {sum(map(len, responses)) / 1e6:.0f} million characters")
    print(f"  judgement   {milliseconds([verdict.seconds for verdict in verdicts])}")
    print(f"  extraction  {milliseconds(extraction)}")
    print(f"  {pairs} different pairs; {dict(Counter(verdict.reason for verdict in verdicts))}")
    for sample, verdict in zip(drawn, verdicts, strict=True):
        if sample.right != (verdict.reward == 1):
            print(f"  {sample.gold!r:.60} against {sample.answer!r:.60}, meant {sample.right}: {verdict.reason}")


def main() -> None:
    """Runs the three cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", type=Path)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--tokens", type=int, default=30000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.rows < 2 or options.tokens < 2 * SOLUTION_TOKENS:
        parser.error(f"--rows must be at least 2 and --tokens at least {2 * SOLUTION_TOKENS}")
    golds = read_golds(options.problems)
    random.Random(options.seed).shuffle(golds)
    distinct = list(dict.fromkeys(golds))
    print(f"{options.problems.name}, {options.workers} workers, {os.cpu_count()} cores, {platform.platform()}")
    run_case("drawn", golds, options, thinking=True)
    if len(distinct) < options.rows:
        print(f"\ndistinct: only {len(distinct)} different answers, not {options.rows}; left out")
    else:
        run_case("distinct", distinct, options, thinking=True)
    run_case("no thought", golds, options, thinking=False)


if __name__ == "__main__":
    main()
