"""Runs of `train.py`, each a process of its own, as users start them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from perf.script import ROOT

SMALLEST = (
    *("engine.name=transformers", "curriculum.prompts_per_step=4", "curriculum.rollouts_per_prompt=4"),
    *("curriculum.max_response_tokens=16", "evaluation.samples_per_problem=1"),
)
"""Settings of the smallest runs: the engine that starts sooner, few and short responses."""


def start_training(words: Sequence[str], output: IO[str] | IO[bytes], **environment: str) -> subprocess.Popen[bytes]:
    """Start `train.py` with the words, in a session of its own, so that signals to it reach nobody else."""
    path = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    return subprocess.Popen(
        [sys.executable, "train.py", *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path} | environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def train(words: Sequence[str], log: Path) -> None:
    """Train to the end.

    Raises:
        SystemExit: the run failed; with the end of what it printed.
    """
    with log.open("wb") as output:
        if start_training(words, output).wait():
            raise SystemExit(end_of(log))


def end_of(log: Path) -> str:
    """Return the last lines of a run's output."""
    return log.read_text(encoding="utf-8", errors="replace")[-3000:]
