"""A week of training in small: thousands of steps on two ranks, and what grew meanwhile.

    python benchmarks/long_run.py [--steps 2000] [--ranks 2] [KEY=VALUE ...]

Small steps with everything in them: rollouts, verifiers, evaluations, checkpoints, event and rollout files. Every few
seconds the memory, open descriptors, threads and children of every rank are noted. Printed are the medians over the
first and the last tenth of the run, without the first 2%, and the step times of the same parts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from acereason.training.curves import read_scalars

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = [
    *("run.name=long", "trainer.accelerator=cpu", "log.progress_bar=false", "problems.held_out=8"),
    *("curriculum.prompts_per_step=4", "curriculum.rollouts_per_prompt=4", "curriculum.max_response_tokens=24"),
    *("evaluation.samples_per_problem=1", "evaluation.every_n_steps=50", "checkpoint.every_n_steps=25"),
]
Sample = dict[str, float]


def ranks_of(launcher: int) -> list[int]:
    """Process ids of the launcher's children that train, in the order of ranks."""
    found = {}
    for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        ranks = [int(entry[5:]) for entry in environment if entry.startswith(b"RANK=")]
        if ranks:
            found[ranks[0]] = int(child)
    return [found[rank] for rank in sorted(found)]


def sample(pid: int) -> Sample:
    """Memory (MiB, resident and of its own), descriptors, threads and children of a process."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    children = [
        Path(f"/proc/{pid}/task/{task}/children").read_text().split() for task in os.listdir(f"/proc/{pid}/task")
    ]
    return {
        "resident MiB": int(status["VmRSS"].split()[0]) / 1024,
        "own memory MiB": int(status["RssAnon"].split()[0]) / 1024,
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(status["Threads"]),
        "children": sum(map(len, children)),
    }


def parts(values: list[float]) -> tuple[list[float], list[float]]:
    """The first tenth after 2% of warm-up, and the last tenth."""
    tenth = max(1, len(values) // 10)
    start = len(values) // 50
    return values[start : start + tenth], values[-tenth:]


def show(name: str, values: list[float]) -> None:
    """One line: median of the first and of the last part, and by how much it changed."""
    first, last = (median(part) for part in parts(values))
    print(f"{name:32} {first:10.3f} {last:10.3f} {last - first:+10.3f}")


def main() -> int:
    """Trains, watches, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("words", nargs="*")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "train.py",
            "recipe=laptop_math",
            f"run.root={folder}",
            f"trainer.devices={arguments.ranks}",
        ]
        command += [*SETTINGS, f"trainer.max_steps={arguments.steps}", *arguments.words]
        log = Path(folder) / "log.txt"
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        with log.open("w") as output:
            run = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
            samples: list[list[Sample]] = [[] for _ in range(arguments.ranks)]
            while run.poll() is None:
                time.sleep(3)
                try:
                    found = [sample(pid) for pid in ranks_of(run.pid)]
                except (OSError, KeyError, ValueError):  # a process ended while it was looked at
                    continue
                steps_done = len(list(Path(folder).glob("long/rollouts/*.parquet"))) / arguments.ranks
                if len(found) == arguments.ranks and 0 < steps_done < arguments.steps:
                    for rows, row in zip(samples, found, strict=True):
                        rows.append(row)
        if run.returncode:
            print(log.read_text()[-3000:])
            return 1
        print(f"{arguments.steps} steps on {arguments.ranks} ranks{'first':>10} {'last':>10} {'change':>10}")
        for rank, rows in enumerate(samples):
            for name in rows[0]:
                show(f"rank {rank} {name}", [row[name] for row in rows])
        scalars = read_scalars(Path(folder) / "long")
        for tag in ("time/step", "time/sync", "time/generate", "time/train"):
            show(f"{tag} s", [value for _, value in scalars[tag]])
    return 0


if __name__ == "__main__":
    sys.exit(main())
