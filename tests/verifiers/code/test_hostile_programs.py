"""Hostile programs in every kind of sandbox that can be had here: none passes, none changes anything outside."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import hostile_run
import pytest
from hostile_cases import CASES, POISONS, SLOW, Hostile
from outside import Outside

import acereason
from acereason.errors import UserError
from acereason.sandbox.zones import Zones

NOBODY = 65534
SOURCE = Path(acereason.__file__).parents[1]
WITHOUT = [[], ["user_namespace"], ["namespaces"]]


@pytest.fixture(scope="module", params=WITHOUT, ids=lambda without: f"without_{without[0]}" if without else "all")
def zones(request: pytest.FixtureRequest) -> Iterator[Zones]:
    try:
        zones = hostile_run.start(request.param)
    except UserError as error:
        pytest.skip(str(error))
    with closing(zones):
        yield zones


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    with Outside() as outside:
        yield outside


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_program_achieves_nothing(case: Hostile, zones: Zones, outside: Outside) -> None:
    if case.name in SLOW and zones.config.without:
        pytest.skip("once is enough")
    assert hostile_run.complaints(case, zones, outside) == []


@pytest.mark.parametrize("poison", POISONS)
def test_the_next_program_finds_no_trace_of_the_last_one(poison: str, zones: Zones) -> None:
    assert hostile_run.traces(poison, zones) == []


def interpreter() -> str | None:
    """One with which nobody can run this package."""
    for name in (sys.executable, shutil.which("python3.11", path="/usr/local/bin:/usr/bin"), "/usr/bin/python3"):
        command = [str(name), "-c", "import acereason.verifiers.code.run_tests"]
        try:
            done = subprocess.run(command, env={"PYTHONPATH": str(SOURCE)}, user=NOBODY, group=NOBODY, cwd="/")
        except OSError:
            continue
        if name and done.returncode == 0:
            return name
    return None


@pytest.mark.parametrize("without", [[], ["namespaces"]], ids=["all", "without_namespaces"])
def test_an_unprivileged_user_is_as_safe(without: list[str], tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("the other tests ran as an unprivileged user")
    python = interpreter()
    script = Path(hostile_run.__file__)
    if python is None or not os.stat(script).st_mode & 4:
        pytest.skip("no interpreter here that another user could start with this package")
    command = [python, str(script), *without]
    environment = {"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        command, env=environment, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True, text=True
    )
    if "code rewards need" in done.stderr or "no sandbox can be made" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"done as {NOBODY}"
