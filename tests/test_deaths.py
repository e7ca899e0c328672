"""A rank, a launcher or torchrun dies: no process stays, the last line says why, and the run can be resumed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fresh_process import fresh_environment

from acereason.training.curves import read_scalars

ROOT = Path(__file__).resolve().parent.parent
WITHIN_SECONDS = 60
SETTINGS = [
    *("problems.count=256", "problems.held_out=8", "evaluation.samples_per_problem=1", "evaluation.every_n_steps=0"),
    *("curriculum.prompts_per_step=4", "curriculum.rollouts_per_prompt=4", "log.progress_bar=false"),
    *("checkpoint.every_n_steps=2", "checkpoint.export=false", "run.name=killed"),
]


class Tree:
    """A launcher and all processes it has started, found by a variable in their environment."""

    def __init__(self, root: Path, launcher: tuple[str, ...], *words: str, **variables: str) -> None:
        self.root, self.mark = root, f"ACEREASON_TEST_{os.getpid()}_{time.monotonic_ns()}"
        env = fresh_environment(PYTHONPATH=str(ROOT / "src"), OMP_NUM_THREADS="1") | {self.mark: "1"} | variables
        command = (sys.executable, *launcher, f"run.root={root}", *SETTINGS, *words)
        self.errors = (root / "errors.txt").open("a")
        self.launcher = subprocess.Popen(command, cwd=ROOT, env=env, stderr=self.errors, stdout=self.errors)

    def processes(self) -> dict[int, str]:
        """Return command lines by process id."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self.mark.encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def rank(self, number: int) -> int:
        """Return the process id of a rank."""
        for pid in self.processes():
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            is_rank = b"train.py" in command and b"torch.distributed.run" not in command
            if is_rank and f"RANK={number}".encode() in environment:
                return pid
        raise AssertionError(f"no rank {number} among {self.processes()}")

    def wait_for_checkpoint(self, step: int) -> None:
        """Wait until the run has saved `step`, so that it is in the middle of a later one."""
        while not (self.root / "killed" / "checkpoints" / f"step-{step:06d}").exists():
            assert self.launcher.poll() is None, self.said()
            time.sleep(0.05)

    def wait_until_empty(self) -> None:
        """Wait until no process is left; fail if some are left after a minute."""
        deadline = time.monotonic() + WITHIN_SECONDS
        while self.processes():
            assert time.monotonic() < deadline, self.processes()
            self.launcher.poll()
            time.sleep(0.1)

    def said(self) -> str:
        return (self.root / "errors.txt").read_text()

    def end(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.launcher.wait()
        self.errors.close()


@pytest.fixture
def trees() -> Iterator[list[Tree]]:
    started: list[Tree] = []
    yield started
    for tree in started:
        tree.end()


PLAIN = ("train.py", "recipe=laptop_math", "trainer.devices=2")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "train.py", "recipe=laptop_math")
FOREVER = "trainer.max_steps=100000"


def start(trees: list[Tree], root: Path, launcher: tuple[str, ...], *words: str, **variables: str) -> Tree:
    trees.append(Tree(root, launcher, *words, **variables))
    return trees[-1]


def steps_done(root: Path) -> int:
    return len(list((root / "killed" / "rollouts").glob("step-*-rank-0.parquet")))


def wait_for_steps(tree: Tree, steps: int) -> None:
    while steps_done(tree.root) < steps:
        assert tree.launcher.poll() is None, tree.said()
        time.sleep(0.05)


def test_a_killed_rank_ends_the_others_and_the_run_resumes_from_its_checkpoint(
    trees: list[Tree], tmp_path: Path
) -> None:
    tree = start(trees, tmp_path, PLAIN, FOREVER)
    tree.wait_for_checkpoint(2)
    workers = [pid for pid, command in tree.processes().items() if "acereason.verifiers.pool.worker" in command]
    assert len(workers) == 4  # the verifiers of both ranks die with them
    os.kill(tree.rank(1), signal.SIGKILL)
    tree.wait_until_empty()
    assert tree.launcher.wait() == 1
    assert "rank 1 was killed (SIGKILL)" in tree.said().splitlines()[-1]
    saved = max(int(path.name[5:]) for path in (tmp_path / "killed" / "checkpoints").glob("step-??????"))
    more = start(trees, tmp_path, PLAIN, f"trainer.max_steps={saved + 2}", "ckpt=last")
    assert more.launcher.wait(timeout=120) == 0, more.said()
    assert [step for step, _ in read_scalars(tmp_path / "killed")["reward/mean"]] == list(range(1, saved + 3))


