import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fresh_process import PROCESS_GROUP, fresh_environment

from acereason.config.schema import Config
from acereason.distributed import launcher
from acereason.distributed.launcher import start_ranks
from acereason.errors import UserError

SCRIPT = str(Path(__file__).with_name("launched_rank.py"))
RESUMES = "ckpt=last resumes from the newest checkpoint"


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROCESS_GROUP, "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


def run(folder: Path, plan: str, *words: str, port: int = 0) -> int:
    """The exit code of ranks that each follow their part of the plan."""
    config = Config()
    config.trainer.devices, config.trainer.port, config.run.name = len(plan.split(",")), port, "a run"
    return start_ranks(config, words, [sys.executable, SCRIPT, str(folder), plan])


@contextmanager
def launched(folder: Path, plan: str) -> Iterator[subprocess.Popen[str]]:
    """A launcher in a process of its own, once all of its ranks are ready."""
    source = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); from test_launcher import run; "
        "sys.exit(run(Path(sys.argv[2]), sys.argv[3]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", source, str(Path(__file__).parent), str(folder), plan],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=fresh_environment(PYTHONPATH=os.pathsep.join([*sys.path, str(Path(__file__).parents[1])])),
        text=True,
    ) as process:
        assert process.stdout
        try:
            assert [process.stdout.readline() for _ in plan.split(",")] == ["ready\n"] * len(plan.split(","))
            yield process
        finally:
            process.kill()


def test_every_rank_learns_its_place_and_the_words(tmp_path: Path) -> None:
    assert run(tmp_path, "echo,echo,echo", "recipe=x", "run.name=") == 0
    ports = set()
    for rank in range(3):
        starter, words, variables = json.loads((tmp_path / f"rank-{rank}").read_text())
        ports.add(variables.pop("MASTER_PORT"))
        assert starter == "acereason"
        assert words == ["recipe=x", "run.name=", "run.name=a run"]
        assert variables == {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": "3",
            "LOCAL_WORLD_SIZE": "3",
            "GROUP_RANK": "0",
            "MASTER_ADDR": "127.0.0.1",
            "OMP_NUM_THREADS": str(max(1, len(os.sched_getaffinity(0)) // 3)),
        }
    assert len(ports) == 1


def test_the_port_and_the_threads_are_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(UserError, match=rf"^trainer\.port={port} is in use .*choose another, or 0 for a free one"):
            run(tmp_path, "echo,echo", port=port)
    assert run(tmp_path, "echo,echo", port=port) == 0
    variables = json.loads((tmp_path / "rank-1").read_text())[2]
    assert (variables["MASTER_PORT"], variables["OMP_NUM_THREADS"]) == (str(port), "5")


def test_a_killed_rank_is_named_in_the_last_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "sleep,kill,sleep") == 1
    assert capfd.readouterr().err.splitlines() == [
        "error: rank 1 is gone",
        f"error: rank 1 was killed (SIGKILL); the other ranks were ended; {RESUMES}",
    ]


def test_code_2_is_passed_on_without_a_word(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "0,2") == 2
    assert capfd.readouterr().err == ""


def test_a_rank_that_ended_because_of_another_is_not_the_cause(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "3,after") == 1  # rank 0 ends first, with ENDED_BY_OTHERS
    assert capfd.readouterr().err == f"error: rank 1 ended with code 7; the other ranks were ended; {RESUMES}\n"


def test_the_first_rank_that_failed_is_the_cause(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "9,after") == 1
    assert capfd.readouterr().err == f"error: rank 0 ended with code 9; the other ranks were ended; {RESUMES}\n"


def test_ranks_that_do_not_end_after_a_failure_are_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launcher, "GRACE_SECONDS", 0.5)
    assert run(tmp_path, "stubborn,stubborn,4") == 1
    assert capfd.readouterr().err == f"error: rank 2 ended with code 4; the other ranks were ended; {RESUMES}\n"


def test_handlers_are_given_back(tmp_path: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    assert run(tmp_path, "0") == 0
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_a_stop_request_is_passed_on_and_the_ranks_save(tmp_path: Path, number: signal.Signals) -> None:
    with launched(tmp_path, "save,save") as process:
        process.send_signal(number)
        assert process.wait(60) == 0
        assert process.stderr and process.stderr.read() == ""
    assert [(tmp_path / f"saved-{rank}").read_text() for rank in range(2)] == [number.name] * 2


def test_no_rank_outlives_a_launcher_that_is_killed(tmp_path: Path) -> None:
    with launched(tmp_path, "sleep,sleep,sleep") as process:
        process.kill()
        assert process.stdout and process.stdout.read() == ""  # at its end: every rank that held it has ended
        assert process.stderr
        lines = process.stderr.read().splitlines()
    assert lines
    assert {line[:40] for line in lines} == {"error: the program that started rank 0 is"[:40]}


def test_one_interrupt_is_the_terminals_and_a_second_kills(tmp_path: Path) -> None:
    with launched(tmp_path, "stubborn,stubborn") as process:
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 1
        assert process.stderr and process.stderr.read() == f"error: interrupted (SIGINT); {RESUMES}\n"
