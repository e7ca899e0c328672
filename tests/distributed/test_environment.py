import os
import socket
import subprocess
import sys

import pytest
from fresh_process import fresh_environment

from acereason.config.schema import Config
from acereason.distributed.environment import (
    RankInfo,
    check_port,
    claim_alone,
    free_port,
    read_rank_info,
    resolve_ranks,
)
from acereason.errors import UserError

ALONE = RankInfo(0, 0, 1, 1, 0, "")
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "5",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "8",
    "LOCAL_WORLD_SIZE": "4",
    "GROUP_RANK": "1",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "29500",
}
SLURM = {
    "SLURM_JOB_ID": "123456",
    "SLURM_JOB_NAME": "train",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_NTASKS": "8",
    "SLURM_TASKS_PER_NODE": "4(x2)",
    "SLURM_JOB_NODELIST": "node[003-006,9]",
}
USUAL = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that nobody started ranks in, and that is as before afterwards."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in list(os.environ):
        if name in USUAL or name.startswith(("SLURM_", "TORCHELASTIC_", "ACEREASON_")):
            del os.environ[name]
    return monkeypatch


def refusal() -> str:
    """The error that reading the rank gives."""
    with pytest.raises(UserError) as caught:
        read_rank_info()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nobody_started_it() -> None:
    assert read_rank_info() == ALONE


def test_torchrun() -> None:
    os.environ.update(TORCHRUN)
    assert read_rank_info() == RankInfo(5, 1, 8, 4, 1, "torchrun")


def test_torchrun_with_one_rank_is_still_torchrun() -> None:
    os.environ.update(TORCHRUN | {"RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0"})
    os.environ.update({"WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"})
    assert read_rank_info() == RankInfo(0, 0, 1, 1, 0, "torchrun")


def test_a_launcher_that_names_its_variables_as_torchrun_does() -> None:
    os.environ.update(TORCHRUN)
    del os.environ["TORCHELASTIC_RUN_ID"], os.environ["GROUP_RANK"]
    assert read_rank_info() == RankInfo(5, 1, 8, 4, 1, "torchrun")
    assert os.environ["GROUP_RANK"] == "1"


def test_our_launcher_goes_before_all_others() -> None:
    os.environ.update(SLURM | TORCHRUN | {"ACEREASON_LAUNCHED": "1"})
    assert read_rank_info() == RankInfo(5, 1, 8, 4, 1, "acereason")


def test_slurm_is_translated_and_found_again() -> None:
    os.environ.update(SLURM)
    assert read_rank_info() == RankInfo(5, 1, 8, 4, 1, "slurm")
    expected = ["5", "1", "8", "4", "1", "node003", str(15000 + 123456 % 20000)]
    assert [os.environ[name] for name in USUAL] == expected
    assert read_rank_info() == RankInfo(5, 1, 8, 4, 1, "slurm")


@pytest.mark.parametrize(
    ("variables", "rank_info"),
    [
        ({"SLURM_TASKS_PER_NODE": "4,4"}, RankInfo(5, 1, 8, 4, 1, "slurm")),
        ({"SLURM_TASKS_PER_NODE": "2(x4)", "SLURM_NODEID": "2"}, RankInfo(5, 1, 8, 2, 2, "slurm")),
        ({"SLURM_TASKS_PER_NODE": "", "SLURM_NTASKS_PER_NODE": "4"}, RankInfo(5, 1, 8, 4, 1, "slurm")),
        # The step has fewer tasks than the job that it is part of.
        (
            {"SLURM_TASKS_PER_NODE": "8(x2)", "SLURM_STEP_TASKS_PER_NODE": "3(x2)", "SLURM_STEP_NUM_TASKS": "6"}
            | {"SLURM_NTASKS": "16", "SLURM_LOCALID": "2"},
            RankInfo(5, 2, 6, 3, 1, "slurm"),
        ),
    ],
)
def test_tasks_per_node(variables: dict[str, str], rank_info: RankInfo) -> None:
    os.environ.update(SLURM | variables)
    assert read_rank_info() == rank_info


