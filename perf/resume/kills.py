"""Kill a run again and again, resume it each time, and compare it with one that is left alone.

    python -m perf.resume.kills [--ranks 2] [--kills 5] [--steps 24] [--seed 0] [KEY=VALUE ...]

All processes of the run get SIGKILL at the same time: once while a checkpoint is being written, once in the middle of
generation, else at a random moment. `ckpt=auto` resumes from the newest complete checkpoint. At the end all that
`compare_runs.py` compares must be exactly that of the untouched run: every scalar but time/* and throughput/*, every
rollout, every exported weight. Exit code 0 when it is; otherwise the first differences are printed.

`curriculum_kills.py` does the same to a curriculum.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from perf.resume.killing import Moment, Run, report, run_with_kills
from perf.script import command_line, start

SETTINGS = [
    "recipe=laptop_math",
    "trainer.accelerator=cpu",
    "problems.count=256",
    "problems.held_out=16",
    "evaluation.samples_per_problem=2",
    "evaluation.every_n_steps=5",
    "checkpoint.every_n_steps=3",
    "curriculum.prompts_per_step=8",
    "curriculum.rollouts_per_prompt=8",
    "log.progress_bar=false",
]


def while_saving(run: Run) -> None:
    """Wait until a checkpoint is being written."""
    run.wait_for(lambda: any(run.wrote("checkpoints/*.partial/*.distcp")))


def while_generating(run: Run) -> None:
    """Wait for a step that is generated for the first time."""
    after = run.steps_done() + 1
    run.wait_for(lambda: run.steps_done() >= after and (run.folder / "generating").exists())


def moments(kills: int, steps: int, draw: random.Random) -> list[Moment]:
    """Return so many moments of a run of so many steps, in any order."""

    def at_random(run: Run) -> None:
        after = run.steps_done() + draw.randrange(1, max(2, steps // kills))
        run.wait_for(lambda: run.steps_done() >= after)
        time.sleep(draw.random())

    named = [Moment("while saving", while_saving), Moment("while generating", while_generating)]
    chosen = named[:kills] + [Moment("at random", at_random)] * (kills - len(named))
    draw.shuffle(chosen)
    return chosen


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run: one kill of each of the two chosen moments."""
    return ["--ranks", "1", "--kills", "2", "--steps", "8"]


def main(words: Sequence[str]) -> int:
    """Run, kill, compare."""
    parser = command_line(__doc__)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("words", nargs="*")
    options = parser.parse_args(words)
    settings = [*SETTINGS, f"trainer.max_steps={options.steps}", *options.words]
    with tempfile.TemporaryDirectory() as folder:
        with Run(Path(folder), "whole", options.ranks, settings) as whole:
            whole.finish()
        chosen = moments(options.kills, options.steps, random.Random(options.seed))
        return report(run_with_kills(Path(folder), options.ranks, settings, chosen), whole, options.ranks)


if __name__ == "__main__":
    start(main, smallest)
