r"""Judge data sets' own solutions, and with `--mutants` changed ones, and compare with plain CPython.

    python -m perf.code.solutions FILE... --remember PLAIN.jsonl [--mutants 1000] [--workers 2]

A row of a FILE has a solution that its authors call right: HumanEval and HumanEval+ (`prompt`, `canonical_solution`),
MBPP+ (`code`), LeetCode (`solutions`) and LeetCodeDataset (`completion`). Each is judged by the verifier, as the
package's loaders read the row, and run by plain CPython with the row's own test source behind it (`plain.py`),
which is the truth. Plain runs are remembered in PLAIN.jsonl, so that only the first time takes long.

A mutant is a solution with one operator, comparison or constant changed. Those of which a plain run proves that they
are right or wrong are kept; one that runs into the time limit proves nothing.

Listed one by one: solutions that plain CPython calls wrong, and every verdict that is not what the plain run says.
Ends with 1 if there is such a verdict.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from acereason.config.schema import DomainName, ProblemsConfig, SandboxConfig
from acereason.problems.formats.fields import to_problem
from acereason.problems.problem import Problem
from acereason.problems.rows import open_rows
from acereason.verifiers.verifier import Verdict
from perf.code.mutants import mutant
from perf.code.plain import Outcome, PlainRuns
from perf.pools import code_pool
from perf.script import command_line, start
from perf.tables import Table

LEETCODE_NAMES = Path(__file__).with_name("leetcode_names.py").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Solution:
    """A program, the problem it is for, and the row's own sources around it in a plain run."""

    name: str
    problem: Problem
    program: str
    before: str
    after: str

    @property
    def plain(self) -> str:
        """The source that a plain run is given."""
        return f"{self.before}\n{self.program}\n{self.after}\n"


def parts(row: dict[str, Any]) -> tuple[str, str, str]:
    """Return the source before the program, the program, and the source behind it, by the row's form.

    Raises:
        SystemExit: it has no solution.
    """
    if "canonical_solution" in row and "entry_point" in row:
        return "", row["prompt"] + row["canonical_solution"], f"{row['test']}\ncheck({row['entry_point']})"
    if "completion" in row:
        return row["prompt"], row["completion"], f"{row['test']}\ncheck({row['entry_point']})"
    if "solutions" in row:
        return LEETCODE_NAMES, row["solutions"], row["tests"]["functional"]
    if "code" in row and "test_list" in row:
        return "", row["code"], "\n".join([*row["test_imports"], row.get("test") or "", *row["test_list"]])
    raise SystemExit(f"no solution that is known here among {', '.join(row)}")


def solutions(path: Path, limit: int) -> Iterator[Solution]:
    """Yield the solution of each row, of at most so many; 0 for all."""
    config = ProblemsConfig(path=str(path), domain=DomainName.code)
    stem, rows = open_rows(config.path, config.split)
    for number, row in enumerate(rows):
        if limit and number == limit:
            return
        problem = to_problem(row, config, stem)
        before, program, after = parts(row.values)
        yield Solution(f"{row.place} ({row.values.get('task_id', problem.id)})", problem, program, before, after)


def mutants(right: list[Solution], count: int, draw: random.Random) -> list[Solution]:
    """Return so many changed programs, no two alike; of all solutions about equally many."""
    found: dict[str, Solution] = {}
    for attempt in range(20 * count):
        if attempt % len(right) == 0:
            draw.shuffle(right)
        solution = right[attempt % len(right)]
        changed = mutant(solution.program, draw)
        if changed is not None:
            found.setdefault(changed, replace(solution, program=changed))
        if len(found) == count:
            break
    return list(found.values())


def judge(chosen: list[Solution], options: argparse.Namespace) -> list[Verdict]:
    """Return the verifier's verdicts."""
    started = time.perf_counter()
    with code_pool(options.workers, SandboxConfig(packages=options.packages)) as pool:
        futures = [pool.submit_answer(solution.problem, solution.program) for solution in chosen]
        verdicts = [future.result() for future in futures]
    print(f"judged {len(chosen)} in {time.perf_counter() - started:.1f} s with {options.workers} workers")
    return verdicts


