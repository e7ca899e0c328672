r"""Judge a file of cases, honest and hostile programs with known verdicts; look for what they did to the machine.

    python -m perf.sandbox.cases CASES.jsonl [--workers 1] [--only NAME...] [--without LAYER...]

A row has `name`, `code`, `tests`, `kind`, `time_limit_s`, `expected_pass`, and in `must_not` what must be impossible.
Programs run nowhere but in the verifier, one after the other. After each verdict, and once more a second later, it is
looked at whether a process below this one has come that was not there; the largest resident memory of any of them is
watched throughout. At the end these are compared with the beginning: /tmp and /dev/shm (hostile programs try to write
/tmp/canary_*), control groups, mounts, System V objects, and every source file of the package. The environment has a
variable `CASES_SECRET_KEY`, which no program may see. Ends with 1 if a verdict is not the expected one or anything is
different. Where others work on the machine, `--not-alone` counts only files that the programs have named `canary_…`.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import acereason
from acereason.config.schema import SandboxConfig
from acereason.problems.formats.code_forms import code_form
from acereason.problems.problem import Problem
from acereason.problems.rows import open_rows
from acereason.verifiers.pool.pool import VerifierPool
from perf.leftovers import machine, processes_left
from perf.pools import code_pool
from perf.processes import adopt_orphans, command, generations, mib, status
from perf.sandbox.hostile import ANSWER, PROGRAMS
from perf.script import command_line, start
from perf.tables import Table

POOL_GENERATIONS = 3
"""Workers, keepers and zygotes; what is below them are programs."""
WAIT_SECONDS = 300.0
SECRET = "CASES_SECRET_KEY"


class Watch(threading.Thread):
    """Thread that looks at the memory of all processes below this one, every 20 ms.

    Attributes:
        largest: MiB of the largest process since it was last set to 0.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.largest = 0.0

    def run(self) -> None:
        """Look until this process ends."""
        while True:
            sizes = (mib(process) for level in generations() for process in level)
            self.largest = max(self.largest, *sizes, 0.0)
            time.sleep(0.02)


def programs() -> list[int]:
    """Return the processes below the pool's own."""
    return [process for level in generations()[POOL_GENERATIONS:] for process in level]


def sources() -> dict[Path, tuple[int, int]]:
    """Return when every file of the package was last changed, and its size."""
    found = Path(acereason.__file__).parent.rglob("*.py")
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in found}


def available_mib() -> int:
    """Return the memory of the machine that is to be had."""
    return next(int(line.split()[1]) >> 10 for line in open("/proc/meminfo") if line.startswith("MemAvailable"))


def judge_case(case: dict[str, Any], pool: VerifierPool, watch: Watch, table: Table) -> list[str]:
    """Judge one case and print what came of it; return what is not as it must be, in words."""
    problem = Problem(case["name"], "code", "", **vars(code_form(case)))
    watch.largest, started = 0.0, time.perf_counter()
    verdict = pool.submit_answer(problem, case["code"]).result(WAIT_SECONDS)
    seconds, left = time.perf_counter() - started, programs()
    table.row(case["name"], verdict.reason, f"{seconds:.2f}", f"{watch.largest:.0f}")
    found = [f"left at the verdict: {process} {status(process).get('State')}" for process in left]
    if (verdict.reward == 1) != case["expected_pass"]:
        found.append(f"judged {verdict.reason}, test {verdict.first_failing_test}, expected {case['expected_pass']}")
    if left:
        time.sleep(1.0)
        found += [f"left a second later: {process} {command(process)}" for process in programs() if process in left]
    return [f"{case['name']}: {each} (must not: {case['must_not']})" for each in found]


def judge_cases(rows: list[dict[str, Any]], workers: int, without: list[str]) -> list[str]:
    """Judge the cases one after the other; return what is not as it must be, in words."""
    watch = Watch()
    table = Table(f"{len(rows)} cases, user {os.geteuid()}", "judged", "seconds", "largest MiB", first=32, width=16)
    with code_pool(workers, SandboxConfig(without=without)) as pool:
        pool.wait_ready()
        watch.start()
        found = [each for row in rows for each in judge_case(row, pool, watch, table)]
        print(f"{pool.replaced} workers replaced")
    return found


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run: one honest case, one wrong, and hostile ones of known verdicts."""
    cases = {"honest": (ANSWER, True), "wrong": ("print(8)\n", False)}
    cases |= {name: (PROGRAMS[name][0], False) for name in ("exit", "write anywhere", "stubborn")}
    rows = [
        {"name": name, "code": code, "expected_pass": passes, "kind": "stdin", "must_not": "pass or live on"}
        | {"tests": [{"input": "3 4\n", "output": "7\n"}], "time_limit_s": 1.0}
        for name, (code, passes) in cases.items()
    ]
    path = folder / "cases.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [str(path), "--not-alone"]


def main(words: Sequence[str]) -> int:
    """Judge all cases and report."""
    parser = command_line(__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], help="names of the cases to run; all by default")
    parser.add_argument("--without", nargs="*", default=[], help="layers of isolation to leave out, as sandbox.without")
    parser.add_argument("--not-alone", action="store_true", help="others work on this machine")
    options = parser.parse_args(words)
    adopt_orphans()
    os.environ[SECRET] = "7919"
    rows = [row.values for row in open_rows(str(options.cases), "")[1]]
    rows = [row for row in rows if not options.only or row["name"] in options.only]
    before, files, memory = machine(), sources(), available_mib()
    found = judge_cases(rows, options.workers, options.without)
    time.sleep(1.0)
    found += processes_left()
    found += before.left_over(not options.not_alone)
    found += [f"changed: {path}" for path, stamp in sources().items() if files.get(path) != stamp]
    print(f"memory available: {memory} MiB before, {available_mib()} MiB after")
    print("\n".join(found) or f"all {len(rows)} verdicts as expected, nothing left or changed")
    return int(bool(found))


if __name__ == "__main__":
    start(main, smallest)
