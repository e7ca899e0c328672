"""Kills a run at chosen moments, resumes it each time, and reports how it compares with one that was left alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from perf.resume.compare_runs import curves, differences, files
from perf.tables import Table
from perf.trainings import end_of, start_training

MARK = "callbacks.mark.class_path=perf.resume.mark_phases.MarkPhases"


class Run:
    """One process group that trains in `root/name`, its output in `root/name.log`. Use it as a context manager.

    Args:
        root: a folder.
        name: of the run; one that exists already is resumed.
        ranks: how many.
        words: of the command line.
    """

    def __init__(self, root: Path, name: str, ranks: int, words: Sequence[str]) -> None:
        self.folder = root / name
        own = [f"run.root={root}", f"run.name={name}", f"trainer.devices={ranks}", "ckpt=auto"]
        self.log = root / f"{name}.log"
        self.started = time.time()
        with self.log.open("ab") as output:
            self.process = start_training([*words, *own, MARK], output)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()

    def finish(self) -> None:
        """Wait for the end.

        Raises:
            SystemExit: the run failed.
        """
        if self.process.wait():
            raise SystemExit(f"the run ended with {self.process.returncode}:\n{end_of(self.log)}")

    def kill(self) -> None:
        """Send SIGKILL to the whole process group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds or the run is over."""
        while not condition() and self.process.poll() is None:
            time.sleep(0.001)

    def steps_done(self) -> int:
        """Return the number of rollout steps whose rollouts are on disk."""
        return len({path.name[:11] for path in self.folder.glob("rollouts/step-*.parquet")})

    def wrote(self, pattern: str) -> list[Path]:
        """Return the files and folders that this process has written, not one that was killed before it."""
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


def run_with_kills(root: Path, ranks: int, words: Sequence[str], chosen: Sequence[Moment]) -> Run:
    """Kill a run at each moment and resume it each time, in the end to its end.

    Raises:
        SystemExit: a moment has not come, or had passed when it was noticed.
    """
    table = Table(f"{len(chosen)} kills", "in step", "checkpoints left", first=56)
    for moment in chosen:
        with Run(root, "killed", ranks, words) as run:
            moment.wait(run)
            if run.process.poll() is not None:
                raise SystemExit(f"the run was over before it could be killed {moment.name}:\n{end_of(run.log)}")
        if not moment.was_hit(run):
            raise SystemExit(f"the run was not killed {moment.name}: too late")
        saved = sorted(path.name for path in (run.folder / "checkpoints").glob("*"))
        table.row(f"killed {moment.name}", run.steps_done(), " ".join(saved) or "none")
    with Run(root, "killed", ranks, words) as last:
        last.finish()
    return last


def report(ours: Run, theirs: Run, ranks: int) -> int:
    """Print how two runs compare; return the exit code."""
    found = differences(ours.folder, theirs.folder)
    print("\n".join(found[:10]))
    if not found:
        same = files(ours.folder)
        numbers = f"{len(curves(ours.folder))} curves, {len(same)} files (history, rollouts, solve rates, weights)"
        print(f"identical on {ranks} rank(s): {numbers}")
    return int(bool(found))
