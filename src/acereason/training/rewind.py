"""A run's folder cut back to a step, so that a resumed run neither repeats nor misses a point."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from acereason.curricula.hard_prompts import REFILTER, SOLVE_RATES
from acereason.evaluation.evaluate import FOLDER as EVALUATIONS
from acereason.files import PARTIAL, whole_file
from acereason.training.checkpoint_files import read_manifest

EVENTS = "events.out.tfevents."
EVALUATION = "eval/"


def cut_back(folder: Path, step: int) -> None:
    """Remove from a run's folder what came after `step` rollout steps, and what a kill left half-written.

    Call it on one rank, while nothing else writes there.

    Args:
        folder: of the run; it may be missing.
        step: rollout steps of the checkpoint that the run resumes from; 0 starts afresh and keeps only the solve rates
            and the attempts of the initial policy.
    """
    for path in (folder / "checkpoints").glob(f"*{PARTIAL}"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    _cut_files(folder / "rollouts", step)
    # The files of `step` itself stay here: a refilter, or an evaluation that a stop interrupted, samples with the
    # policy after N steps when step N is saved already (with the initial policy before anything is saved); it resumes.
    # Attempts of another key are never used.
    for name in (REFILTER, SOLVE_RATES, EVALUATIONS):
        _cut_files(folder / name, step + 1)
    events = folder / "events"
    for path in events.glob(f"*{PARTIAL}"):
        path.unlink()
    files = sorted(path for path in events.glob(f"{EVENTS}*") if path.name.removeprefix(EVENTS)[:10].isdigit())
    again = _evaluates_again(folder, step)
    for path in files:
        _cut_events(path, step, again)
    _backdate([path for path in files if path.exists()])


def _cut_files(folder: Path, step: int) -> None:
    """Remove the files of `step` and later: file N holds what the policy after N steps sampled."""
    for path in folder.glob(f".*{PARTIAL}"):
        path.unlink()
    for path in folder.glob("step-*"):
        match = re.fullmatch(r"step-(\d+)(-rank-\d+(-\d+)?|-part-\d+)?", path.stem)
        if match and (int(match[1]) >= step or "-part-" in path.stem):  # parts are of an older version
            path.unlink()


def _evaluates_again(folder: Path, step: int) -> bool:
    """Return whether the resumed run begins with the evaluation of `step` itself."""
    try:
        return read_manifest(folder / "checkpoints" / f"step-{step:06d}").evaluation_due
    except (OSError, ValueError):
        return False


def _cut_events(path: Path, step: int, again: bool) -> None:
    """Keep the records up to `step`, byte for byte; remove a file with nothing left."""
    kept, size, has_content = [], 0, False
    for record in _records(path):
        event = Event.FromString(record)
        if step == 0 or event.step > step or (again and event.step == step and _is_evaluation(event)):
            continue
        kept.append(record)
        size += len(record) + 16  # two lengths of 8 bytes: the record's with its checksum, and the data's checksum
        has_content |= event.WhichOneof("what") != "file_version"
    if not has_content:
        path.unlink()
    elif size != path.stat().st_size:
        _rewrite(path, kept)


def _records(path: Path) -> Iterator[bytes]:
    """Yield the records of an event file up to the first torn one."""
    if path.stat().st_size:
        yield from RawEventFileLoader(str(path)).Load()


def _is_evaluation(event: Event) -> bool:
    return any(value.tag.startswith(EVALUATION) for value in event.summary.value)


def _rewrite(path: Path, records: list[bytes]) -> None:
    cut = path.with_name(f".cut{PARTIAL}")  # TensorBoard would read a name with `tfevents`
    with whole_file(path, cut) as beside, beside.open("wb") as file:
        writer = RecordWriter(file)
        for record in records:
            writer.write(record)


def _backdate(files: list[Path]) -> None:
    """Give event files earlier times, in the same order, so that those of the resumed run come after them.

    Readers sort event files by name, and a name begins with the time in seconds. A new file would come too early after
    a restart within the same second, or if an earlier clock ran ahead.
    """
    latest = int(time.time()) - 1
    for path in reversed(files):
        seconds, _, rest = path.name.removeprefix(EVENTS).partition(".")
        if int(seconds) > latest:
            path.rename(path.with_name(f"{EVENTS}{latest:010d}.{rest}"))
        latest = min(latest, int(seconds)) - 1
