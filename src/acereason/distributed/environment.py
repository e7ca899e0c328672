"""This process's rank among all ranks, from the variables that torchrun, SLURM or our own launcher set.

Under a launcher, RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, GROUP_RANK, MASTER_ADDR and MASTER_PORT are then in
`os.environ`, where torch, Lightning and vLLM look for them.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from acereason.config.schema import Config
from acereason.errors import UserError

LAUNCHED = "ACEREASON_LAUNCHED"
"""Set to 1 by `launcher.start_ranks` in every rank that it starts."""
_SHELLS = ("bash", "interactive")  # job names of a shell that `srun --pty` or `salloc` opened
_RESERVED_STEPS = 0xFFFFFFF0  # step ids from here on are SLURM's own: the batch script, the interactive shell
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class RankInfo:
    """The rank of one process among all.

    Attributes:
        rank: number of this process among all, from 0.
        local_rank: number of this process on its node, from 0.
        world_size: number of processes on all nodes.
        local_world_size: number of processes on each node.
        node_rank: number of this node, from 0.
        launcher: `torchrun`, `slurm` or `acereason`; empty if no launcher started this process.
    """

    rank: int
    local_rank: int
    world_size: int
    local_world_size: int
    node_rank: int
    launcher: str


def read_rank_info() -> RankInfo:
    """Read this process's rank from the environment; write SLURM's values to `os.environ` under torchrun's names.

    Raises:
        UserError: a variable is missing, not a number or contradicts another, or nodes have different numbers of ranks.
    """
    if os.environ.get(LAUNCHED):
        return _usual("acereason")
    if os.environ.get("TORCHELASTIC_RUN_ID"):
        rank_info = _usual("torchrun")
        _check_restarts(rank_info)
        return rank_info
    named = "RANK" in os.environ and "WORLD_SIZE" in os.environ
    if _is_srun_task() and (not named or _one_rank() or _agrees_with_slurm()):
        return _slurm()
    if named and not _one_rank():
        return _usual("torchrun")
    # RANK=0 of WORLD_SIZE=1 without a launcher: left by an earlier trainer in this process or by its parent.
    return RankInfo(0, 0, 1, 1, 0, "")


def resolve_ranks(config: Config, rank_info: RankInfo) -> None:
    """Set `trainer.devices` and `trainer.num_nodes`, where they are 0, to the ranks that the launcher started.

    With `validate_only` no launcher is needed: the plan is for the ranks that the settings name.

    Raises:
        UserError: the settings name other ranks than were started, or several nodes without a launcher.
    """
    trainer = config.trainer
    if not rank_info.launcher:
        if trainer.num_nodes > 1 and not config.validate_only:
            raise UserError(
                f"trainer.num_nodes={trainer.num_nodes}: this program starts the ranks of one node only; "
                "start it on every node with torchrun or srun"
            )
        trainer.devices, trainer.num_nodes = trainer.devices or 1, trainer.num_nodes or 1
        return
    nodes = rank_info.world_size // rank_info.local_world_size
    devices, num_nodes = trainer.devices or rank_info.local_world_size, trainer.num_nodes or nodes
    if (devices, num_nodes) != (rank_info.local_world_size, nodes):
        launcher = "srun" if rank_info.launcher == "slurm" else rank_info.launcher
        shape = f" ({rank_info.local_world_size} on each of {nodes} nodes)" if nodes > 1 else ""
        raise UserError(
            f"trainer.devices={devices} × trainer.num_nodes={num_nodes} is {devices * num_nodes} ranks, but {launcher} "
            f"started {rank_info.world_size}{shape}: leave both at 0, or start {devices} on each of {num_nodes} nodes"
        )
    trainer.devices, trainer.num_nodes = devices, num_nodes


def claim_alone(port: int = 0) -> None:
    """Set the variables of a single rank, over those of an earlier trainer; choose a free port if `port` is 0."""
    os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", LOCAL_WORLD_SIZE="1", GROUP_RANK="0")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port or free_port()))


def free_port() -> int:
    """Return a TCP port on which nothing listens at the moment."""
    with socket.create_server(("", 0)) as server:
        return int(server.getsockname()[1])


def check_port(port: int) -> None:
    """Check that ranks can meet on `trainer.port`.

    Raises:
        UserError: it is not a port, is in use, or is not allowed.
    """
    try:
        socket.create_server(("", port)).close()
    except (OSError, OverflowError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "not a port"
        raise UserError(
            f"trainer.port={port} is in use or cannot be used ({reason}): choose another, or 0 for a free one"
        ) from error


def _usual(launcher: str) -> RankInfo:
    """Read torchrun's variables; MASTER_ADDR and MASTER_PORT must be set as well."""
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        if not os.environ.get(name):
            raise UserError(
                f"{name} is not set though RANK and WORLD_SIZE are: start with torchrun, which sets them all"
            )
    rank, world, local_world = _number("RANK"), _number("WORLD_SIZE"), _number("LOCAL_WORLD_SIZE")
    if "GROUP_RANK" not in os.environ:
        os.environ["GROUP_RANK"] = str(rank // max(local_world, 1))
    rank_info = RankInfo(rank, _number("LOCAL_RANK"), world, local_world, _number("GROUP_RANK"), launcher)
    _check(rank_info, ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK"))
    return rank_info


def _check_restarts(rank_info: RankInfo) -> None:
    """Refuse restarts with torchrun's own store, where restarted ranks would read entries of the ranks before them."""
    restarts = os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")
    if rank_info.world_size > 1 and restarts != "0" and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        raise UserError(
            f"torchrun --max-restarts={restarts}: restarted ranks would not find each other; start torchrun with "
            "--rdzv-backend=c10d and TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 in its environment"
        )


def _one_rank() -> bool:
    return os.environ["RANK"] == "0" and os.environ["WORLD_SIZE"] == "1"


def _is_srun_task() -> bool:
    """Return whether srun started this process, rather than somebody in a shell of the job."""
    step = os.environ.get("SLURM_STEP_ID", "")
    if not step.isdecimal() or int(step) >= _RESERVED_STEPS or "SLURM_PROCID" not in os.environ:
        return False
    # `srun` inside a job keeps the job name of the shell it was typed in; then only the parent process tells.
    return os.environ.get("SLURM_JOB_NAME") not in _SHELLS or _parent_name() == "slurmstepd"


def _parent_name() -> str:
    try:
        return Path(f"/proc/{os.getppid()}/comm").read_text().strip()
    except OSError:
        return ""


def _agrees_with_slurm() -> bool:
    """Return whether RANK and WORLD_SIZE equal SLURM's values, as after an earlier call or a user's script."""
    rank, world = (os.environ.get(_first(*names)) for names in (("SLURM_PROCID",), _NTASKS))
    return (os.environ["RANK"], os.environ["WORLD_SIZE"]) == (rank, world)


# A step may have fewer tasks than its job; if SLURM gives both, the step's value comes first.
_NTASKS = ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
_PER_NODE = ("SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE", "SLURM_NTASKS_PER_NODE")
_NODELIST = ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST")


def _slurm() -> RankInfo:
    """Read SLURM's variables and write them to `os.environ` under torchrun's names."""
    ntasks, per_node = _first(*_NTASKS), _first(*_PER_NODE)
    rank, local_rank, node = _number("SLURM_PROCID"), _number("SLURM_LOCALID"), _number("SLURM_NODEID")
    world = _number(ntasks)
    # Without the tasks per node, all tasks are assumed to be on one node.
    local_world = _tasks_per_node(per_node) if per_node in os.environ else world
    rank_info = RankInfo(rank, local_rank, world, local_world, node, "slurm")
    _check(rank_info, ("SLURM_PROCID", "SLURM_LOCALID", ntasks, per_node, "SLURM_NODEID"))
    address = os.environ.get("MASTER_ADDR", "")
    if not address or (address in _LOOPBACK and world > local_world):  # left by an earlier run on one node
        os.environ["MASTER_ADDR"] = _first_host(_first(*_NODELIST))
    if not os.environ.get("MASTER_PORT"):
        os.environ["MASTER_PORT"] = str(15000 + _number(_first("SLURM_JOB_ID", "SLURM_JOBID")) % 20000)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(local_rank), GROUP_RANK=str(node))
    os.environ.update(WORLD_SIZE=str(world), LOCAL_WORLD_SIZE=str(local_world))
    return rank_info


def _check(rank_info: RankInfo, names: Sequence[str]) -> None:
    """Refuse numbers that contradict each other; `names` are their variables, in the order of `RankInfo`."""
    rank, local_rank, world, local_world, node = (f"{name}={os.environ.get(name, 'not set')}" for name in names)
    if rank_info.world_size < 1:
        raise UserError(f"{world}: expected 1 or more")
    if rank_info.local_world_size < 1:
        raise UserError(f"{local_world}: expected 1 or more")
    if rank_info.world_size % rank_info.local_world_size:
        raise UserError(f"{world} is not a multiple of {local_world}: start the same number of ranks on every node")
    if rank_info.rank >= rank_info.world_size:
        raise UserError(f"{rank} but {world}: expected a rank below it")
    if rank_info.local_rank >= rank_info.local_world_size:
        raise UserError(f"{local_rank} but {local_world}: expected a rank below it")
    if rank_info.rank != rank_info.node_rank * rank_info.local_world_size + rank_info.local_rank:
        raise UserError(
            f"{rank} is not {node} × {local_world} + {local_rank}: ranks must be numbered node by node "
            "(under SLURM: srun --distribution=block)"
        )


def _number(name: str) -> int:
    """Return the whole number in a variable, 0 or more."""
    text = os.environ.get(name)
    if text is None:
        raise UserError(f"{name} is not set though other variables of the launcher are: start with torchrun or srun")
    if not re.fullmatch("[0-9]{1,10}", text):
        raise UserError(f"{name}={text!r}: expected a whole number, 0 or more")
    return int(text)


def _first(*names: str) -> str:
    """Return the first of these variables that is set; the last if none is."""
    return next((name for name in names if os.environ.get(name)), names[-1])


def _tasks_per_node(name: str) -> int:
    """Return the number of tasks of every node, from `8`, `8(x16)` or `8,8`."""
    text = os.environ[name]
    parts = [re.fullmatch(r"([0-9]+)(?:\(x[0-9]+\))?", part) for part in text.split(",")]
    counts = {int(part[1]) for part in parts if part}
    if not all(parts):
        raise UserError(f"{name}={text!r}: expected tasks per node such as 8 or 8(x16)")
    if len(counts) > 1:
        raise UserError(f"{name}={text}: start the same number of ranks on every node (srun --ntasks-per-node=…)")
    return counts.pop()


def _first_host(name: str) -> str:
    """Return the first host of a list such as `a,b`, `node[003-006,9]` or `gpu-[1,3]-x`."""
    text = os.environ.get(name, "")
    head = re.match(r"(?:[^\[\],]|\[[^\[\]]*\])+(?=,|$)", text)
    host = re.sub(r"\[([0-9]+)[^\]]*\]", r"\1", head[0]) if head else ""
    if not re.fullmatch(r"[\w.:-]+", host):
        raise UserError(f"{name}={text!r}: expected host names such as node[003-006]; or set MASTER_ADDR")
    return host
