"""What two runs of the same settings must have exactly the same, for `kills.py` and `curriculum_kills.py`.

Everything in their folders but times and what hangs on them: every scalar, text and histogram of TensorBoard, record by
record; every rollout and solve rate; the curriculum's history and every exported policy, byte by byte.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

NOT_COMPARED = ("time/", "throughput/")
FILES = ("curriculum.jsonl", "rollouts/*", "solve_rates/*", "refilter/*", "evaluations/*", "export/*", "stages/*/*")
TIMES = ("seconds",)
"""Columns that hold times."""
SHOWN = 500

Points = list[tuple[int, bytes]]


def curves(folder: Path) -> dict[str, Points]:
    """Return step and content of every point, text and histogram that must repeat itself, by tag."""
    found: dict[str, Points] = {}
    for path in sorted((folder / "events").glob("events.out.tfevents.*")):
        for record in RawEventFileLoader(str(path)).Load():
            event = Event.FromString(record)
            for value in event.summary.value:
                if not value.tag.startswith(NOT_COMPARED):
                    found.setdefault(value.tag, []).append((event.step, value.SerializeToString(deterministic=True)))
    return found


def files(folder: Path) -> dict[str, Any]:
    """Return the files that must repeat themselves, by path: tables of Parquet files, bytes of others."""
    paths = sorted(path for pattern in FILES for path in folder.glob(pattern) if path.is_file())
    return {str(path.relative_to(folder)): _content(path) for path in paths}


def _content(path: Path) -> Any:
    if path.suffix != ".parquet":
        return path.read_bytes()
    table = pq.read_table(path)
    return table.drop_columns([name for name in TIMES if name in table.column_names])


def differences(ours: Path, theirs: Path) -> list[str]:
    """Return what is not exactly the same in two runs' folders, in words."""
    mine, other = curves(ours), curves(theirs)
    found = [
        f"{tag}: {_first_difference(mine.get(tag, []), other.get(tag, []))}"[:SHOWN]
        for tag in sorted(mine.keys() | other.keys())
        if mine.get(tag) != other.get(tag)
    ]
    here, there = files(ours), files(theirs)
    for name in sorted(here.keys() | there.keys()):
        if name not in here or name not in there:
            found.append(f"{name}: only in {(ours if name in here else theirs).name}")
        elif here[name] != there[name]:
            found.append(f"{name}: {_first_line(here[name], there[name])}"[:SHOWN])
    return found


def _first_difference(ours: Points, theirs: Points) -> str:
    for mine, other in zip(ours, theirs, strict=False):
        if mine != other:
            return f"{_said(*mine)} against {_said(*other)}"
    return f"{len(ours)} points against {len(theirs)}"


def _said(step: int, content: bytes) -> str:
    value = Summary.Value.FromString(content)
    return f"step {step}: {value.simple_value if value.HasField('simple_value') else content!r}"


def _first_line(ours: Any, theirs: Any) -> str:
    """Return, of text, the first line that differs."""
    try:
        pairs = list(zip(ours.decode().splitlines(), theirs.decode().splitlines(), strict=False))
    except (AttributeError, UnicodeDecodeError):
        return "other content"
    return next((f"{mine} against {other}" for mine, other in pairs if mine != other), "other lengths")
