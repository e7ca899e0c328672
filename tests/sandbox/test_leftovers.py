"""What killed processes left on the machine is taken away, and nothing else is."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from acereason.sandbox import leftovers
from acereason.sandbox.leftovers import PidsCgroup, cgroup_parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where folders of zones are made, for this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    monkeypatch.undo()


def dead() -> int:
    """The number of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def name_of(process: int) -> str:
    return leftovers.own_name("x").replace(f"-{os.getpid()}-", f"-{process}-")


def test_what_a_dead_process_left_is_swept(folder: Path) -> None:
    left = folder / name_of(dead())
    (left / "a" / "b").mkdir(parents=True)
    (left / "a" / "file").write_text("x")
    (left / "a" / "b").chmod(0)
    (left / "a").chmod(0)
    leftovers.sweep()
    assert os.listdir(folder) == []


def test_what_others_may_need_stays(folder: Path) -> None:
    kept = [
        leftovers.own_name("x"),
        name_of(os.getppid()),
        name_of(dead()).replace("acereason-", "acereason-1"),  # of another PID namespace
        f"acereason-{dead()}-x",
        "acereason-",
        "acereason-data",
        "other",
    ]
    for name in kept:
        (folder / name).mkdir()
    (folder / name_of(dead()).replace("-x", " x")).write_text("x")
    before = set(os.listdir(folder))
    leftovers.sweep()
    assert set(os.listdir(folder)) == before


def test_a_link_is_not_followed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "file").write_text("x")
    (folder / name_of(dead())).symlink_to(outside)
    inside = folder / name_of(dead())
    inside.mkdir(exist_ok=True)
    (inside / "link").symlink_to(outside)
    (inside / "file").symlink_to(outside / "file")
    leftovers.sweep()
    assert (outside / "file").read_text() == "x"
    assert not inside.exists()


def test_folders_of_any_depth_are_taken_away(folder: Path) -> None:
    left = folder / name_of(dead())
    left.mkdir()
    at = os.open(left, os.O_RDONLY)
    for _ in range(3000):  # far beyond what a path may be long, or Python recurse
        os.mkdir("deeper", dir_fd=at)
        below = os.open("deeper", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    leftovers.sweep()
    assert os.listdir(folder) == []


def test_sweeping_at_once_disturbs_nobody(folder: Path) -> None:
    process = dead()
    for number in range(300):
        (folder / f"{name_of(process)}{number}" / "a").mkdir(parents=True)
    failures: list[BaseException] = []

    def sweep() -> None:
        try:
            leftovers.sweep()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=sweep) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    leftovers.sweep()
    assert os.listdir(folder) == []


def test_names_tell_processes_apart() -> None:
    code = "from acereason.sandbox.leftovers import own_name; print(own_name('x'))"
    environment = os.environ | {"PYTHONPATH": str(Path(leftovers.__file__).parents[2])}
    theirs = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    ).stdout.strip()
    assert theirs.startswith("acereason-")
    assert theirs != leftovers.own_name("x")
    assert theirs.count("-") == leftovers.own_name("x").count("-")


def test_control_groups_of_the_dead_are_swept() -> None:
    parent = cgroup_parent()
    if parent is None:
        pytest.skip("no control group can be made here")
    left = parent / name_of(dead())
    left.mkdir()
    mine = PidsCgroup(parent, 99_999, 8)
    leftovers.sweep(patience_seconds=5.0)
    assert not left.exists()
    with subprocess.Popen(["sleep", "600"]) as process:
        mine.add(process.pid)
        assert f"/{leftovers.own_name('99999')}\n" in Path(f"/proc/{process.pid}/cgroup").read_text()
        process.kill()
    mine.close()
    assert not (parent / leftovers.own_name("99999")).exists()


def test_a_folder_is_measured_by_what_it_takes_on_disk(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").write_bytes(b"x" * 8192)
    os.truncate(tmp_path / "a" / "file", 1 << 40)  # all but the beginning takes nothing
    (tmp_path / "link").symlink_to("/")
    taken = sum(path.lstat().st_blocks * 512 for path in tmp_path.rglob("*"))
    assert taken < 1 << 30
    assert not leftovers.larger_than(tmp_path, taken, 4)
    assert leftovers.larger_than(tmp_path, taken - 1, 4)
    assert leftovers.larger_than(tmp_path, taken, 3)
    assert not leftovers.larger_than(tmp_path / "none", 0, 0)