def test_a_killed_launcher_leaves_no_process(trees: list[Tree], tmp_path: Path) -> None:
    tree = start(trees, tmp_path, PLAIN, FOREVER)
    tree.wait_for_checkpoint(2)
    tree.launcher.kill()
    tree.wait_until_empty()
    assert "error: the program that started rank" in tree.said().splitlines()[-1]


def test_a_killed_torchrun_leaves_no_process(trees: list[Tree], tmp_path: Path) -> None:
    tree = start(trees, tmp_path, TORCHRUN, FOREVER)
    tree.wait_for_checkpoint(2)
    tree.launcher.kill()
    tree.wait_until_empty()
    assert "error: the program that started rank" in tree.said().splitlines()[-1]


def test_sigterm_saves_what_is_done_and_ends_cleanly(trees: list[Tree], tmp_path: Path) -> None:
    tree = start(trees, tmp_path, PLAIN, FOREVER, "checkpoint.every_n_steps=0", "checkpoint.best=")
    wait_for_steps(tree, 3)
    os.kill(tree.rank(1), signal.SIGTERM)
    assert tree.launcher.wait(timeout=WITHIN_SECONDS) == 0, tree.said()
    tree.wait_until_empty()
    [checkpoint] = (tmp_path / "killed" / "checkpoints").iterdir()
    step = int(checkpoint.name.removeprefix("step-"))
    assert f"stopped by SIGTERM after {step} rollout steps" in tree.said().splitlines()[-1]
    assert [s for s, _ in read_scalars(tmp_path / "killed")["reward/mean"]] == list(range(1, step + 1))
    assert steps_done(tmp_path) == step


def srun(trees: list[Tree], root: Path, *words: str) -> list[Tree]:
    """Start the tasks that `srun --ntasks=2` starts on one node, with a `scontrol` that writes down its arguments."""
    scontrol = root / "bin" / "scontrol"
    scontrol.parent.mkdir(exist_ok=True)
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {root}/scontrol.txt\n')
    scontrol.chmod(0o755)
    shared = {
        "SLURM_JOB_ID": "4242",
        "SLURM_JOB_NAME": "acereason",
        "SLURM_STEP_ID": "0",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NODEID": "0",
        "SLURM_STEP_NODELIST": "localhost",
        "PATH": f"{scontrol.parent}:{os.environ['PATH']}",
    }
    command = ("train.py", "recipe=laptop_math")
    return [
        start(trees, root, command, "ckpt=auto", *words, SLURM_PROCID=task, SLURM_LOCALID=task, **shared)
        for task in ("0", "1")
    ]


def test_sigusr1_under_slurm_queues_the_job_again_and_the_same_command_resumes(
    trees: list[Tree], tmp_path: Path
) -> None:
    tasks = srun(trees, tmp_path, FOREVER, "checkpoint.every_n_steps=0", "checkpoint.best=")
    wait_for_steps(tasks[0], 3)
    os.kill(tasks[1].launcher.pid, signal.SIGUSR1)
    assert [task.launcher.wait(timeout=WITHIN_SECONDS) for task in tasks] == [0, 0], tasks[0].said()
    assert (tmp_path / "scontrol.txt").read_text() == "requeue 4242\n"
    step = steps_done(tmp_path)
    again = srun(trees, tmp_path, f"trainer.max_steps={step + 2}")
    assert [task.launcher.wait(timeout=120) for task in again] == [0, 0], again[0].said()
    assert [s for s, _ in read_scalars(tmp_path / "killed")["reward/mean"]] == list(range(1, step + 3))
