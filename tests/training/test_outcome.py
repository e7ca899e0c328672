"""A run that fails says why in one line, whatever the number of ranks, and its exit code says whose fault it is."""

import subprocess
import sys
from pathlib import Path

from fresh_process import fresh_environment

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = """
import errno, sys
from acereason.errors import UserError
from acereason.training.outcome import run_to_the_end

def run(place, lifeline):
    if sys.argv[1] == "user":
        raise UserError("x=1: lower it")
    if sys.argv[1] == "disk":
        raise RuntimeError("cannot write") from OSError(errno.ENOSPC, "No space left on device")
    if sys.argv[1] == "bug":
        raise ValueError("first\\nlast line")
    return int(sys.argv[1])

code = run_to_the_end(run)
print("after")
sys.exit(code)
"""


def ended(kind: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = fresh_environment(PYTHONPATH=str(ROOT / "src"), **variables)
    return subprocess.run([sys.executable, "-c", SCRIPT, kind], env=env, capture_output=True, text=True, timeout=120)


def test_what_the_user_can_fix_is_one_line_and_code_2() -> None:
    done = ended("user")
    assert (done.returncode, done.stderr) == (2, "error: x=1: lower it\n")


def test_several_ranks_of_a_node_say_it_once() -> None:
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    said = [ended("user", RANK=rank, LOCAL_RANK=rank, GROUP_RANK="0", **place) for rank in ("0", "1")]
    assert [(done.returncode, done.stderr) for done in said] == [(2, "error: x=1: lower it\n"), (2, "")]


def test_a_full_disk_is_the_users_to_fix() -> None:
    done = ended("disk")
    assert done.returncode == 2
    assert done.stderr == "error: the disk of the run's folder is full: free some space, then resume with ckpt=last\n"


def test_anything_else_has_a_traceback_and_the_cause_in_the_last_line() -> None:
    done = ended("bug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1] == "error: rank 0 failed: ValueError: last line"
    assert "after" not in done.stdout


def test_a_good_end_gives_the_code_of_the_run() -> None:
    assert [ended(code).returncode for code in ("0", "2")] == [0, 2]
