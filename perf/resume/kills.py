"""Kills a run again and again, lets it go on each time, and compares it with one that nobody touched.

    python benchmarks/kills.py [--ranks 2] [--kills 5] [--steps 24] [--seed 0] [KEY=VALUE ...]

All processes of the run get SIGKILL at the same time: once while a checkpoint is being written, once in the middle of
generation, else at a random moment. `ckpt=auto` goes on from the newest complete checkpoint. At the end all that
`compare_runs.py` compares must be exactly that of the untouched run: every scalar but time/* and throughput/*, every
rollout, every exported weight. Exit code 0 when it is; otherwise the first differences are printed.

`curriculum_kills.py` does the same to a curriculum.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compare_runs import curves, differences, files

ROOT = Path(__file__).resolve().parent.parent
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
MARKER = '''"""Leaves a file in the run's folder while responses are generated, and while the policy is evaluated."""

import os
from pathlib import Path

from lightning.pytorch import Callback


class MarkPhases(Callback):
    def on_train_start(self, trainer, module):
        if trainer.global_rank:
            return
        folder = Path(module.config.run.root) / module.config.run.name
        data, engine = trainer.datamodule, trainer.datamodule.engines.engine
        generate, validate = engine.generate, data.validate

        def marked_generate(*arguments):
            for number, generation in enumerate(generate(*arguments)):
                if number == 2:
                    (folder / "generating").touch()
                yield generation
            (folder / "generating").unlink(missing_ok=True)

        def marked_validate():
            (folder / "evaluating").touch()
            result = validate()
            (folder / "evaluating").unlink()
            return result

        engine.generate, data.validate = marked_generate, marked_validate
'''


class Run:
    """One process group that trains in `root/name`, its output in `root/name.log`.

    Args:
        root: a folder.
        name: of the run; one that is there already goes on.
        ranks: how many.
        words: of the command line.
    """

    def __init__(self, root: Path, name: str, ranks: int, words: Sequence[str]) -> None:
        self.folder = root / name
        (root / "mark_phases.py").write_text(MARKER)
        own = [f"run.root={root}", f"run.name={name}", f"trainer.devices={ranks}", "ckpt=auto"]
        mark = "callbacks.mark.class_path=mark_phases.MarkPhases"
        self.log = (root / f"{name}.log").open("a")
        self.started = time.time()
        self.process = subprocess.Popen(
            [sys.executable, "train.py", *words, *own, mark],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(root)])},
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def __enter__(self) -> Run:
        """Itself; whatever happens, it ends with the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves no process behind."""
        if self.process.poll() is None:
            self.kill()

    def finish(self) -> None:
        """Waits for the end and expects a good one."""
        if self.process.wait():
            raise SystemExit(f"the run ended with {self.process.returncode}:\n{self.said()}")

    def said(self) -> str:
        """The end of its output."""
        return Path(self.log.name).read_text()[-3000:]

    def kill(self) -> None:
        """SIGKILL for the whole process group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Returns once the condition holds or the run is over."""
        while not condition() and self.process.poll() is None:
            time.sleep(0.001)

    def steps_done(self) -> int:
        """Rollout steps whose rollouts are on disk."""
        return len({path.name[:11] for path in self.folder.glob("rollouts/step-*.parquet")})

    def wrote(self, pattern: str) -> list[Path]:
        """The files and folders that this process has written, not one that was killed before it."""
        try:
            return sorted(path for path in self.folder.glob(pattern) if path.stat().st_mtime >= self.started)
        except FileNotFoundError:  # one of them was renamed at this very moment
            return []


@dataclass(frozen=True)
class Moment:
    """When to kill a run.

    Attributes:
        name: in words.
        wait: returns when it has come.
        was_hit: whether what the killed run has left shows that it was not over yet.
    """

    name: str
    wait: Callable[[Run], None]
    was_hit: Callable[[Run], bool] = lambda run: True


def while_saving(run: Run) -> None:
    """Waits until a checkpoint is being written."""
    run.wait_for(lambda: any(run.wrote("checkpoints/*.partial/*.distcp")))


def while_generating(run: Run) -> None:
    """Waits for a step that is generated for the first time."""
    after = run.steps_done() + 1
    run.wait_for(lambda: run.steps_done() >= after and (run.folder / "generating").exists())


def moments(kills: int, steps: int, draw: random.Random) -> list[Moment]:
    """So many moments of a run of so many steps, in any order."""

    def at_random(run: Run) -> None:
        after = run.steps_done() + draw.randrange(1, max(2, steps // kills))
        run.wait_for(lambda: run.steps_done() >= after)
        time.sleep(draw.random())

    named = [Moment("while saving", while_saving), Moment("while generating", while_generating)]
    chosen = named[:kills] + [Moment("at random", at_random)] * (kills - len(named))
    draw.shuffle(chosen)
    return chosen


def run_with_kills(root: Path, ranks: int, words: Sequence[str], chosen: Sequence[Moment]) -> Run:
    """Kills a run at each moment and lets it go on each time, in the end to its end.

    Raises:
        SystemExit: a moment has not come, or had passed when it was noticed.
    """
    for moment in chosen:
        with Run(root, "killed", ranks, words) as run:
            moment.wait(run)
            if run.process.poll() is not None:
                raise SystemExit(f"the run was over before it could be killed {moment.name}:\n{run.said()}")
        if not moment.was_hit(run):
            raise SystemExit(f"the run was not killed {moment.name}: too late")
        saved = sorted(path.name for path in (run.folder / "checkpoints").glob("*"))
        print(f"killed {moment.name} in step {run.steps_done()}; checkpoints: {' '.join(saved) or 'none'}", flush=True)
    with Run(root, "killed", ranks, words) as last:
        last.finish()
    return last


def report(ours: Run, theirs: Run, ranks: int) -> int:
    """Prints how two runs compare; returns the exit code."""
    found = differences(ours.folder, theirs.folder)
    print("\n".join(found[:10]))
    if not found:
        same = files(ours.folder)
        numbers = f"{len(curves(ours.folder))} curves, {len(same)} files (history, rollouts, solve rates, weights)"
        print(f"identical on {ranks} rank(s): {numbers}")
    return int(bool(found))


def main() -> int:
    """Runs, kills, compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("words", nargs="*")
    arguments = parser.parse_args()
    words = [*SETTINGS, f"trainer.max_steps={arguments.steps}", *arguments.words]
    with tempfile.TemporaryDirectory() as folder:
        with Run(Path(folder), "whole", arguments.ranks, words) as whole:
            whole.finish()
        chosen = moments(arguments.kills, arguments.steps, random.Random(arguments.seed))
        return report(run_with_kills(Path(folder), arguments.ranks, words, chosen), whole, arguments.ranks)


if __name__ == "__main__":
    sys.exit(main())
