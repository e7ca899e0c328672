"""Which of the ranks this process is: read from torchrun, SLURM or our own launcher, or nobody started it.

Afterwards RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, GROUP_RANK, MASTER_ADDR and MASTER_PORT are in `os.environ`,
where torch, Lightning and vLLM look for them.
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
class Place:
    """Where one process stands among all.

    Attributes:
        rank: number of this process among all, from 0.
        local_rank: its number on this node.
        world_size: processes on all nodes.
        local_world_size: processes on each node.
        node_rank: number of this node.
        launcher: `torchrun`, `slurm`, `acereason`, or empty where nobody started several ranks.
    """

    rank: int
    local_rank: int
    world_size: int
    local_world_size: int
    node_rank: int
    launcher: str


def find_place() -> Place:
    """The place of this process; what SLURM calls otherwise is written to `os.environ` under the usual names.

    Raises:
        UserError: a variable that is missing, no number or at odds with another, or unequal ranks per node.
    """
    if os.environ.get(LAUNCHED):
        return _usual("acereason")
    if os.environ.get("TORCHELASTIC_RUN_ID"):
        place = _usual("torchrun")
        _check_restarts(place)
        return place
    named = "RANK" in os.environ and "WORLD_SIZE" in os.environ
    if _is_srun_task() and (not named or _one_rank() or _agrees_with_slurm()):
        return _slurm()
    if named and not _one_rank():
        return _usual("torchrun")
    # One rank named by nobody: left by an earlier trainer in this process, or by the process that started it.
    return Place(0, 0, 1, 1, 0, "")


def resolve_ranks(config: Config, place: Place) -> None:
    """Set `trainer.devices` and `trainer.num_nodes`, where they are 0, to what was started.

    With `validate_only` nobody need have started anything: the plan is of the ranks that the settings ask for.

    Raises:
        UserError: they ask for other ranks than were started, or for several nodes without a launcher.
    """
    trainer = config.trainer
    if not place.launcher:
        if trainer.num_nodes > 1 and not config.validate_only:
            raise UserError(
                f"trainer.num_nodes={trainer.num_nodes}: this program starts the ranks of one node only; "
                "start it on every node with torchrun or srun"
            )
        trainer.devices, trainer.num_nodes = trainer.devices or 1, trainer.num_nodes or 1
        return
    nodes = place.world_size // place.local_world_size
    devices, num_nodes = trainer.devices or place.local_world_size, trainer.num_nodes or nodes
    if (devices, num_nodes) != (place.local_world_size, nodes):
        launcher = "srun" if place.launcher == "slurm" else place.launcher
        shape = f" ({place.local_world_size} on each of {nodes} nodes)" if nodes > 1 else ""
        raise UserError(
            f"trainer.devices={devices} × trainer.num_nodes={num_nodes} is {devices * num_nodes} ranks, but {launcher} "
            f"started {place.world_size}{shape}: leave both at 0, or start {devices} on each of {num_nodes} nodes"
        )
    trainer.devices, trainer.num_nodes = devices, num_nodes


def claim_alone(port: int = 0) -> None:
    """Name this process the only rank, over whatever an earlier trainer left; a free port where `port` is 0."""
    os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", LOCAL_WORLD_SIZE="1", GROUP_RANK="0")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port or free_port()))


def free_port() -> int:
    """A TCP port on which nothing listens at the moment."""
    with socket.create_server(("", 0)) as server:
        return int(server.getsockname()[1])


def check_port(port: int) -> None:
    """Make sure that ranks can meet on `trainer.port`.

    Raises:
        UserError: it is no port, is in use, or may not be used.
    """
    try:
        socket.create_server(("", port)).close()
    except (OSError, OverflowError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "not a port"
        raise UserError(
            f"trainer.port={port} is in use or cannot be used ({reason}): choose another, or 0 for a free one"
        ) from error


def _usual(launcher: str) -> Place:
    """The place by the names that torchrun gives; MASTER_ADDR and MASTER_PORT must be there as well."""
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        if not os.environ.get(name):
            raise UserError(
                f"{name} is not set though RANK and WORLD_SIZE are: start with torchrun, which sets them all"
            )
    rank, world, local_world = _number("RANK"), _number("WORLD_SIZE"), _number("LOCAL_WORLD_SIZE")
    if "GROUP_RANK" not in os.environ:
        os.environ["GROUP_RANK"] = str(rank // max(local_world, 1))
    place = Place(rank, _number("LOCAL_RANK"), world, local_world, _number("GROUP_RANK"), launcher)
    _check(place, ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK"))
    return place


def _check_restarts(place: Place) -> None:
    """In the store that torchrun itself keeps, restarted ranks would follow what those before them left there."""
    restarts = os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")
    if place.world_size > 1 and restarts != "0" and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        raise UserError(
            f"torchrun --max-restarts={restarts}: restarted ranks would not find each other; start torchrun with "
            "--rdzv-backend=c10d and TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 in its environment"
        )


def _one_rank() -> bool:
    return os.environ["RANK"] == "0" and os.environ["WORLD_SIZE"] == "1"


def _is_srun_task() -> bool:
    """Whether srun started this, rather than somebody in a shell of the job."""
    step = os.environ.get("SLURM_STEP_ID", "")
    if not step.isdecimal() or int(step) >= _RESERVED_STEPS or "SLURM_PROCID" not in os.environ:
        return False
    # `srun` inside a job keeps the name of the shell it was typed in; then only the parent tells.
    return os.environ.get("SLURM_JOB_NAME") not in _SHELLS or _parent_name() == "slurmstepd"


def _parent_name() -> str:
    try:
        return Path(f"/proc/{os.getppid()}/comm").read_text().strip()
    except OSError:
        return ""


def _agrees_with_slurm() -> bool:
    """Whether RANK and WORLD_SIZE say what SLURM says: set by us before, or by the user's script."""
    rank, world = (os.environ.get(_first(*names)) for names in (("SLURM_PROCID",), _NTASKS))
    return (os.environ["RANK"], os.environ["WORLD_SIZE"]) == (rank, world)