@pytest.mark.parametrize(
    ("hosts", "first"),
    [
        ("a", "a"),
        ("a,b", "a"),
        ("node[003-006,9]", "node003"),
        ("gpu-[1,3]-x", "gpu-1-x"),
        ("gpu[7]", "gpu7"),
        ("rack[0-1]n[01-04],z", "rack0n01"),
        ("a.example.org,b[1-2]", "a.example.org"),
    ],
)
def test_the_first_host_is_where_ranks_meet(hosts: str, first: str) -> None:
    os.environ.update(SLURM | {"SLURM_STEP_NODELIST": hosts})
    read_rank_info()
    assert os.environ["MASTER_ADDR"] == first


def test_the_users_meeting_point_stays_but_not_one_of_an_earlier_run() -> None:
    os.environ.update(SLURM | {"MASTER_ADDR": "ib-node3", "MASTER_PORT": "777"})
    read_rank_info()
    assert (os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]) == ("ib-node3", "777")
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    read_rank_info()
    assert os.environ["MASTER_ADDR"] == "node003"


@pytest.mark.parametrize(
    "variables",
    [
        {"SLURM_STEP_ID": ""},
        {"SLURM_STEP_ID": "batch"},
        {"SLURM_STEP_ID": "4294967290"},  # the shell of salloc
        {"SLURM_JOB_NAME": "bash"},
        {"SLURM_JOB_NAME": "interactive"},
    ],
)
def test_a_shell_inside_a_slurm_job_is_no_launcher(variables: dict[str, str]) -> None:
    os.environ.update(SLURM | variables)
    assert read_rank_info() == ALONE
    assert "RANK" not in os.environ


def test_srun_typed_in_an_interactive_job_is_told_by_the_parent_process() -> None:
    task = "import sys; from acereason.distributed.environment import read_rank_info; print(read_rank_info().launcher)"
    parent = "import subprocess, sys; open('/proc/self/comm', 'w').write('slurmstepd'); subprocess.run(sys.argv[1:])"
    variables = fresh_environment(**SLURM) | {"SLURM_JOB_NAME": "interactive"}
    command = [sys.executable, "-c", parent, sys.executable, "-c", task]
    assert subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout == "slurm\n"


def test_a_launcher_inside_a_slurm_task_goes_before_slurm() -> None:
    os.environ.update(SLURM | TORCHRUN | {"RANK": "6", "LOCAL_RANK": "2"})
    del os.environ["TORCHELASTIC_RUN_ID"]
    assert read_rank_info() == RankInfo(6, 2, 8, 4, 1, "torchrun")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RANK": "x"}, "RANK='x': expected a whole number, 0 or more"),
        ({"LOCAL_RANK": "-1"}, "LOCAL_RANK='-1': expected"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE=0: expected 1 or more"),
        ({"LOCAL_WORLD_SIZE": "0"}, "LOCAL_WORLD_SIZE=0: expected 1 or more"),
        ({"LOCAL_WORLD_SIZE": "3"}, "WORLD_SIZE=8 is not a multiple of LOCAL_WORLD_SIZE=3: start the same number"),
        ({"RANK": "8"}, "RANK=8 but WORLD_SIZE=8"),
        ({"LOCAL_RANK": "4"}, "LOCAL_RANK=4 but LOCAL_WORLD_SIZE=4"),
        ({"RANK": "4"}, "RANK=4 is not GROUP_RANK=1 × LOCAL_WORLD_SIZE=4 + LOCAL_RANK=1"),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR is not set"),
    ],
)
def test_broken_variables_of_torchrun_are_named(variables: dict[str, str], message: str) -> None:
    os.environ.update(TORCHRUN | variables)
    assert refusal().startswith(message)


def test_restarts_in_a_store_that_outlives_the_ranks_are_refused() -> None:
    os.environ.update(TORCHRUN | {"TORCHELASTIC_MAX_RESTARTS": "3", "TORCHELASTIC_USE_AGENT_STORE": "True"})
    assert refusal().startswith("torchrun --max-restarts=3: restarted ranks would not find each other; start torchrun")
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
    assert read_rank_info().launcher == "torchrun"


