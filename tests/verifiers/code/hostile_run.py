"""Runs hostile programs and tells what is wrong; as a script, all of them, as whoever started it."""

import sys
from contextlib import closing

from hostile_cases import CASES, CHECK, LOOK, PASSED, POISONS, SLOW, Hostile
from outside import Outside

from acereason.config.schema import SandboxConfig
from acereason.problems.problem import CodeTest, CodeTests, Problem
from acereason.sandbox.isolation import find_isolation
from acereason.sandbox.zones import Zones
from acereason.verifiers.code.run_tests import run_tests

LIMITS = {"time_limit_seconds": 1.0, "total_time_limit_seconds": 2.0, "memory_mib": 256, "processes": 24}
SIZES = {"output_mib": 2, "tmp_mib": 2}
ROOM = "x" * 400_000
"""An argument longer than what a socket holds."""


def start(without: list[str]) -> Zones:
    """Zones that do without some layers."""
    config = SandboxConfig(**LIMITS, **SIZES, without=without)  # type: ignore[arg-type]
    return Zones(config, find_isolation(config))


def problem(case: Hostile) -> Problem:
    """To add 3 and 4. Those that should not run into the limit of time get more of it: machines are busy."""
    limit = None if "timeout" in case.reasons else 20.0
    if case.kind == "check":
        return Problem(case.name, "code", "", check=CHECK, entry_point="add", time_limit_seconds=limit)
    if case.kind == "stdin":
        test, name = CodeTest("3 4\n", "7\n"), None
    else:
        test, name = CodeTest([3, ROOM if case.name.startswith("reads_in_pieces") else 4], 7), "add"
    return Problem(case.name, "code", "", tests=CodeTests.pack([test]), entry_point=name, time_limit_seconds=limit)


def complaints(case: Hostile, zones: Zones, outside: Outside) -> list[str]:
    """What a program achieved that it should not have."""
    source = outside.names + case.code
    reason = run_tests(zones, problem(case), source).reason
    wrong = [] if reason in case.reasons else [f"{reason}, not {' or '.join(case.reasons)}"]
    if wrong and case.reasons == PASSED:
        wrong.append(zones.output_of(source, b"3 4\n")[-500:])
    if alive := zones.zone("program", source).descendants():
        wrong.append(f"processes {alive} are left")
    return [f"{case.name}: {each}" for each in (*wrong, *outside.changes())]


def traces(poison: str, zones: Zones) -> list[str]:
    """What the next program finds otherwise after one that tried to leave something."""
    before = zones.output_of(LOOK, b"input")
    zones.output_of(POISONS[poison])
    after = zones.output_of(LOOK, b"input")
    assert before.startswith("input"), before
    return [] if after == before else [f"{poison}: {after!r} where it was {before!r}"]


if __name__ == "__main__":
    with closing(start(sys.argv[1:])) as zones, Outside() as outside:
        wrong = [each for case in CASES if case.name not in SLOW for each in complaints(case, zones, outside)]
        wrong += [each for poison in POISONS for each in traces(poison, zones)]
        print(*wrong, sep="\n")
        print("done as", zones.output_of("import os; print(os.getuid())").strip())
