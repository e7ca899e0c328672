"""Kills a run again and again, lets it go on each time, and compares it with one that nobody touched.

    python benchmarks/kills.py [--ranks 2] [--kills 5] [--steps 24] [--seed 0] [KEY=VALUE ...]

All processes of the run get SIGKILL at the same time: once while a checkpoint is being written, once in the middle of
generation, else at a random moment. `ckpt=auto` goes on from the newest complete checkpoint. At the end every scalar
but time/* and throughput/*, every rollout and every exported weight must be exactly those of the untouched run.
Exit code 0 when they are; otherwise the first differences are printed.
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
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = [
    "trainer.accelerator=cpu",
    "problems.count=256",
    "problems.held_out=16",
    "evaluation.samples_per_problem=2",
    "evaluation.every_n_steps=5",
    "checkpoint.every_n_steps=3",
    "curriculum.prompts_per_step=8",
    "curriculum.rollouts_per_prompt=8",
    "log.progress_bar=false",
    "callbacks.mark.class_path=mark_generation.MarkGeneration",
]
NOT_COMPARED = ("time/", "throughput/")
MARKER = '''"""Leaves a file in the run's folder while responses are being generated."""

import os
from pathlib import Path

from lightning.pytorch import Callback


class MarkGeneration(Callback):
    def on_train_start(self, trainer, module):
        mark = Path(module.config.run.root) / module.config.run.name / "generating"
        engine = trainer.datamodule.engines.engine
        generate = engine.generate

        def marked(*arguments):
            for number, generation in enumerate(generate(*arguments)):
                if number == 2 and trainer.global_rank == 0:
                    mark.touch()
                yield generation
            if trainer.global_rank == 0:
                mark.unlink(missing_ok=True)

        engine.generate = marked
'''


class Run:
    """One process group that trains in `root/name`, its output in `root/name.log`."""

    def __init__(self, root: Path, name: str, ranks: int, words: list[str]) -> None:
        self.folder = root / name
        (root / "mark_generation.py").write_text(MARKER)
        path = os.pathsep.join([str(ROOT / "src"), str(root)])
        command = [sys.executable, "train.py", "recipe=laptop_math", f"run.root={root}", f"run.name={name}", f"trainer.devices={ranks}"]
        self.log = (root / f"{name}.log").open("a")
        self.process = subprocess.Popen(
            [*command, *SETTINGS, "ckpt=auto", *words],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": path},
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def finish(self) -> None:
        """Waits for the end and expects a good one."""
        if self.process.wait():
            said = Path(self.log.name).read_text()[-3000:]
            raise SystemExit(f"the run ended with {self.process.returncode}:\n{said}")

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


def moments(run: Run, kills: int, steps: int, draw: random.Random) -> list[tuple[str, Callable[[Run], None]]]:
    """When to kill: what to call it, and a function that waits for it."""

    def while_saving(run: Run) -> None:
        run.wait_for(lambda: any(run.folder.glob("checkpoints/*.partial/*.distcp")))

    def while_generating(run: Run) -> None:
        after = run.steps_done() + 1
        run.wait_for(lambda: run.steps_done() >= after and (run.folder / "generating").exists())

    def at_random(run: Run) -> None:
        after = run.steps_done() + draw.randrange(1, max(2, steps // kills))
        run.wait_for(lambda: run.steps_done() >= after)
        time.sleep(draw.random())

    named = [("while saving", while_saving), ("while generating", while_generating)]
    chosen = named[:kills] + [("at random", at_random)] * (kills - len(named))
    draw.shuffle(chosen)
    return chosen


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every point of every scalar that must repeat itself, those written twice twice."""
    events = EventAccumulator(str(folder / "events"), size_guidance={"scalars": 0})
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if not tag.startswith(NOT_COMPARED)]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def differences(ours: Path, theirs: Path) -> list[str]:
    """What is not exactly the same in two runs' folders."""
    found = []
    points = [scalars(folder) for folder in (ours, theirs)]
    for tag in sorted(points[0].keys() | points[1].keys()):
        if points[0].get(tag) != points[1].get(tag):
            found.append(f"scalar {tag}: {points[0].get(tag)} against {points[1].get(tag)}"[:500])
    files = [sorted(path.name for path in (folder / "rollouts").glob("*")) for folder in (ours, theirs)]
    if files[0] != files[1]:
        found.append(f"rollout files: {sorted(set(files[0]) ^ set(files[1]))}")
    for name in files[0]:
        if name in files[1] and not pq.read_table(ours / "rollouts" / name).equals(
            pq.read_table(theirs / "rollouts" / name)
        ):
            found.append(f"rollouts of {name}")
    weights = [load_file(folder / "export" / "model.safetensors") for folder in (ours, theirs)]
    found += [f"weight {name}" for name in weights[0] if not torch.equal(weights[0][name], weights[1][name])]
    return found


def main() -> int:
    """Runs, kills, compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("words", nargs="*")
    arguments = parser.parse_args()
    words = [f"trainer.max_steps={arguments.steps}", *arguments.words]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        whole = Run(root, "whole", arguments.ranks, words)
        whole.finish()
        for name, wait in moments(whole, arguments.kills, arguments.steps, random.Random(arguments.seed)):
            run = Run(root, "killed", arguments.ranks, words)
            wait(run)
            if run.process.poll() is not None:
                raise SystemExit(f"the run was over before it could be killed {name}")
            run.kill()
            saved = sorted(path.name for path in (run.folder / "checkpoints").glob("*"))
            print(f"killed {name} in step {run.steps_done()}; checkpoints: {' '.join(saved) or 'none'}", flush=True)
        last = Run(root, "killed", arguments.ranks, words)
        last.finish()
        found = differences(last.folder, whole.folder)
        tags = scalars(whole.folder)
        files = len(list((whole.folder / "rollouts").iterdir()))
    print("\n".join(found[:10]))
    if not found:
        print(f"identical on {arguments.ranks} rank(s): {len(tags)} scalars, {files} rollout files, all weights")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
