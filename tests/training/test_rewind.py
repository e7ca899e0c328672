"""The folder of a resumed run is as it was at the step that it resumes from, whatever a kill left there."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from acereason.training.checkpoint_files import Manifest, write_manifest
from acereason.training.rewind import cut_back


def write_steps(folder: Path, steps: Iterable[int]) -> Path:
    """Write what a run does, two scalars and a text at each step and a score every two; return the event file."""
    logger = TensorBoardLogger(folder.parent, name=folder.name, version="events")
    for step in steps:
        logger.log_metrics({"reward/mean": step / 8, "policy/loss": -1.0}, step)
        logger.experiment.add_text("rollouts", f"text {step}", step)
        if step % 2 == 0:
            logger.log_metrics({"eval/pass@1": step / 16}, step)
    path = Path(logger.experiment.file_writer.event_writer._file_name)
    logger.experiment.close()
    return path


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder / "events"), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    found = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    texts = events.Tensors("rollouts/text_summary") if events.Tags()["tensors"] else []
    return found | {"text": [(e.step, e.tensor_proto.string_val[0].decode()) for e in texts]}


def expected(steps: Iterable[int]) -> dict[str, list[tuple[int, float]]]:
    steps = list(steps)
    return {
        "reward/mean": [(step, step / 8) for step in steps],
        "policy/loss": [(step, -1.0) for step in steps],
        "eval/pass@1": [(step, step / 16) for step in steps if step % 2 == 0],
        "text": [(step, f"text {step}") for step in steps],
    }


def test_scalars_and_texts_after_the_step_go_and_a_resumed_run_adds_each_once(tmp_path: Path) -> None:
    write_steps(tmp_path, range(8))
    cut_back(tmp_path, 4)
    assert points(tmp_path) == expected(range(5))
    write_steps(tmp_path, range(5, 8))
    assert points(tmp_path) == expected(range(8))


def test_a_run_that_was_killed_many_times_has_every_point_once(tmp_path: Path) -> None:
    for start, killed_at, saved in [(0, 7, 4), (5, 9, 6), (7, 8, 6), (7, 12, 0)]:
        write_steps(tmp_path, range(start, killed_at))
        if saved:
            cut_back(tmp_path, saved)
    assert points(tmp_path) == expected(range(12))


@pytest.mark.parametrize("cut", [1, 7, 8, 30, 60], ids=lambda cut: f"{cut} bytes")
def test_a_record_that_was_being_written_goes(tmp_path: Path, cut: int) -> None:
    path = write_steps(tmp_path, range(5))
    whole = path.stat().st_size
    write_steps(tmp_path, [])
    os.truncate(path, whole - cut)
    cut_back(tmp_path, 9)
    left = points(tmp_path)
    assert left == {tag: of_tag[: len(left[tag])] for tag, of_tag in expected(range(5)).items()}
    assert sum(map(len, left.values())) >= sum(map(len, expected(range(5)).values())) - 2
    # Nothing but whole records, so that a reader gets past the end of each file.
    for file in (tmp_path / "events").iterdir():
        size = sum(16 + event.ByteSize() for event in LegacyEventFileLoader(str(file)).Load())
        assert size == file.stat().st_size


def test_wall_times_and_what_stays_are_kept_byte_for_byte(tmp_path: Path) -> None:
    path = write_steps(tmp_path, range(8))
    before = [event.SerializeToString() for event in LegacyEventFileLoader(str(path)).Load() if event.step <= 3]
    cut_back(tmp_path, 3)
    (path,) = (tmp_path / "events").iterdir()  # renamed, as the next file could have been of the same second
    assert [event.SerializeToString() for event in LegacyEventFileLoader(str(path)).Load()] == before
    assert len(before) == 1 + 4 * 3 + 2


def test_a_file_with_nothing_to_drop_is_left_alone(tmp_path: Path) -> None:
    path = write_steps(tmp_path, range(4))
    os.utime(path, (1, 1))
    cut_back(tmp_path, 3)
    assert [path.stat().st_mtime for path in (tmp_path / "events").iterdir()] == [1]


def test_a_fresh_start_keeps_nothing(tmp_path: Path) -> None:
    write_steps(tmp_path, range(3))
    rollout_file(tmp_path, "step-000000.parquet")
    (tmp_path / "config.yaml").write_text("seed: 0\n")
    cut_back(tmp_path, 0)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        *("config.yaml", "events", "rollouts")
    ]


def test_a_missing_folder_has_nothing_to_cut(tmp_path: Path) -> None:
    cut_back(tmp_path / "new", 20)
    assert not (tmp_path / "new").exists()


def test_an_empty_event_file_goes(tmp_path: Path) -> None:
    path = write_steps(tmp_path, [])
    os.truncate(path, 0)
    write_steps(tmp_path, range(3))
    cut_back(tmp_path, 2)
    assert points(tmp_path) == expected(range(3))
    assert not path.exists()


def test_event_files_of_a_clock_that_ran_ahead_still_come_before_new_ones(tmp_path: Path) -> None:
    later = int(time.time()) + 3600
    for place, steps in enumerate([range(3), range(3, 6)]):
        path = write_steps(tmp_path, steps)
        path.rename(path.with_name(f"events.out.tfevents.{later + place}.host.1.0"))
    cut_back(tmp_path, 4)
    write_steps(tmp_path, range(5, 8))
    assert points(tmp_path) == expected(range(8))
    files = sorted((tmp_path / "events").iterdir())
    steps = [[event.step for event in LegacyEventFileLoader(str(file)).Load()] for file in files]
    assert [found[-1] for found in steps] == [2, 4, 7]


def test_an_interrupted_evaluation_is_repeated_and_its_points_go(tmp_path: Path) -> None:
    write_steps(tmp_path, range(6))
    saved = tmp_path / "checkpoints" / "step-000004"
    saved.mkdir(parents=True)
    write_manifest(saved, Manifest(4, 1, {}, None, True, {}))
    cut_back(tmp_path, 4)
    assert points(tmp_path) == expected(range(5)) | {"eval/pass@1": [(0, 0.0), (2, 0.125)]}


def rollout_file(folder: Path, name: str) -> None:
    (folder / "rollouts").mkdir(parents=True, exist_ok=True)
    (folder / "rollouts" / name).touch()


def test_rollouts_of_later_steps_and_unfinished_files_go(tmp_path: Path) -> None:
    for step in range(6):
        rollout_file(tmp_path, f"step-{step:06d}.parquet")
        rollout_file(tmp_path, f"step-{step:06d}-rank-1.parquet")
    rollout_file(tmp_path, ".step-000006.parquet.partial")
    rollout_file(tmp_path, "step-notes.parquet")
    for name in ("step-000004.partial", "step-000003"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
        (tmp_path / "checkpoints" / name / "meta.pt").touch()
    (tmp_path / "checkpoints" / ".space.partial").touch()
    cut_back(tmp_path, 3)
    names = [name for step in range(3) for name in (f"step-{step:06d}-rank-1.parquet", f"step-{step:06d}.parquet")]
    assert sorted(path.name for path in (tmp_path / "rollouts").iterdir()) == [*names, "step-notes.parquet"]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000003"]


def test_a_hundred_thousand_records_are_cut_at_the_step(tmp_path: Path) -> None:
    path = tmp_path / "events" / "events.out.tfevents.1000000000.host.1.0"
    path.parent.mkdir()
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for record in range(100_000):
            value = Summary.Value(tag=f"tag/{record % 25}", simple_value=record)
            event = Event(wall_time=record, step=record // 25, summary=Summary(value=[value]))
            writer.write(event.SerializeToString())
    cut_back(tmp_path, 3000)
    kept = list(LegacyEventFileLoader(str(path)).Load())
    assert len(kept) == 3001 * 25
    assert (kept[-1].step, kept[-1].wall_time) == (3000, 75_024.0)