# A step may have fewer tasks than its job; where SLURM tells both, the step's count.
_NTASKS = ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
_PER_NODE = ("SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE", "SLURM_NTASKS_PER_NODE")
_NODELIST = ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST")


def _slurm() -> Place:
    """The place by SLURM's names, written to `os.environ` under torchrun's."""
    ntasks, per_node = _first(*_NTASKS), _first(*_PER_NODE)
    rank, local_rank, node = _number("SLURM_PROCID"), _number("SLURM_LOCALID"), _number("SLURM_NODEID")
    world = _number(ntasks)
    # Without the count per node, one node is the only thing that can be told.
    local_world = _tasks_per_node(per_node) if per_node in os.environ else world
    place = Place(rank, local_rank, world, local_world, node, "slurm")
    _check(place, ("SLURM_PROCID", "SLURM_LOCALID", ntasks, per_node, "SLURM_NODEID"))
    address = os.environ.get("MASTER_ADDR", "")
    if not address or (address in _LOOPBACK and world > local_world):  # as an earlier run on one node left it
        os.environ["MASTER_ADDR"] = _first_host(_first(*_NODELIST))
    if not os.environ.get("MASTER_PORT"):
        os.environ["MASTER_PORT"] = str(15000 + _number(_first("SLURM_JOB_ID", "SLURM_JOBID")) % 20000)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(local_rank), GROUP_RANK=str(node))
    os.environ.update(WORLD_SIZE=str(world), LOCAL_WORLD_SIZE=str(local_world))
    return place


def _check(place: Place, names: Sequence[str]) -> None:
    """Raise where the numbers cannot all be true; `names` are the variables they came from, in the order of `Place`."""
    rank, local_rank, world, local_world, node = (f"{name}={os.environ.get(name, 'not set')}" for name in names)
    if place.world_size < 1:
        raise UserError(f"{world}: expected 1 or more")
    if place.local_world_size < 1:
        raise UserError(f"{local_world}: expected 1 or more")
    if place.world_size % place.local_world_size:
        raise UserError(f"{world} is not a multiple of {local_world}: start the same number of ranks on every node")
    if place.rank >= place.world_size:
        raise UserError(f"{rank} but {world}: expected a rank below it")
    if place.local_rank >= place.local_world_size:
        raise UserError(f"{local_rank} but {local_world}: expected a rank below it")
    if place.rank != place.node_rank * place.local_world_size + place.local_rank:
        raise UserError(
            f"{rank} is not {node} × {local_world} + {local_rank}: ranks must be numbered node by node "
            "(under SLURM: srun --distribution=block)"
        )


def _number(name: str) -> int:
    """The whole number in a variable, 0 or more."""
    text = os.environ.get(name)
    if text is None:
        raise UserError(f"{name} is not set though other variables of the launcher are: start with torchrun or srun")
    if not re.fullmatch("[0-9]{1,10}", text):
        raise UserError(f"{name}={text!r}: expected a whole number, 0 or more")
    return int(text)


def _first(*names: str) -> str:
    """The first of these variables that is set; the last when none is."""
    return next((name for name in names if os.environ.get(name)), names[-1])


def _tasks_per_node(name: str) -> int:
    """The tasks of every node, from `8`, `8(x16)` or `8,8`."""
    text = os.environ[name]
    parts = [re.fullmatch(r"([0-9]+)(?:\(x[0-9]+\))?", part) for part in text.split(",")]
    counts = {int(part[1]) for part in parts if part}
    if not all(parts):
        raise UserError(f"{name}={text!r}: expected tasks per node such as 8 or 8(x16)")
    if len(counts) > 1:
        raise UserError(f"{name}={text}: start the same number of ranks on every node (srun --ntasks-per-node=…)")
    return counts.pop()


def _first_host(name: str) -> str:
    """The first host of a list such as `a,b`, `node[003-006,9]` or `gpu-[1,3]-x`."""
    text = os.environ.get(name, "")
    head = re.match(r"(?:[^\[\],]|\[[^\[\]]*\])+(?=,|$)", text)
    host = re.sub(r"\[([0-9]+)[^\]]*\]", r"\1", head[0]) if head else ""
    if not re.fullmatch(r"[\w.:-]+", host):
        raise UserError(f"{name}={text!r}: expected host names such as node[003-006]; or set MASTER_ADDR")
    return host