def differing(chosen: list[Solution], verdicts: list[Verdict], outcomes: list[Outcome], programs: bool) -> int:
    """Print every verdict that is not what the plain run says, and a table of both; return how many differ."""
    counts, wrongly = Counter[tuple[str, str]](), 0
    for solution, verdict, outcome in zip(chosen, verdicts, outcomes, strict=True):
        counts[outcome.state, verdict.reason] += 1
        if (verdict.reward == 1) != (outcome.state == "right"):
            wrongly += 1
            where = f"in {verdict.seconds:.2f} s, test {verdict.first_failing_test}"
            print(f"  {solution.name}: judged {verdict.reason} {where}")
            print(f"    plain: {outcome.state} in {outcome.seconds:.2f} s {outcome.said}")
            if programs:
                print("    | " + solution.program.replace("\n", "\n    | "))
    table = Table(f"{wrongly} of {len(chosen)} differ", "judged", "programs", width=16)
    for (state, reason), count in counts.most_common():
        table.row(f"plain {state}", reason, count)
    return wrongly


def check_solutions(path: Path, runs: PlainRuns, options: argparse.Namespace) -> tuple[list[Solution], int]:
    """Judge a file's solutions; return those that are right by a plain run, and how many verdicts differ."""
    chosen = list(solutions(path, options.limit))
    print(f"\n{path.name}: {len(chosen)} solutions")
    outcomes = runs.outcomes([solution.plain for solution in chosen])
    for solution, outcome in zip(chosen, outcomes, strict=True):
        if outcome.state != "right":
            print(f"  not right by plain CPython: {solution.name}: {outcome.state} {outcome.said}")
    wrongly = differing(chosen, judge(chosen, options), outcomes, programs=False)
    return [each for each, outcome in zip(chosen, outcomes, strict=True) if outcome.state == "right"], wrongly


def check_mutants(right: list[Solution], runs: PlainRuns, options: argparse.Namespace) -> int:
    """Judge mutants of right solutions; return how many verdicts differ."""
    made = mutants(right, options.mutants, random.Random(options.seed))
    outcomes = runs.outcomes([solution.plain for solution in made])
    kept = [(each, outcome) for each, outcome in zip(made, outcomes, strict=True) if outcome.state != "timeout"]
    states = Counter(outcome.state for outcome in outcomes)
    print(f"\n{len(made)} mutants, by plain runs {dict(states)}")
    chosen = [each for each, _ in kept]
    return differing(chosen, judge(chosen, options), [outcome for _, outcome in kept], programs=True)


SMALLEST_ROWS: tuple[dict[str, Any], ...] = (
    {
        "task_id": "as in HumanEval",
        "prompt": "def half(n):\n",
        "canonical_solution": "    return n // 2\n",
        "entry_point": "half",
        "test": "def check(candidate):\n    assert candidate(6) == 3\n    assert candidate(7) == 3\n",
    },
    {
        "task_id": "as in MBPP+",
        "prompt": "Write a function that adds one.",
        "code": "def plus_one(n):\n    return n + 1\n",
        "test_imports": [],
        "test_list": ["assert plus_one(1) == 2", "assert plus_one(-1) == 0"],
    },
    {
        "task_id": "as in LeetCode",
        "question": "Return the sum of a list of numbers.",
        "solutions": "class Solution:\n    def total(self, xs: List[int]) -> int:\n        return sum(xs)\n",
        "tests": {"functional": "def check(f):\n    assert f([1, 2]) == 3\n\ncheck(Solution().total)\n"},
    },
    {
        "task_id": "as in LeetCodeDataset",
        "query": "Return the larger of two numbers.",
        "prompt": "from typing import *\n",
        "completion": "class Solution:\n    def larger(self, a: int, b: int) -> int:\n        return max(a, b)\n",
        "entry_point": "Solution().larger",
        "test": "def check(candidate):\n    assert candidate(2, 5) == 5\n    assert candidate(5, 2) == 5\n",
    },
)


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run, on a row of each form."""
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in SMALLEST_ROWS))
    return [str(path), "--remember", str(folder / "plain.jsonl"), "--mutants", "4", "--plain-seconds", "10"]


def main(words: Sequence[str]) -> int:
    """Judge and report."""
    parser = command_line(__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--remember", type=Path, required=True, help="file that keeps what came of plain runs")
    parser.add_argument("--mutants", type=int, default=0, help="how many changed programs are made, over all files")
    parser.add_argument("--limit", type=int, default=0, help="only the first rows of each file; 0 for all")
    parser.add_argument("--plain-seconds", type=float, default=30.0, help="time limit of a plain run")
    parser.add_argument(
        "--packages", nargs="*", default=["numpy"], help="packages that programs find; plain runs find all"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    runs = PlainRuns(options.remember, options.plain_seconds)
    checked = [check_solutions(path, runs, options) for path in options.files]
    wrongly = sum(count for _, count in checked)
    if options.mutants:
        wrongly += check_mutants([solution for right, _ in checked for solution in right], runs, options)
    return int(wrongly > 0)


if __name__ == "__main__":
    start(main, smallest)
