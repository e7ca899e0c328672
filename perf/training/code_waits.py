"""Trains on code problems: how long steps wait for programs that generation did not hide.

    python benchmarks/code_training.py [--steps 5] [--ranks 1 2] [--sleeps 0 0.2 1]

A few GRPO steps of the laptop policy on built-in code problems, in the real sandbox, for each number of ranks and each
kind of program: the policy's own, which take a millisecond, and the same ones made to sleep before they answer, by the
prelude of their problems. A line each: medians over the steps of `time/generate`, `time/verify_exposed` (from an
engine's last response until its last verdict) and `time/step`, in seconds, the mean reward, and the share of rollouts
that nothing could judge. A sleeping program takes a worker but no core.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import mean, median

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from acereason.problems.laptop import laptop_problems
from acereason.problems.loaders import write_jsonl

ROOT = Path(__file__).resolve().parents[1]
LEVELS = (1, 4)
PROBLEMS = 256
SETTINGS = (
    *("problems.domain=code", "problems.held_out=0", "curriculum.prompts_per_step=16", "log.rollouts=false"),
    *("checkpoint.export=false", "checkpoint.every_n_steps=0", "run.name=code", "log.progress_bar=false"),
)


def train(folder: Path, ranks: int, sleep: float, steps: int) -> EventAccumulator:
    """Trains on problems whose programs sleep; returns the run's scalars."""
    prelude = f"import time\ntime.sleep({sleep})\n" if sleep else ""
    problems = [replace(problem, prelude=prelude) for problem in laptop_problems("code", "train", PROBLEMS, LEVELS)]
    write_jsonl(problems, folder / "problems.jsonl")
    command = [
        sys.executable,
        "train.py",
        "recipe=laptop_math",
        f"run.root={folder}",
        f"problems.path={folder / 'problems.jsonl'}",
        *SETTINGS,
    ]
    command += [f"trainer.devices={ranks}", f"trainer.max_steps={steps}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    events = EventAccumulator(str(folder / "code" / "events"))
    events.Reload()
    return events


def values(events: EventAccumulator, tag: str) -> list[float]:
    """A scalar at every step."""
    return [event.value for event in events.Scalars(tag)]


def main() -> None:
    """Runs every combination and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sleeps", type=float, nargs="+", default=[0.0, 0.2, 1.0])
    options = parser.parse_args()
    print(f"{'ranks':>5} {'sleep s':>8} {'generate':>9} {'exposed':>9} {'step':>9} {'reward':>8} {'unjudged':>9}")
    for ranks in options.ranks:
        for sleep in options.sleeps:
            with tempfile.TemporaryDirectory() as folder:
                events = train(Path(folder), ranks, sleep, options.steps)
                seconds = [median(values(events, f"time/{name}")) for name in ("generate", "verify_exposed", "step")]
                shares = [mean(values(events, f"reward/{name}")) for name in ("mean", "unjudged")]
            times = " ".join(f"{value:>9.2f}" for value in seconds)
            print(f"{ranks:>5} {sleep:>8.1f} {times} {shares[0]:>8.3f} {shares[1]:>9.3f}", flush=True)


if __name__ == "__main__":
    main()
