"""A week of training in small: thousands of steps on two ranks, and what grew meanwhile.

    python -m perf.training.long_run [--steps 2000] [--ranks 2] [KEY=VALUE ...]

Small steps with everything in them: rollouts, verifiers, evaluations, checkpoints, event and rollout files. Every few
seconds the memory, open descriptors, threads and children of every rank are noted. Printed are the medians over the
first and the last tenth of the run, without the first 2%, and the step times of the same parts.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from acereason.training.curves import read_scalars
from perf.processes import children, descriptors, mib, threads
from perf.script import command_line, start
from perf.tables import Table
from perf.trainings import SMALLEST, end_of, start_training

SETTINGS = [
    *("recipe=laptop_math", "run.name=long", "trainer.accelerator=cpu", "log.progress_bar=false"),
    *("curriculum.prompts_per_step=4", "curriculum.rollouts_per_prompt=4", "curriculum.max_response_tokens=24"),
    *("evaluation.samples_per_problem=1", "evaluation.every_n_steps=50", "checkpoint.every_n_steps=25"),
    "problems.held_out=8",
]
TIMES = ("time/step", "time/sync", "time/generate", "time/train")
Sample = dict[str, float]


def ranks_of(run: int, ranks: int) -> list[int]:
    """Return the processes that train, in the order of ranks: children of the launcher, or the run itself if alone."""
    if ranks == 1:
        return [run]
    found = {}
    for child in children(run):
        environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        rank = [int(entry[5:]) for entry in environment if entry.startswith(b"RANK=")]
        if rank:
            found[rank[0]] = child
    return [found[rank] for rank in sorted(found)]


def sample(process: int) -> Sample:
    """Return memory (MiB, resident and of its own), descriptors, threads and children of a process."""
    return {
        "resident MiB": mib(process),
        "own memory MiB": mib(process, "RssAnon"),
        "descriptors": descriptors(process),
        "threads": threads(process),
        "children": len(children(process)),
    }


def watched(run: subprocess.Popen[bytes], folder: Path, options: argparse.Namespace) -> list[list[Sample]]:
    """Watch a run until it ends; return the samples of each rank, taken between its first step and its last."""
    samples: list[list[Sample]] = [[] for _ in range(options.ranks)]
    while run.poll() is None:
        time.sleep(options.every)
        try:
            found = [sample(process) for process in ranks_of(run.pid, options.ranks)]
        except OSError:  # a process ended while it was looked at
            continue
        steps_done = len(list(folder.glob("rollouts/*.parquet"))) / options.ranks
        if len(found) == options.ranks and 0 < steps_done < options.steps and all(map(is_alive, found)):
            for rows, row in zip(samples, found, strict=True):
                rows.append(row)
    return samples


def is_alive(seen: Sample) -> bool:
    """Return whether a process was there when it was looked at."""
    return seen["threads"] > 0


def parts(values: list[float]) -> tuple[list[float], list[float]]:
    """Return the first tenth after 2% of warm-up, and the last tenth."""
    tenth = max(1, len(values) // 10)
    first = len(values) // 50
    return values[first : first + tenth], values[-tenth:]


def show(table: Table, name: str, values: list[float]) -> None:
    """Print the median of the first and of the last part, and by how much it changed."""
    first, last = (median(part) for part in parts(values))
    table.row(name, f"{first:.3f}", f"{last:.3f}", f"{last - first:+.3f}")


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run."""
    often = ("evaluation.every_n_steps=3", "checkpoint.every_n_steps=3", "problems.held_out=2")
    return ["--steps", "6", "--every", "0.1", *SMALLEST, *often]


def main(words: Sequence[str]) -> int:
    """Train, watch, print."""
    parser = command_line(__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two looks")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as root:
        folder, log = Path(root) / "long", Path(root) / "log.txt"
        own = [f"run.root={root}", f"trainer.devices={options.ranks}", f"trainer.max_steps={options.steps}"]
        with log.open("wb") as output:
            run = start_training([*SETTINGS, *own, *options.words], output)
            samples = watched(run, folder, options)
        if run.returncode:
            print(end_of(log))
            return 1
        if not all(samples):
            print(f"no look in {options.steps} steps: give more --steps, or look more often with --every")
            return 1
        looks = len(samples[0])
        table = Table(
            f"{options.steps} steps, {options.ranks} ranks, {looks} looks", "first", "last", "change", first=32
        )
        for rank, rows in enumerate(samples):
            for name in rows[0]:
                show(table, f"rank {rank} {name}", [row[name] for row in rows])
        scalars = read_scalars(folder)
        for tag in TIMES:
            show(table, f"{tag} s", [value for _, value in scalars[tag]])
    return 0


if __name__ == "__main__":
    start(main, smallest)
