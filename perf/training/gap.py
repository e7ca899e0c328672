"""Measure how far the log-probs of engine and policy are apart on the CPU, by the types that both compute in.

    python -m perf.training.gap --model FOLDER

vLLM samples responses at temperature 1, the policy computes the same tokens; each row in a process of its own. `mean`
and `max` are of the absolute difference, nats a token; `outside` is the share of tokens whose ratio of probabilities is
outside 0.9 to 1.1, `rejected` that of responses whose geometric mean of ratios is outside 0.99 to 1.01. What may be
concluded: what rounding alone explains for this model, and what a float32 head or float16 gains. Kernels of GPUs add up
in other orders; `rollout/logprob_gap_mean` of a run shows what they do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from perf.script import ROOT, command_line, start
from perf.tables import Table

ROWS = (
    ("float32", "model", "float32"),
    ("bfloat16", "model", "bfloat16"),
    ("bfloat16", "float32", "bfloat16"),
    ("bfloat16", "float32", "float32"),
    ("float16", "model", "float16"),
    ("float16", "float32", "float16"),
)
"""Type of the engine, of its head, of the policy."""


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run."""
    return ["--responses", "2", "--tokens", "4", "--rows", "1"]


def main(words: Sequence[str]) -> None:
    """Measure row by row."""
    parser = command_line(__doc__)
    parser.add_argument("--model", default=str(ROOT / "models" / "laptop"), help="model folder")
    parser.add_argument("--responses", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=160, help="longest response")
    parser.add_argument("--rows", type=int, default=len(ROWS), help="only the first so many")
    options = parser.parse_args(words)
    table = Table("engine, its head, policy", "mean", "max", "outside", "rejected", first=34)
    for row in ROWS[: options.rows]:
        command = [sys.executable, "-m", "perf.training.gap_side", options.model, *row]
        command += [str(options.responses), str(options.tokens)]
        environment = {"OMP_NUM_THREADS": "1", **os.environ}
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        shown = [f"{found['mean']:.2g}", f"{found['max']:.2g}", f"{found['outside']:.1%}", f"{found['rejected']:.1%}"]
        table.row(", ".join(row), *shown)


if __name__ == "__main__":
    start(main, smallest)
