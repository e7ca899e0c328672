"""Measure the peak memory of what grows with the policy, each in processes of its own, against limits to keep.

    python -m perf.training.memory head | load | sync | export | all

head    log-probs and gradients of 8,192 tokens over 151,936 words: what comes on top of inputs, weights and gradients
load    a policy of 1.5B parameters on 2 ranks: growth of each rank over the float32 shard that it ends with
sync    the same ranks hand every whole weight, one by one, to somebody who keeps none
export  a sharded checkpoint of that policy, AdamW's moments included, to Hugging Face format: the whole process

Prints one row a figure with its limit; exits with 1 if one is missed. `load` needs about 8 GB of memory and 4 GB of
disk under $TMPDIR, `export` 29 GB of disk. Resident memory is the kernel's own high-water mark, pages of mapped files
included. With `--tiny` the policy is a small one, whose figures are no more than the memory of the process: they have
no limits.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from acereason.config.schema import ModelConfig
from perf.script import ROOT, command_line, start
from perf.tables import Table

FIGURES = ("head", "load", "sync", "export")
LIMITS = {"head": 1.0, "load": 1.3, "sync": 2.0, "export": 8.0}
"""In the units that `memory_side.py` reports each figure in."""


def commands(options: argparse.Namespace, folder: Path) -> Iterator[list[str]]:
    """Yield the command lines that measure the figures, one after the other."""
    module = ["-m", "perf.training.memory_side"]
    words = ["--folder", str(folder), "--chunk", str(options.chunk), *(["--tiny"] if options.tiny else [])]
    on_ranks = [figure for figure in options.figures if figure != "head"]
    first = [*(["head"] if "head" in options.figures else []), *(["model"] if on_ranks else [])]
    yield [sys.executable, *module, *words, *first]
    if on_ranks:
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        yield [sys.executable, *launch, *module, *words, *on_ranks]
    if "export" in options.figures:
        yield [sys.executable, *module, *words, "exported"]


def measured(command: Sequence[str]) -> Iterator[dict[str, str | float]]:
    """Run a command and yield the figures that it prints.

    Raises:
        SystemExit: it failed.
    """
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise SystemExit(process.returncode)


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run."""
    return ["all", "--tiny", "--chunk", "64"]


def main(words: Sequence[str]) -> int:
    """Measure and print; return 1 if a limit is missed."""
    parser = command_line(__doc__)
    parser.add_argument("figures", nargs="+", choices=[*FIGURES, "all"])
    parser.add_argument("--chunk", type=int, default=ModelConfig().head_chunk_tokens, help="head: tokens of a chunk")
    parser.add_argument("--tiny", action="store_true", help="a small policy, and no limits")
    options = parser.parse_args(words)
    options.figures = FIGURES if "all" in options.figures else options.figures
    table, missed = Table("peak memory", "value", "unit", "limit", "", first=62), False
    with tempfile.TemporaryDirectory() as folder:
        for command in commands(options, Path(folder)):
            for figure in measured(command):
                value, limit = float(figure["value"]), LIMITS[str(figure["figure"])]
                keeps = options.tiny or value < limit
                shown = ("none", "") if options.tiny else (f"{limit:g}", "ok" if keeps else "MISSED")
                table.row(f"{figure['figure']}: {figure['what']}", f"{value:.2f}", figure["unit"], *shown)
                missed |= not keeps
    return int(missed)


if __name__ == "__main__":
    start(main, smallest)
