"""Two ranks for rehearsals: processes that are started once, which takes seconds, and rehearse many times."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import find_spec
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import torch.distributed as dist

from acereason.config.schema import Config
from acereason.distributed.collectives import gather
from acereason.testing.rollouts import Script
from acereason.testing.run import MakeCallback, RehearsedRun
from acereason.testing.snapshots import Snapshot

RANKS = 2
START_SECONDS = 180.0
GRACE_SECONDS = 5.0
_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from acereason.testing.ranks import serve
serve(*sys.argv[2:])
"""


@dataclass
class RankReport:
    """The rehearsal of one rank.

    Attributes:
        snapshots: up to the first in which ranks differ, or to the end.
        error: what ended it on this rank; empty if it came to the end.
        is_stuck: whether the rank did not answer in time.
    """

    snapshots: list[Snapshot] = field(default_factory=list)
    error: str = ""
    is_stuck: bool = False


class RanksApartError(Exception):
    """The end of a rehearsal whose ranks have decided differently, or another of whose ranks has failed."""


class RanksDoNotMeetError(Exception):
    """A `gather` of one rank that met another `gather` of another rank."""


class RankPair:
    """Two processes in a gloo process group; they end with this one."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="rehearsal-ranks-")
        self.pipes: list[Connection] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        for rank in range(RANKS):
            ours, theirs = Pipe()
            self.processes.append(_start(rank, theirs.fileno(), Path(self.folder.name)))
            theirs.close()
            self.pipes.append(ours)
        for rank, pipe in enumerate(self.pipes):
            started = self._receive(rank) if pipe.poll(START_SECONDS) else RankReport(error="it took too long")
            if started.error:
                self.close()
                raise RuntimeError(f"rank {rank} of a rehearsal did not start: {started.error}")

    def rehearse(self, job: bytes, seconds: float) -> Callable[[], list[RankReport]]:
        """Begin a rehearsal; return a function that waits for its end.

        Args:
            job: from `packed_job`.
            seconds: how long a rank may take; after an error of one, the others get `GRACE_SECONDS`.
        """
        for pipe in self.pipes:
            pipe.send_bytes(job)
        return lambda: self._reports(seconds)

    def _reports(self, seconds: float) -> list[RankReport]:
        reports: dict[int, RankReport] = {}
        end = time.monotonic() + seconds
        while len(reports) < RANKS and time.monotonic() < end:
            waiting = {rank: pipe for rank, pipe in enumerate(self.pipes) if rank not in reports}
            ready = wait(list(waiting.values()), timeout=max(0.0, end - time.monotonic()))
            for rank in [rank for rank, pipe in waiting.items() if pipe in ready]:
                reports[rank] = self._receive(rank)
                if reports[rank].error:
                    end = min(end, time.monotonic() + GRACE_SECONDS)
        if len(reports) < RANKS:
            self.close()
        missing = RankReport(error="it waits for another rank, or takes too long", is_stuck=True)
        return [reports.get(rank, missing) for rank in range(RANKS)]

    def _receive(self, rank: int) -> RankReport:
        try:
            report: RankReport = self.pipes[rank].recv()
        except (EOFError, OSError):
            words = (Path(self.folder.name) / f"rank-{rank}").read_text(errors="replace")
            return RankReport(error=f"the process ended\n{words[-2000:]}".strip())
        return report

    @property
    def is_alive(self) -> bool:
        """Whether both processes can rehearse."""
        return bool(self.pipes) and all(process.poll() is None for process in self.processes)

    def close(self) -> None:
        """End the processes."""
        for pipe in self.pipes:
            pipe.close()
        self.pipes = []
        for process in self.processes:
            process.kill()
            process.wait()
        self.folder.cleanup()


def _start(rank: int, pipe: int, folder: Path) -> subprocess.Popen[bytes]:
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": RANKS, "LOCAL_WORLD_SIZE": RANKS}
    environment = {
        **os.environ,
        **{name: str(value) for name, value in numbers.items()},
        **{"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
    }
    arguments = [json.dumps(sys.path), str(pipe), str(folder / "store")]
    with (folder / f"rank-{rank}").open("wb") as words:
        return subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments],
            env=environment,
            pass_fds=[pipe],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
        )


_pair: list[RankPair] = []


def rank_pair() -> RankPair:
    """Return two processes that can rehearse; start them if there are none."""
    if not _pair or not _pair[0].is_alive:
        close()
        _pair.append(RankPair())
    return _pair[0]


@atexit.register
def close() -> None:
    """End the processes; the next rehearsal starts others."""
    while _pair:
        _pair.pop().close()


def packed_job(make_callback: MakeCallback, config: Config, script: Script) -> bytes:
    """Return a job for `RankPair.rehearse`: arguments for `RehearsedRun`, and where this process finds modules."""
    by_value = [sys.modules[name] for name in (getattr(make_callback, "__module__", ""),) if _is_only_here(name)]
    for module in by_value:
        cloudpickle.register_pickle_by_value(module)
    try:
        packed = cloudpickle.dumps((make_callback, config, script))
    finally:
        for module in by_value:
            cloudpickle.unregister_pickle_by_value(module)
    return bytes(cloudpickle.dumps((os.getcwd(), sys.path, packed)))


def _is_only_here(name: str) -> bool:
    """Tell whether another process could not find a module by its name."""
    if name not in sys.modules or name == "__main__":
        return False
    try:
        return find_spec(name) is None
    except (ValueError, ImportError):
        return True


def serve(pipe: str, store: str) -> None:
    """Rehearse as one rank until the process that started it closes the pipe or ends."""
    connection = Connection(int(pipe))
    rank = int(os.environ["RANK"])
    limit = timedelta(seconds=START_SECONDS)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=RANKS, timeout=limit)
    connection.send(RankReport())
    while True:
        try:
            received = connection.recv_bytes()
        except EOFError:
            os._exit(0)
        connection.send(_rehearse(received))


def _rehearse(received: bytes) -> RankReport:
    report = RankReport()

    def watch(snapshot: Snapshot) -> None:
        report.snapshots.append(snapshot)
        compare(snapshot)

    try:
        folder, sys.path[:], packed = cloudpickle.loads(received)
        os.chdir(folder)
        make_callback, config, script = cloudpickle.loads(packed)
        RehearsedRun(make_callback, config, script, watch).run()
    except RanksApartError:
        pass
    except RanksDoNotMeetError as error:
        report.error = str(error)
    except Exception:  # whatever a callback raises is the rehearsal's result
        report.error = traceback.format_exc().strip()
    if report.error:
        gather(_FAILED)  # the others gather, too, with their next snapshot
    return report


_FAILED = ("failed",)


def compare(snapshot: Snapshot) -> None:
    """End the rehearsal if ranks differ; a collective, called after each hook.

    Raises:
        RanksApartError: the snapshots differ, or another rank has failed.
        RanksDoNotMeetError: another rank called `gather` elsewhere.
    """
    everyone: list[Any] = gather((snapshot.step, snapshot.hook, snapshot.digest()))
    if _FAILED in everyone:
        raise RanksApartError
    if any(not isinstance(each, tuple) or each[:2] != everyone[0][:2] for each in everyone):
        raise RanksDoNotMeetError("a callback calls gather on some ranks only, or not in the same order on all")
    if len(set(everyone)) > 1:
        raise RanksApartError
