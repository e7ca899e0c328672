"""Run the ablations of the paper at laptop scale, several at the same time, and draw one figure of each.

    python -m perf.ablations [NAME …] [--seeds 0,1,2] [--jobs 2] [--root FOLDER] [--steps-scale 1.0] [--docs]
                            [KEY=VALUE …]

Every run is a `train.py` of its own with a real engine, on one thread. Finished runs are skipped and begun ones
resumed, so the command may be stopped (Ctrl-C) and given again. `--steps-scale 0.1` is a quick look; settings
(KEY=VALUE) hold in every run, over those of its ablation. A figure and a table of each ablation are written to the
folder; `--docs` also puts them where docs/why/ablations.md shows them.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from acereason.training.curves import read_scalars
from perf.ablations.ablation import Ablation
from perf.ablations.arms import EVERY_RUN, START, ablations, math_start, starts_after_math
from perf.ablations.figures import Scalars, draw
from perf.ablations.tables import put, table
from perf.script import ROOT, command_line
from perf.trainings import SMALLEST, start_training

PAGE = ROOT / "docs" / "why" / "ablations.md"
STARTS = "math"
"""Folder of the math trainings that other runs start from."""


@dataclass(frozen=True)
class Run:
    """One `train.py`: where it is and what it is given. `start` is the run whose policy it starts from, if any."""

    folder: Path
    overrides: tuple[str, ...]
    start: Run | None = None

    @property
    def asked(self) -> Path:
        """Holds the settings that the run was begun with."""
        return self.folder / "ablation.json"

    def is_finished(self) -> bool:
        """Return whether it came to its end: a run draws its curves last. A run of other settings has to go first."""
        return (self.folder / "figures" / "curves.png").exists()

    def check(self) -> None:
        """Refuse a folder that holds a run of other settings.

        Raises:
            SystemExit: it does.
        """
        if self.asked.exists() and json.loads(self.asked.read_text()) != list(self.overrides):
            sys.exit(f"{self.folder} was made with other settings: delete it, or give another --root")


@dataclass
class Trainings:
    """The processes that train now; stopping them saves what they have."""

    running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    stopped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def train(self, run: Run, after: Future[bool] | None) -> bool:
        """Train one run to its end, once the run that it starts from has come to its own; return whether it did."""
        if after is not None and not after.result():
            return False
        run.folder.mkdir(parents=True, exist_ok=True)
        run.asked.write_text(json.dumps(run.overrides, indent=1))
        words = [*run.overrides, f"run.root={run.folder.parent}", f"run.name={run.folder.name}", "ckpt=auto"]
        with (run.folder / "log.txt").open("ab") as log:
            with self.lock:
                if self.stopped:
                    return False
                # Ctrl-C reaches this process alone, which then asks each run to leave.
                process = start_training(words, log, OMP_NUM_THREADS="1")
                self.running.add(process)
            process.wait()
            self.running.discard(process)
        return run.is_finished()

    def stop(self) -> None:
        """Ask every run to save and leave."""
        with self.lock:
            self.stopped = True
            for process in list(self.running):
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)


def plan(
    chosen: Sequence[Ablation], seeds: Sequence[int], root: Path, scale: float, settings: Sequence[str] = ()
) -> list[Run]:
    """Return all runs, those first that others start from; seed by seed, so that arms of a seed share the machine."""
    starts: dict[int, Run] = {}
    runs: list[Run] = []
    for ablation in chosen:
        for seed in seeds:
            for arm in ablation.arms:
                overrides = [*EVERY_RUN, *ablation.overrides(arm)]
                start = None
                if starts_after_math(overrides):
                    folder = root / STARTS / f"seed-{seed}"
                    start = starts.setdefault(seed, Run(folder, (*math_start(scale), *settings, f"seed={seed}")))
                    overrides = [word.replace(START, str(folder / "export")) for word in overrides]
                place = root / ablation.name / arm.name / f"seed-{seed}"
                runs.append(Run(place, (*overrides, *settings, f"seed={seed}"), start))
    return [*starts.values(), *runs]


def train_all(runs: Sequence[Run], jobs: int, root: Path) -> list[Run]:
    """Train what is not finished, `jobs` at a time, and return the runs that did not come to their end.

    Raises:
        KeyboardInterrupt: someone asked to stop; everything is saved.
    """
    for run in runs:
        run.check()
    left = [run for run in runs if not run.is_finished()]
    print(f"{len(runs)} runs, {len(runs) - len(left)} of them finished before, in {root}", flush=True)
    trainings = Trainings()
    with ThreadPoolExecutor(jobs) as pool:
        futures: dict[Run, Future[bool]] = {}
        for run in left:  # in this order, so that no run waits for one that no thread has taken yet
            futures[run] = pool.submit(trainings.train, run, futures.get(run.start) if run.start else None)
        try:
            _show({future: run.folder.relative_to(root) for run, future in futures.items()})
        except BaseException:
            trainings.stop()
            pool.shutdown(cancel_futures=True)
            raise
    return [run for run, future in futures.items() if not future.result()]


def _show(names: dict[Future[bool], Path]) -> None:
    """Print a line whenever a run ends, with the time that the rest will take if it is like what is done."""
    began = time.monotonic()
    for number, future in enumerate(as_completed(names), 1):
        minutes = (time.monotonic() - began) / 60
        rest = minutes / number * (len(names) - number)
        state = "done" if future.result() else "failed, see its log.txt"
        print(f"[{number}/{len(names)}] {names[future]} {state}; {minutes:.0f} min, about {rest:.0f} left", flush=True)


def report(ablation: Ablation, seeds: Sequence[int], root: Path, is_for_docs: bool) -> None:
    """Draw an ablation and print its table, from the runs that are finished; nothing while an arm has none."""
    runs: dict[str, list[Scalars]] = {}
    for arm in ablation.arms:
        folders = [root / ablation.name / arm.name / f"seed-{seed}" for seed in seeds]
        runs[arm.name] = [read_scalars(folder) for folder in folders if Run(folder, ()).is_finished()]
    if not all(runs.values()):
        print(f"{ablation.name}: not every arm has a finished run")
        return
    text = table(ablation, runs)
    print(f"\n{ablation.name}, after {ablation.paper}. {ablation.asks}\n\n{text}")
    draw(ablation, runs, root / f"{ablation.name}.png")
    (root / f"{ablation.name}.md").write_text(text + "\n", encoding="utf-8")
    if is_for_docs:
        draw(ablation, runs, PAGE.parent / "ablations" / f"{ablation.name}.png")
        put(PAGE, ablation.name, text)


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    known = list(ablations())
    parser = command_line(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(known)}; all without any")
    parser.add_argument("--seeds", default="0,1,2", help="seeds of every arm")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time, each on one thread")
    parser.add_argument("--root", type=Path, default=ROOT / "runs" / "ablations", help="folder of the runs")
    parser.add_argument("--steps-scale", type=float, default=1.0, help="multiplies the steps of every run")
    parser.add_argument("--docs", action="store_true", help="put figures and tables into docs/, too")
    options = parser.parse_args(words)
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    options.settings = [word for word in options.names if "=" in word]
    options.names = [word for word in options.names if "=" not in word] or known
    if unknown := set(options.names) - set(known):
        parser.error(f"no ablation {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return options


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run: an ablation with two arms, one of which starts from another run."""
    settings = (*SMALLEST, "problems.held_out=2", "evaluation.max_response_tokens=16")
    words = [*("--seeds", "0", "--steps-scale", "0.02"), "--root", str(folder)]
    return ["math_first", *settings, *words]


def main(words: Sequence[str] | None = None) -> int:
    """Train, then show; return 1 when a run failed, 130 when stopped."""
    options = arguments(words)
    every, root = ablations(options.steps_scale), options.root.resolve()
    chosen = [every[name] for name in options.names]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        runs = plan(chosen, options.seeds, root, options.steps_scale, options.settings)
        failed = train_all(runs, options.jobs, root)
    except KeyboardInterrupt:
        print("stopped; the same command resumes")
        return 130
    for ablation in chosen:
        report(ablation, options.seeds, root, options.docs)
    return 1 if failed else 0
