"""Train on code problems: how long steps wait for programs that generation did not hide.

    python -m perf.training.code_waits [KEY=VALUE ...] [--steps 5] [--ranks 1 2] [--sleeps 0 0.2 1]

A few GRPO steps of the laptop policy on built-in code problems, in the real sandbox, for each number of ranks and each
kind of program: the policy's own, which take a millisecond, and the same ones made to sleep before they answer, by the
prelude of their problems. A row each: medians over the steps of `time/generate`, `time/verify_exposed` (from an
engine's last response until its last verdict) and `time/step`, in seconds, the mean reward, and the share of rollouts
that nothing could judge. A sleeping program takes a worker but no core.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median

from acereason.problems.laptop import laptop_problems
from acereason.problems.loaders import write_jsonl
from acereason.training.curves import Curve, read_scalars
from perf.script import command_line, start
from perf.tables import Table
from perf.trainings import SMALLEST, train

LEVELS = (1, 4)
PROBLEMS = 256
SETTINGS = (
    *("recipe=laptop_math", "problems.domain=code", "problems.held_out=0", "curriculum.prompts_per_step=16"),
    *("checkpoint.export=false", "checkpoint.every_n_steps=0", "log.progress_bar=false", "log.rollouts=false"),
)
SECONDS = {"generate": "time/generate", "exposed": "time/verify_exposed", "step": "time/step"}
SHARES = {"reward": "reward/mean", "unjudged": "reward/unjudged"}


def scalars(ranks: int, sleep: float, words: Sequence[str]) -> Mapping[str, Curve]:
    """Train on problems whose programs sleep; return what the run logged."""
    prelude = f"import time\ntime.sleep({sleep})\n" if sleep else ""
    problems = [replace(problem, prelude=prelude) for problem in laptop_problems("code", "train", PROBLEMS, LEVELS)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problems.jsonl"
        write_jsonl(problems, path)
        own = [f"run.root={folder}", "run.name=code", f"problems.path={path}", f"trainer.devices={ranks}"]
        train([*SETTINGS, *own, *words], Path(folder) / "log.txt")
        return read_scalars(Path(folder) / "code")


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run."""
    return [*SMALLEST, "--steps", "1", "--ranks", "1", "--sleeps", "0.2"]


def main(words: Sequence[str]) -> None:
    """Run every combination and print the table."""
    parser = command_line(__doc__)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sleeps", type=float, nargs="+", default=[0.0, 0.2, 1.0])
    parser.add_argument("words", nargs="*", help="settings of every run")
    options = parser.parse_args(words)
    steps = f"trainer.max_steps={options.steps}"
    table = Table(f"medians and means over {options.steps} steps", *SECONDS, *SHARES)
    for ranks in options.ranks:
        for sleep in options.sleeps:
            curves = scalars(ranks, sleep, [steps, *options.words])
            times = [f"{median(value for _, value in curves[tag]):.2f}" for tag in SECONDS.values()]
            shares = [f"{mean(value for _, value in curves[tag]):.3f}" for tag in SHARES.values()]
            table.row(f"{ranks} ranks, sleep {sleep} s", *times, *shares)


if __name__ == "__main__":
    start(main, smallest)
