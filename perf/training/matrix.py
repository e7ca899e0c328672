"""Train tiny models of many families in every way: types, checkpointing, ranks; compare engine, policy and gradients.

    python -m perf.training.matrix [FAMILY …] [--pairs]

Two steps of the real loop on the CPU for each combination of a family, {float32, bfloat16}, checkpointing on and off,
and {1 rank, 2 ranks, 2 copies}: on two ranks the policy is split between them or each has a copy. With `--pairs` only
as many as let each two values of two factors meet once. vLLM generates where it can run the family.

One row a run: the mean difference of the engine's and the policy's log-probs in the worst step, the norm of the first
gradient, and how far gradients are from those of the same run without checkpointing, and in float32 those of the first
step from the same on one rank, as a share of the gradient. Exits with 1 if a figure is beyond its limit. All of them
take about 15 minutes on two cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch

from perf.script import ROOT, command_line, start
from perf.tables import Table
from perf.training.families import FAMILIES, make_model

STEPS = 2
DTYPES = ("float32", "bfloat16")
LAYOUTS = ("1 rank", "2 ranks", "2 copies")
LARGEST_GAP = {"float32": 1e-4, "bfloat16": 4 * torch.finfo(torch.bfloat16).eps}
"""Nats, mean over the tokens of a step. In bfloat16 logits of size 4 to 8, as here, are 2^-5 apart."""
LARGEST_DIFFERENCE = {"checkpointing": 1e-6, "ranks": 1e-5}
"""Of gradients, as a share of their norm."""


@dataclass(frozen=True)
class Run:
    """A run of the matrix; `model` is the name of the folder of its model."""

    family: str
    dtype: str
    checkpointing: bool
    layout: str
    number: int = 0
    model: str = ""

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return 1 if self.layout == "1 rank" else 2

    @property
    def shard_ranks(self) -> int:
        """`trainer.shard_ranks`."""
        return 1 if self.layout == "2 copies" else 0


@dataclass(frozen=True)
class Result:
    """What a run measured.

    Attributes:
        gaps: mean difference of log-probs, nats, of each step.
        norms: norm of the gradient of each step.
        gradients: of each step by name, after clipping.
    """

    run: Run
    gaps: list[float]
    norms: list[float]
    gradients: list[dict[str, torch.Tensor]]

    def difference(self, other: Result, steps: int) -> float:
        """Return the largest ‖g₁ - g₂‖ / ‖g₁‖ of the first steps."""
        return max(_difference(*pair) for pair in zip(self.gradients[:steps], other.gradients[:steps], strict=True))


def _difference(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    a, b = (torch.cat([gradients[name].flatten().double() for name in sorted(ours)]) for gradients in (ours, theirs))
    return ((a - b).norm() / a.norm()).item()


def full_product(families: Iterable[str]) -> list[Run]:
    """Return every combination."""
    return [Run(*values) for values in product(families, DTYPES, (False, True), LAYOUTS)]


def pairs(families: Iterable[str]) -> list[Run]:
    """Return four runs a family, in which each two values of two factors meet: one rank in one type, two in the other.

    Both runs on one rank are the same but for checkpointing.
    """
    runs = []
    for index, family in enumerate(families):
        alone, together = DTYPES if index % 2 == 0 else DTYPES[::-1]
        runs += [Run(family, alone, checkpointing, "1 rank") for checkpointing in (False, True)]
        runs += [Run(family, together, (index // 2 + copy) % 2 == 0, LAYOUTS[1 + copy]) for copy in (0, 1)]
    return runs


def measure(runs: Sequence[Run], folder: Path) -> list[Result]:
    """Make the models, train all runs, and return the results in their order.

    Raises:
        SystemExit: a run failed.
    """
    models = {family: make_model(family, folder).name for family in dict.fromkeys(run.family for run in runs)}
    numbered = [replace(run, number=number, model=models[run.family]) for number, run in enumerate(runs)]
    rows: dict[int, dict[str, Any]] = {}
    for ranks in sorted({run.ranks for run in runs}):
        chosen = sorted((run for run in numbered if run.ranks == ranks), key=lambda run: (run.model, run.dtype))
        (folder / "runs.json").write_text(json.dumps([asdict(run) for run in chosen]))
        rows |= {row["number"]: row for row in _launched(ranks, folder)}
    return [
        Result(run, rows[run.number]["gaps"], rows[run.number]["norms"], torch.load(folder / f"{run.number}.pt"))
        for run in numbered
    ]


def _launched(ranks: int, folder: Path) -> list[dict[str, Any]]:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    command = [sys.executable, *launch, "-m", "perf.training.matrix_side", str(folder)]
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-1000:] + done.stderr[-5000:])
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def counterpart(result: Result, results: Iterable[Result], **changes: object) -> Result | None:
    """Return the result of the run that differs in so much only, or None."""
    wanted = asdict(result.run) | changes
    keys = ("family", "dtype", "checkpointing", "layout")
    found = (other for other in results if all(getattr(other.run, key) == wanted[key] for key in keys))
    return next(found, None)


def differences(result: Result, results: Iterable[Result]) -> dict[str, float]:
    """Return how far the gradients are from those without checkpointing and those on one rank, where there are such."""
    run, found = result.run, {}
    if run.checkpointing and (other := counterpart(result, results, checkpointing=False)):
        found["checkpointing"] = result.difference(other, STEPS)
    if run.ranks > 1 and run.dtype == "float32" and (other := counterpart(result, results, layout="1 rank")):
        found["ranks"] = result.difference(other, 1)
    return found


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run."""
    return ["--pairs"]


def main(words: Sequence[str]) -> int:
    """Train and print; return 1 if a figure is beyond its limit."""
    parser = command_line(__doc__)
    parser.add_argument("families", nargs="*", choices=[*FAMILIES, []], help="all if none is given")
    parser.add_argument("--pairs", action="store_true", help="four runs a family")
    options = parser.parse_args(words)
    chosen = options.families or list(FAMILIES)
    runs, beyond = pairs(chosen) if options.pairs else full_product(chosen), 0
    with tempfile.TemporaryDirectory() as folder:
        results = measure(runs, Path(folder))
    columns = ("type", "checkpoints", "ranks", "gap, nats", "grad norm", "recomputed", "one rank", "")
    table = Table("two steps of each run", *columns, first=16)
    for result in results:
        run, found = result.run, differences(result, results)
        fits = max(result.gaps) <= LARGEST_GAP[run.dtype]
        fits &= all(value <= LARGEST_DIFFERENCE[name] for name, value in found.items())
        shown = (f"{found[name]:.1e}" if name in found else "" for name in LARGEST_DIFFERENCE)
        how = (run.dtype, "yes" if run.checkpointing else "no", run.layout)
        table.row(
            run.family, *how, f"{max(result.gaps):.1e}", f"{result.norms[0]:.3f}", *shown, "" if fits else "BEYOND"
        )
        beyond += not fits
    return int(beyond > 0)


if __name__ == "__main__":
    start(main, smallest)
