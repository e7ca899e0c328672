r"""Judges a file of cases, honest and hostile programs with known verdicts, and looks for what they did to the machine.

    python benchmarks/code_cases.py CASES.jsonl [--workers 1] [--only NAME...] [--without LAYER...]

A row has `name`, `code`, `tests`, `kind`, `time_limit_s`, `expected_pass`, and in `must_not` what must be impossible.
Programs run nowhere but in the verifier, one after the other. After each verdict, and once more a second later, it is
looked at whether a process below this one has come that was not there; the largest resident memory of any of them is
watched throughout. At the end these are compared with the beginning: /tmp and /dev/shm (hostile programs try to write
/tmp/canary_*), control groups, mounts, System V objects, and every source file of the package. The environment has a
variable `CASES_SECRET_KEY`, which no program may see. Ends with 1 if a verdict is not the expected one or anything is
different.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import threading
import time
from pathlib import Path
from typing import Any

from math_leaks import resident, status
from process_tree import adopt_orphans, bury_the_dead, command, generations, machine

import acereason
from acereason.config.schema import SandboxConfig
from acereason.problems.formats.code_forms import code_form
from acereason.problems.problem import Problem
from acereason.problems.rows import open_rows
from acereason.verifiers.pool.pool import VerifierPool

POOL_MEMORY_MIB = 2048
POOL_GENERATIONS = 3
"""Workers, keepers and zygotes; what is below them are programs."""
WAIT_SECONDS = 300.0
SECRET = "CASES_SECRET_KEY"


class Watch(threading.Thread):
    """Watches the memory of all processes below this one, every 20 ms.

    Attributes:
        largest: MiB of the largest process since it was last set to 0.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.largest = 0.0

    def run(self) -> None:
        """Watches until this process ends."""
        while True:
            sizes = (resident(process) for level in generations() for process in level)
            self.largest = max(self.largest, *sizes, 0.0)
            time.sleep(0.02)


def programs() -> list[int]:
    """Processes below the pool's own."""
    return [process for level in generations()[POOL_GENERATIONS:] for process in level]


def sources() -> dict[Path, tuple[int, int]]:
    """When every file of the package was last changed, and its size."""
    found = Path(acereason.__file__).parent.rglob("*.py")
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in found}


def available_mib() -> int:
    """Memory of the machine that is to be had."""
    return next(int(line.split()[1]) >> 10 for line in open("/proc/meminfo") if line.startswith("MemAvailable"))


def run_case(case: dict[str, Any], pool: VerifierPool, watch: Watch) -> list[str]:
    """Judges one case and prints what it came to; what is not as it must be."""
    problem = Problem(case["name"], "code", "", **vars(code_form(case)))
    watch.largest, started = 0.0, time.perf_counter()
    verdict = pool.submit_answer(problem, case["code"]).result(WAIT_SECONDS)
    seconds, left = time.perf_counter() - started, programs()
    print(f"{case['name']:32}{verdict.reason:16}{seconds:8.2f} s{watch.largest:10.0f} MiB", flush=True)
    found = [f"left at the verdict: {process} {status(process).get('State')}" for process in left]
    if (verdict.reward == 1) != case["expected_pass"]:
        found.append(f"judged {verdict.reason}, test {verdict.first_failing_test}, expected {case['expected_pass']}")
    if left:
        time.sleep(1.0)
        found += [f"left a second later: {process} {command(process)}" for process in programs() if process in left]
    return [f"{case['name']}: {each} (must not: {case['must_not']})" for each in found]


def main() -> int:
    """Judges all cases and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], help="names of the cases to run; all by default")
    parser.add_argument("--without", nargs="*", default=[], help="layers of isolation to leave out, as sandbox.without")
    options = parser.parse_args()
    adopt_orphans()
    os.environ[SECRET] = "7919"
    rows = [row.values for row in open_rows(str(options.cases), "")[1]]
    rows = [row for row in rows if not options.only or row["name"] in options.only]
    before, files, memory, watch = machine(), sources(), available_mib(), Watch()
    print(f"{len(rows)} cases, {os.cpu_count()} cores, {platform.platform()}, user {os.geteuid()}")
    sandbox = SandboxConfig(without=options.without)
    with VerifierPool(options.workers, 5.0, POOL_MEMORY_MIB, domains=("code",), sandbox=sandbox) as pool:
        pool.wait_ready()
        watch.start()
        found = [each for row in rows for each in run_case(row, pool, watch)]
        replaced = pool.replaced
    time.sleep(1.0)
    bury_the_dead()
    found += [f"left at the end: {process} {command(process)}" for level in generations() for process in level]
    found += [f"new: {each}" for each in before.left_over()]
    found += [f"changed: {path}" for path, stamp in sources().items() if files.get(path) != stamp]
    print(f"\n{replaced} workers replaced; memory available: {memory} MiB before, {available_mib()} MiB after")
    print("\n".join(found) or f"all {len(rows)} verdicts as expected, nothing left or changed")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
