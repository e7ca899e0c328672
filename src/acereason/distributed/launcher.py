"""The launcher of several ranks under plain python: starts the ranks of this node, watches them and ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from acereason.config.schema import Config
from acereason.distributed.environment import LAUNCHED, check_port, free_port
from acereason.distributed.lifeline import ENDED_BY_OTHERS, PARENT
from acereason.distributed.stop_signals import STOP_SIGNALS

GRACE_SECONDS = 20.0
"""How long the other ranks may take to end by themselves after one has failed."""
POLL_SECONDS = 0.05


def start_ranks(config: Config, words: Sequence[str], command: Sequence[str] = ()) -> int:
    """Run `trainer.devices` ranks of this program, wait for them and return the exit code of the run.

    SIGTERM, SIGUSR1 and SIGHUP are passed on to the ranks, which save and end by themselves. The terminal sends Ctrl-C
    to the ranks as well; a second Ctrl-C kills them.

    Args:
        config: `trainer.devices`, `trainer.port`, and `run.name`, on which all ranks must agree.
        words: the command line of this program, for every rank.
        command: what to run instead of this program, before the words.

    Returns:
        0 if all ranks ended with 0; 2 if one ended with 2, having printed why; otherwise 1, after a line on standard
        error that names the rank that failed first.

    Raises:
        UserError: `trainer.port` cannot be used.
    """
    check_port(config.trainer.port)
    line = [*(command or (sys.executable, sys.argv[0])), *words, f"run.name={config.run.name}"]
    ranks = _Ranks()
    with _signals(ranks.signals):
        try:
            shared = _shared_environment(config)
            for rank in range(config.trainer.devices):
                ranks.start(line, os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        except BaseException:
            ranks.kill()
            raise
        finally:
            ranks.wait()
    return ranks.report()


class _Ranks:
    """The processes of the ranks, and the order in which they failed."""

    def __init__(self) -> None:
        self.signals: list[int] = []  # received, not yet passed on
        self._processes: list[subprocess.Popen[bytes]] = []
        self._failed: list[int] = []
        self._killed: set[int] = set()  # by us
        self._interrupts = 0

    def start(self, line: Sequence[str], environment: dict[str, str]) -> None:
        self._processes.append(subprocess.Popen(line, env=environment))

    def wait(self) -> None:
        """Wait until all have ended; pass signals on, and kill ranks that stay long after one has failed."""
        kill_at = float("inf")
        running = set(range(len(self._processes)))
        while running:
            for rank in [rank for rank in running if self._processes[rank].poll() is not None]:
                running.remove(rank)
                if self._processes[rank].returncode:
                    self._failed.append(rank)
                    kill_at = min(kill_at, time.monotonic() + GRACE_SECONDS)
            self._pass_on()
            if time.monotonic() > kill_at or self._interrupts > 1:
                self.kill()
            time.sleep(POLL_SECONDS if running else 0)

    def kill(self) -> None:
        """Kill the ranks that still run."""
        for rank, process in enumerate(self._processes):
            if process.poll() is None:
                self._killed.add(rank)
                process.kill()

    def report(self) -> int:
        """Return the exit code of the run; print the cause on standard error if no rank has."""
        codes = [process.returncode for process in self._processes]
        if not any(codes):
            return 0
        if 2 in codes:
            return 2
        if 1 in codes and not self._interrupts:
            return 1  # that rank has printed why, and its line must stay the last
        # Ranks that ended because of another, or were killed by us, are the cause only if no other rank failed.
        first = sorted(self._failed, key=lambda rank: (codes[rank] == ENDED_BY_OTHERS) + 2 * (rank in self._killed))[0]
        cause = "interrupted (SIGINT)" if self._interrupts else f"rank {first} {self._ending(first)}"
        others = "" if self._interrupts or len(codes) == 1 else "; the other ranks were ended"
        sys.stdout.flush()
        print(f"error: {cause}{others}; ckpt=last resumes from the newest checkpoint", file=sys.stderr, flush=True)
        return 1

    def _ending(self, rank: int) -> str:
        code = self._processes[rank].returncode
        if rank in self._killed:
            return f"did not end within {GRACE_SECONDS:.0f} s and was killed"
        return f"ended with code {code}" if code > 0 else f"was killed ({_name(-code)})"

    def _pass_on(self) -> None:
        while self.signals:
            number = self.signals.pop(0)
            if number == signal.SIGINT:
                self._interrupts += 1
                continue
            for process in self._processes:
                process.send_signal(number)


def _shared_environment(config: Config) -> dict[str, str]:
    """Return the variables that are the same for all ranks."""
    devices = config.trainer.devices
    return {
        LAUNCHED: "1",
        PARENT: str(os.getpid()),
        "WORLD_SIZE": str(devices),
        "LOCAL_WORLD_SIZE": str(devices),
        "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(config.trainer.port or free_port()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, _cores() // devices)),
    }


def _cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _signals(received: list[int]) -> Iterator[None]:
    """Collect signals instead of being ended by them; an ignored signal, such as SIGHUP under nohup, stays ignored.

    A handler is installed rather than SIG_IGN, because the ranks would inherit SIG_IGN.
    """

    def collect(number: int, frame: FrameType | None) -> None:
        received.append(number)

    numbers = [getattr(signal, name) for name in ("SIGINT", *STOP_SIGNALS)]
    before = {number: signal.getsignal(number) for number in numbers}
    taken = [number for number in numbers if before[number] is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, collect)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number] or signal.SIG_DFL)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