def test_a_missing_variable_is_named() -> None:
    os.environ.update(RANK="1", WORLD_SIZE="4", MASTER_ADDR="a", MASTER_PORT="1")
    assert refusal().startswith("LOCAL_WORLD_SIZE is not set though other variables of the launcher are")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"SLURM_TASKS_PER_NODE": "8,4"}, "SLURM_TASKS_PER_NODE=8,4: start the same number of ranks on every node"),
        ({"SLURM_TASKS_PER_NODE": "many"}, "SLURM_TASKS_PER_NODE='many': expected"),
        ({"SLURM_TASKS_PER_NODE": "3"}, "SLURM_NTASKS=8 is not a multiple of SLURM_TASKS_PER_NODE=3"),
        ({"SLURM_LOCALID": "one"}, "SLURM_LOCALID='one': expected"),
        ({"SLURM_NODEID": "0"}, "SLURM_PROCID=5 is not SLURM_NODEID=0 × SLURM_TASKS_PER_NODE=4(x2)"),
        ({"SLURM_JOB_NODELIST": "node[003"}, "SLURM_JOB_NODELIST='node[003': expected host names"),
        ({"SLURM_JOB_NODELIST": ""}, "SLURM_NODELIST='': expected host names"),
        ({"SLURM_JOB_ID": "12a"}, "SLURM_JOB_ID='12a': expected"),
    ],
)
def test_broken_variables_of_slurm_are_named(variables: dict[str, str], message: str) -> None:
    os.environ.update(SLURM | variables)
    assert refusal().startswith(message)


def resolved(rank_info: RankInfo, devices: int, num_nodes: int) -> tuple[int, int]:
    config = Config()
    config.trainer.devices, config.trainer.num_nodes = devices, num_nodes
    resolve_ranks(config, rank_info)
    return config.trainer.devices, config.trainer.num_nodes


def test_devices_and_nodes_become_what_was_started() -> None:
    two_nodes = RankInfo(0, 0, 8, 4, 0, "slurm")
    assert [resolved(two_nodes, *asked) for asked in ((0, 0), (4, 0), (0, 2), (4, 2))] == [(4, 2)] * 4
    assert [resolved(ALONE, *asked) for asked in ((0, 0), (1, 1), (3, 0), (3, 1))] == [(1, 1), (1, 1), (3, 1), (3, 1)]


@pytest.mark.parametrize(
    ("rank_info", "devices", "num_nodes", "message"),
    [
        (
            RankInfo(0, 0, 2, 2, 0, "torchrun"),
            4,
            1,
            "trainer.devices=4 × trainer.num_nodes=1 is 4 ranks, but torchrun started 2: "
            "leave both at 0, or start 4 on each of 1 nodes",
        ),
        (
            RankInfo(0, 0, 8, 4, 0, "slurm"),
            8,
            1,
            "trainer.devices=8 × trainer.num_nodes=1 is 8 ranks, but srun started 8 (4 on each of 2 nodes): "
            "leave both at 0, or start 8 on each of 1 nodes",
        ),
        (
            ALONE,
            8,
            2,
            "trainer.num_nodes=2: this program starts the ranks of one node only; "
            "start it on every node with torchrun or srun",
        ),
    ],
)
def test_other_ranks_than_were_started_are_refused(
    rank_info: RankInfo, devices: int, num_nodes: int, message: str
) -> None:
    with pytest.raises(UserError) as caught:
        resolved(rank_info, devices, num_nodes)
    assert str(caught.value) == message


def test_alone_overwrites_what_an_earlier_trainer_left_and_is_still_nobodys() -> None:
    os.environ.update(RANK="3", WORLD_SIZE="4", MASTER_ADDR="elsewhere", MASTER_PORT="1", GROUP_RANK="2")
    claim_alone(4321)
    assert [os.environ[name] for name in USUAL] == ["0", "0", "1", "1", "0", "127.0.0.1", "4321"]
    assert read_rank_info() == ALONE
    claim_alone()
    check_port(int(os.environ["MASTER_PORT"]))
    assert os.environ["MASTER_PORT"] != "4321"


def test_slurm_is_found_though_an_earlier_run_alone_left_its_variables() -> None:
    claim_alone(4321)
    os.environ.update(SLURM)
    assert read_rank_info() == RankInfo(5, 1, 8, 4, 1, "slurm")
    assert os.environ["MASTER_ADDR"] == "node003"


def test_a_port_in_use_is_refused() -> None:
    port = free_port()
    check_port(port)
    with socket.create_server(("", port)), pytest.raises(UserError, match=f"^trainer.port={port} is in use or"):
        check_port(port)
    with pytest.raises(UserError, match=r"^trainer.port=70000 .*\(not a port\)"):
        check_port(70000)
