import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from confined import run, users

from acereason.sandbox import landlock

LIBRARIES = [path for path in (sys.base_prefix, sys.prefix, "/usr", "/lib", "/lib64", "/etc") if os.path.exists(path)]
needs = pytest.mark.skipif


@pytest.fixture
def inside() -> Iterator[str]:
    """A folder to write to; next to it one that is out of reach, with a file in it. Others than the owner may, too."""
    with tempfile.TemporaryDirectory() as parent:
        inside, outside, file = Path(parent, "inside"), Path(parent, "outside"), Path(parent, "outside", "file")
        inside.mkdir()
        outside.mkdir()
        file.write_text("secret")
        for path, mode in ((Path(parent), 0o755), (inside, 0o777), (outside, 0o777), (file, 0o666)):
            path.chmod(mode)
        yield str(inside)


def confined(source: str, inside: str, modules: str = "", user: int | None = None, **folders: list[str]) -> list[str]:
    """Words printed by a program that may read the libraries and write to `inside`, where it begins."""
    outside = str(Path(inside).with_name("outside"))
    source = f"inside, outside = {inside!r}, {outside!r}\nos.chdir(inside)\n" + source
    folders = {"readable": LIBRARIES, "writable": [inside, "/dev/null"]} | folders
    return run(source, modules, None, user, **folders).split()


@pytest.mark.parametrize("user", users())
def test_only_what_is_named_can_be_read(inside: str, user: int) -> None:
    source = """
for path in (outside + "/file", outside + "/../outside/file", "/proc/self/status", "/proc/1/environ"):
    print(refusal(open, path))
print(refusal(os.listdir, outside), refusal(os.listdir, "/"), refusal(os.listdir, "/usr"), refusal(open, "/etc/passwd"))
os.symlink(outside + "/file", "link")
print(refusal(open, "link"))
"""
    assert confined(source, inside, "", user) == ["EACCES"] * 6 + ["allowed"] * 2 + ["EACCES"]


@pytest.mark.parametrize("user", users())
def test_only_writable_folders_can_be_written_to(inside: str, user: int) -> None:
    source = """
for how in "wax": print(refusal(open, outside + ("/file" if how != "x" else "/new"), how))
print(refusal(os.unlink, outside + "/file"), refusal(os.mkdir, outside + "/new"), refusal(os.rmdir, outside),
      refusal(os.symlink, "file", outside + "/link"))
open("a", "w").write("text"); os.mkdir("b"); os.rename("a", "b/a"); os.link("b/a", "a"); os.truncate("a", 2)
print(open("b/a").read(), refusal(os.rmdir, "b"), refusal(open, "/dev/null", "w"))
os.unlink("b/a"); os.rmdir("b")
print(*os.listdir("."))
"""
    assert confined(source, inside, "", user) == ["EACCES"] * 7 + ["te", "ENOTEMPTY", "allowed", "a"]
    assert (Path(inside).parent / "outside" / "file").read_text() == "secret"


def test_nothing_leaves_the_folder_or_comes_in(inside: str) -> None:
    source = """
open("a", "w").close()
print(refusal(os.rename, "a", outside + "/a"), refusal(os.link, "a", outside + "/a"),
      refusal(os.link, outside + "/file", "b"))
"""
    assert set(confined(source, inside)) <= {"EACCES", "EXDEV"}
    assert os.listdir(inside) == ["a"]


@needs(os.getuid() != 0, reason="needs root")
def test_no_devices_are_made(inside: str) -> None:
    source = """
print(refusal(os.mknod, "null", 0o20666, 0x103), refusal(os.mknod, "disk", 0o60666, 0x700), refusal(os.mkfifo, "fifo"))
"""
    assert confined(source, inside) == ["EACCES"] * 3


def test_files_are_executed_only_where_that_is_allowed(inside: str) -> None:
    source = "print(refusal(subprocess.run, ['/bin/true']))"
    assert confined(source, inside, "subprocess") == ["EACCES"]
    assert confined(source, inside, "subprocess", executable=LIBRARIES) == ["allowed"]


@needs(landlock.abi() < 3, reason="needs Landlock ABI 3")
def test_truncation_is_writing(inside: str) -> None:
    assert confined("print(refusal(os.truncate, outside + '/file', 0))", inside) == ["EACCES"]


@needs(landlock.abi() < 4, reason="needs Landlock ABI 4")
def test_no_tcp(inside: str) -> None:
    source = """
one, other = socket.socket(), socket.socket()
print(refusal(one.bind, ("127.0.0.1", 0)), refusal(other.connect, ("127.0.0.1", 9)))
"""
    assert confined(source, inside, "socket") == ["EACCES", "EACCES"]


@needs(landlock.abi() < 6, reason="needs Landlock ABI 6")
@pytest.mark.parametrize("user", users())
def test_no_signals_to_the_outside(inside: str, user: int) -> None:
    source = """
print(refusal(os.kill, os.getppid(), 0), refusal(os.kill, os.getpid(), 0))
pid = os.fork()
if pid == 0: signal.pause()
print(refusal(os.kill, pid, 9))
"""
    assert confined(source, inside, "signal", user) == ["EPERM", "allowed", "allowed"]


def test_processes_inside_cannot_undo_it(inside: str) -> None:
    source = """
if os.fork() == 0:
    landlock.restrict(landlock.make_ruleset(["/usr"], [inside]))
    print(refusal(open, outside + "/file"), refusal(open, "/etc/passwd"), flush=True)
    os._exit(0)
os.wait()
"""
    modules = "acereason.sandbox.landlock"
    assert confined("from acereason.sandbox import landlock" + source, inside, modules) == ["EACCES", "EACCES"]


def test_a_missing_path_is_named() -> None:
    if not landlock.abi():
        pytest.skip("no Landlock here")
    with pytest.raises(FileNotFoundError, match="/nowhere"):
        landlock.make_ruleset(["/nowhere"], [])


def test_a_ruleset_that_cannot_be_made_leaves_no_descriptor() -> None:
    if not landlock.abi():
        pytest.skip("no Landlock here")
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError):
        landlock.make_ruleset(["/usr", "/nowhere"], [])
    assert os.listdir("/proc/self/fd") == before


def test_where_the_calls_fail_there_is_none() -> None:
    source = """
from acereason.sandbox import landlock
print(landlock.abi(), refusal(landlock.make_ruleset, ["/"], []), refusal(landlock.restrict, 0))
"""
    modules = "acereason.sandbox.landlock"
    assert run(source, modules, forks=True).split() == ["0", "EPERM", "EPERM"]
