"""A curriculum that is killed in each stage ends as if it had not been."""

import subprocess
import sys
from pathlib import Path

from fresh_process import fresh_environment

ROOT = Path(__file__).resolve().parent.parent


def curriculum_kills(*words: str) -> str:
    # One thread a process: two of them run side by side, and the policy is small.
    env = fresh_environment(PYTHONPATH=str(ROOT / "src"), OMP_NUM_THREADS="1")
    command = [sys.executable, "benchmarks/curriculum_kills.py", *words]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=290)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_killed_in_each_stage_in_a_refilter_and_at_the_end_of_one_a_curriculum_ends_as_if_it_had_not_been() -> None:
    # The engine that starts sooner; `test_kills.py` kills the other one.
    said = curriculum_kills("--ranks", "1", "--kills", "4", "--seed", "6", "engine.name=transformers")
    assert "killed while the end of short is evaluated" in said
    assert "killed in the middle of the refilter of longer" in said
    assert "killed in code" in said
    assert "killed in longest" in said
    assert "identical on 1 rank(s)" in said
