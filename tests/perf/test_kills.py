"""A run that is killed, all its processes at once, goes on with the numbers of the run that nobody touched."""

import subprocess
import sys
from pathlib import Path

import pytest
from fresh_process import fresh_environment

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("ranks", [1, 2])
def test_killed_while_saving_and_while_generating_the_run_ends_as_if_it_had_not_been(ranks: int) -> None:
    command = [sys.executable, "benchmarks/kills.py", "--ranks", str(ranks), "--kills", "2", "--steps", "8"]
    env = fresh_environment(PYTHONPATH=str(ROOT / "src"))
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "killed while saving" in done.stdout
    assert "killed while generating" in done.stdout
    assert f"identical on {ranks} rank(s)" in done.stdout
