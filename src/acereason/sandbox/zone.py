"""A zone as its owner sees it: starts the zygote, hands it one program at a time, and ends it with all it holds."""

from __future__ import annotations

import contextlib
import json
import marshal
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from acereason.errors import UserError
from acereason.sandbox import leftovers, processes, program, zygote
from acereason.sandbox.leftovers import PidsCgroup, own_name
from acereason.sandbox.running import RunningProgram, ZoneLost, write_all

GRACE_SECONDS = 30.0
"""How long the zygote may take to report an end that was ordered; then the zone is lost."""
START_SECONDS = 120.0
"""How long the zygote may take to start."""
_MAX_ENTRIES = 4096
"""Most files and folders in the folder that programs write to."""
_SCRIPT = Path(zygote.__file__)
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""All that a program can see of an environment."""


class NoZone(UserError):
    """This machine cannot make a zone of this kind."""


class Zone:
    """One zygote with its shared memory.

    Args:
        settings: settings for `zygote.py`, see `isolation.zone_settings`.

    Attributes:
        lost: whether the zygote is gone; such a zone runs no more programs.
        memory_bytes: limit of a program and all it started together.
        control: socket to the zygote.

    Raises:
        NoZone: the kernel refuses.
        ZoneLost: the zygote ended while it started, and did not say why.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.lost = False
        self.memory_bytes: int = settings["memory_bytes"]
        self._job: dict[str, Any] | None = None
        self._group: PidsCgroup | None = None
        self._running: RunningProgram | None = None
        self._stack = contextlib.ExitStack()
        try:
            self._make(settings)
        except BaseException:
            self.close()
            raise

    def _make(self, settings: dict[str, Any]) -> None:
        leftovers.sweep()
        self._folder = ""
        if settings["mode"] == "none":  # nothing can be mounted: programs write to a folder of the machine
            self._folder = tempfile.mkdtemp(prefix=own_name(""))
            self._stack.callback(leftovers.remove, Path(self._folder))
        self.settings = settings | {"parent": os.getpid(), "folder": self._folder}
        self._job_memory = os.memfd_create("job", os.MFD_CLOEXEC)
        self._stack.callback(os.close, self._job_memory)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._stack.callback(self.control.close)
        with theirs:
            self._process = self._start(theirs)
        self._zygote = -1
        self._stack.callback(self._end_processes)
        self._enter_cgroup()
        self._wait_ready()

    def _enter_cgroup(self) -> None:
        parent = leftovers.cgroup_parent() if self.settings["cgroup"] else None
        if parent is None:
            return
        try:
            # Besides programs there are the keeper, the zygote, and the process that loads libraries at the start.
            group = PidsCgroup(parent, self.control.fileno(), self.settings["processes"] + 3)
        except OSError:
            return  # RLIMIT_NPROC counts too
        self._group = group
        with contextlib.suppress(OSError):
            group.add(self._process.pid)

    def _start(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        descriptors = (self._job_memory, theirs.fileno())
        settings = json.dumps(self.settings | {"descriptors": descriptors})
        command = [sys.executable, "-S", "-P", "-s", "-B", "-X", "utf8", str(_SCRIPT), settings]
        null = subprocess.DEVNULL
        errors = None if "ACEREASON_ZYGOTE_ERRORS" in os.environ else null
        with _raised_stack_limit():
            return subprocess.Popen(
                command,
                stdin=null,
                stdout=null,
                stderr=errors,
                env=_ENVIRONMENT,
                pass_fds=descriptors,
                start_new_session=True,
            )

    def _wait_ready(self) -> None:
        self.control.settimeout(START_SECONDS)
        try:
            message = self.control.recv(4096)
        except OSError:
            message = b""
        if message[:1] != zygote.READY:
            mode = self.settings["mode"]
            if not message:
                raise ZoneLost(f"no sandbox of mode {mode}: the zygote did not start")
            raise NoZone(f"no sandbox of mode {mode}: {message[1:].decode(errors='replace')}")
        self.control.settimeout(GRACE_SECONDS)
        children = processes.descendants(self._process.pid)
        if not children:
            raise ZoneLost("the zygote is gone")
        self._zygote = children[0]

    def prepare(self, job: dict[str, Any]) -> None:
        """Set the job that the next runs are of; costs nothing for the job that is already set."""
        if self._job is job:
            return
        self._job = job
        data = marshal.dumps(job)
        os.ftruncate(self._job_memory, 0)
        write_all(self._job_memory, program.JOB_HEADER.pack(len(data), 0) + data)

    def start(self, seconds: float, cpu_seconds: int) -> RunningProgram:
        """Start the prepared program; it waits for the first message.

        Args:
            seconds: how long it may run or sleep; waiting for a core does not count, up to a limit.
            cpu_seconds: processor time that each of its processes may take.

        Raises:
            ZoneLost: the zygote is gone.
        """
        if self._running and not self._running.ended:
            raise RuntimeError("a zone runs one program at a time, and the last one has not ended")
        ours, theirs = socket.socketpair()
        files = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("stdin", "stdout")]
        running = self._running = RunningProgram(self, ours, seconds, *files)
        try:
            with theirs:
                socket.send_fds(self.control, [zygote.RUN.pack(b"R", cpu_seconds)], [theirs.fileno(), *files])
        except OSError as error:
            self.lost = True
            running.close()
            raise ZoneLost("the zygote is gone") from error
        return running

    def descendants(self) -> list[int]:
        """Return the process numbers of the running program and all it started, the program first."""
        return processes.descendants(self._zygote)

    def overfull(self) -> bool:
        """Return whether a program has filled a folder that nothing else bounds."""
        size = self.settings["tmp_mib"] * 2**20
        return bool(self._folder) and leftovers.larger_than(self._folder, size, _MAX_ENTRIES)

    def close(self) -> None:
        """End the zygote and everything in the zone; may be called again."""
        if self._running:
            self._running.close()
        self._stack.close()

    def _end_processes(self) -> None:
        self.control.close()
        if self._zygote > 0 and self._zygote in processes.descendants(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._zygote, signal.SIGKILL)
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._group:
            self._group.close()


@contextlib.contextmanager
def _raised_stack_limit() -> Iterator[None]:
    """Raise the stack limit: when a process starts, the kernel leaves room for its stack as the limit then is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    tall = 1 << 30 if hard == resource.RLIM_INFINITY else min(hard, 1 << 30)
    resource.setrlimit(resource.RLIMIT_STACK, (tall, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))
