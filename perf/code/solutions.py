r"""Judges data sets' own solutions, and with `--mutants` changed ones, and compares with plain CPython.

    python benchmarks/code_solutions.py FILE... --remember PLAIN.jsonl [--mutants 1000] [--workers 2]

A row of a FILE has a solution that its authors call right: HumanEval and HumanEval+ (`prompt`, `canonical_solution`),
MBPP+ (`code`), LeetCode (`solutions`) and LeetCodeDataset (`completion`). Each is judged by the verifier, as the
package's loaders read the row, and run by plain CPython with the row's own test source behind it (`code_plain.py`),
which is the truth. Plain runs are remembered in PLAIN.jsonl, so that only the first time takes long.

A mutant is a solution with one operator, comparison or constant changed. Those of which a plain run proves that they
are right or wrong are kept; one that runs into the time limit proves nothing.

Listed one by one: solutions that plain CPython calls wrong, and every verdict that is not what the plain run says.
Ends with 1 if there is such a verdict.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from code_mutants import mutant
from code_plain import Outcome, PlainRuns

from acereason.config.schema import DomainName, ProblemsConfig, SandboxConfig
from acereason.problems.formats.fields import to_problem
from acereason.problems.problem import Problem
from acereason.problems.rows import open_rows
from acereason.verifiers.pool.pool import VerifierPool
from acereason.verifiers.verifier import Verdict

TIMEOUT_SECONDS, MEMORY_MIB = 60.0, 2048
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
        """What a plain run is given."""
        return f"{self.before}\n{self.program}\n{self.after}\n"


def parts(row: dict[str, Any]) -> tuple[str, str, str]:
    """The source before the program, the program, and the source behind it, by the row's form.

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
    """The solution of each row, of at most so many; 0 for all."""
    config = ProblemsConfig(path=str(path), domain=DomainName.code)
    stem, rows = open_rows(config.path, config.split)
    for number, row in enumerate(rows):
        if limit and number == limit:
            return
        problem = to_problem(row, config, stem)
        before, program, after = parts(row.values)
        yield Solution(f"{row.place} ({row.values.get('task_id', problem.id)})", problem, program, before, after)


def mutants(right: list[Solution], count: int, draw: random.Random) -> list[Solution]:
    """So many changed programs, no two alike; of all solutions about equally many."""
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
    """The verifier's verdicts."""
    started = time.perf_counter()
    sandbox = SandboxConfig(packages=options.packages)
    with VerifierPool(options.workers, TIMEOUT_SECONDS, MEMORY_MIB, domains=("code",), sandbox=sandbox) as pool:
        futures = [pool.submit_answer(solution.problem, solution.program) for solution in chosen]
        verdicts = [future.result() for future in futures]
    print(f"judged {len(chosen)} in {time.perf_counter() - started:.1f} s with {options.workers} workers")
    return verdicts


def differing(chosen: list[Solution], verdicts: list[Verdict], outcomes: list[Outcome], programs: bool) -> int:
    """Prints every verdict that is not what the plain run says, and how many agree; returns how many do not."""
    counts, wrongly = Counter[str](), 0
    for solution, verdict, outcome in zip(chosen, verdicts, outcomes, strict=True):
        counts[f"plain {outcome.state}, judged {verdict.reason}"] += 1
        if (verdict.reward == 1) != (outcome.state == "right"):
            wrongly += 1
            where = f"in {verdict.seconds:.2f} s, test {verdict.first_failing_test}"
            print(f"  {solution.name}: judged {verdict.reason} {where}")
            print(f"    plain: {outcome.state} in {outcome.seconds:.2f} s {outcome.said}")
            if programs:
                print("    | " + solution.program.replace("\n", "\n    | "))
    print(f"{wrongly} of {len(chosen)} differ; {dict(counts.most_common())}", flush=True)
    return wrongly


def check_solutions(path: Path, runs: PlainRuns, options: argparse.Namespace) -> tuple[list[Solution], int]:
    """Judges a file's solutions; those that are right by a plain run, and how many verdicts differ."""
    chosen = list(solutions(path, options.limit))
    print(f"\n{path.name}: {len(chosen)} solutions")
    outcomes = runs.outcomes([solution.plain for solution in chosen])
    for solution, outcome in zip(chosen, outcomes, strict=True):
        if outcome.state != "right":
            print(f"  not right by plain CPython: {solution.name}: {outcome.state} {outcome.said}")
    wrongly = differing(chosen, judge(chosen, options), outcomes, programs=False)
    return [each for each, outcome in zip(chosen, outcomes, strict=True) if outcome.state == "right"], wrongly


def check_mutants(right: list[Solution], runs: PlainRuns, options: argparse.Namespace) -> int:
    """Judges mutants of right solutions; how many verdicts differ."""
    made = mutants(right, options.mutants, random.Random(options.seed))
    outcomes = runs.outcomes([solution.plain for solution in made])
    kept = [(each, outcome) for each, outcome in zip(made, outcomes, strict=True) if outcome.state != "timeout"]
    states = Counter(outcome.state for outcome in outcomes)
    print(f"\n{len(made)} mutants, by plain runs {dict(states)}")
    chosen = [each for each, _ in kept]
    return differing(chosen, judge(chosen, options), [outcome for _, outcome in kept], programs=True)


def main() -> int:
    """Judges and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}")
    runs = PlainRuns(options.remember, options.plain_seconds)
    checked = [check_solutions(path, runs, options) for path in options.files]
    wrongly = sum(count for _, count in checked)
    if options.mutants:
        wrongly += check_mutants([solution for right, _ in checked for solution in right], runs, options)
    return int(wrongly > 0)


if __name__ == "__main__":
    sys.exit(main())
