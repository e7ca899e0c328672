"""A zone as the judge sees it: starts the zygote, runs one program at a time in it, and keeps time and memory.

What a program can write never decides anything here: its end is told by the zygote, its output lies in shared memory
and is read once every process of the zone but the zygote is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import marshal
import math
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acereason.errors import UserError
from acereason.rewards.sandbox import leftovers, pids_cgroup, processes, program, zygote
from acereason.rewards.sandbox.leftovers import own_name
from acereason.rewards.sandbox.pids_cgroup import PidsCgroup

TICK_SECONDS = 0.1
"""How often a program's memory is looked at, when it runs that long."""
GRACE_SECONDS = 30.0
"""How long the zygote may take to report an end that was ordered; then the zone is lost."""
START_SECONDS = 120.0
STARVED = 3.0
"""A program that waits for a core gets its time back, up to this many times its limit."""
_ENTRIES = 4096
"""Files and folders in the folder that programs write to."""
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


EXITED, TIMEOUT, MEMORY, OUTPUT, ENDED = "exited", "timeout", "memory", "output_limit", "ended"
"""How a run came to its end: by itself, over a limit, or because the judge had enough."""


class ZoneLost(Exception):
    """The zygote ended, or does not answer; the program's fate is unknown, so it is to be run again."""


class NoZone(UserError):
    """This machine does not let a zone of this kind be made."""


@dataclass(frozen=True)
class Ending:
    """How a program ended.

    Attributes:
        why: EXITED, TIMEOUT, MEMORY, OUTPUT or ENDED.
        status: exit status, or minus the signal.
        cpu_seconds: of the program and what it waited for.
        memory_bytes: peak resident memory of one process.
    """

    why: str
    status: int
    cpu_seconds: float
    memory_bytes: int


class Zone:
    """One zygote with its shared memory.

    Args:
        settings: what `zygote.py` is told, see `isolation.zone_settings`.

    Raises:
        NoZone: the kernel refuses.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.lost = False
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
        parent = pids_cgroup.parent_folder() if self.settings["cgroup"] else None
        if parent is None:
            return
        try:
            # Besides programs there are the keeper, the zygote, and what loads libraries at the start.
            group = PidsCgroup(parent, self.control.fileno(), self.settings["processes"] + 3)
        except OSError:
            return  # RLIMIT_NPROC counts too
        self._group = group
        with contextlib.suppress(OSError):
            group.add(self._process.pid)

    def _start(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        wanted = {zygote.JOB: self._job_memory, zygote.CONTROL: theirs.fileno()}

        def place_descriptors() -> None:
            high = {number: fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, 64) for number, source in wanted.items()}
            for number, copy in high.items():
                os.dup2(copy, number)
            os.setsid()

        command = [sys.executable, "-S", "-P", "-s", "-B", "-X", "utf8", str(_SCRIPT), json.dumps(self.settings)]
        null = subprocess.DEVNULL
        with _tall_stack():
            return subprocess.Popen(
                command,
                stdin=null,
                stdout=null,
                stderr=None if "ACEREASON_ZYGOTE_ERRORS" in os.environ else null,
                env=_ENVIRONMENT,
                close_fds=False,  # it would close those just placed; the zygote closes what it does not know
                preexec_fn=place_descriptors,
            )

    def _wait_ready(self) -> None:
        self.control.settimeout(START_SECONDS)
        try:
            message = self.control.recv(4096)
        except OSError:
            message = b""
        if message[:1] != zygote.READY:
            reason = message[1:].decode(errors="replace") or "the zygote did not start"
            raise NoZone(f"no sandbox of mode {self.settings['mode']}: {reason}")
        self.control.settimeout(GRACE_SECONDS)
        children = processes.descendants(self._process.pid)
        if not children:
            raise ZoneLost("the zygote is gone")
        self._zygote = children[0]

    def prepare(self, job: dict[str, Any]) -> None:
        """Set the program that the next runs are of; of no cost for the one that it is already."""
        if self._job is job:
            return
        self._job = job
        data = marshal.dumps(job)
        os.ftruncate(self._job_memory, 0)
        _write_all(self._job_memory, program.HEAD.pack(len(data), 0) + data)

    def start(self, seconds: float, cpu_seconds: int) -> RunningProgram:
        """Begin the prepared program; it waits for the first message.

        Args:
            seconds: that it may run or sleep; waiting for a core does not count, up to a limit.
            cpu_seconds: of processor time, of each of its processes.

        Raises:
            ZoneLost: the zygote is gone.
        """
        assert self._running is None or self._running.ended, "one program at a time"
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
        """Process numbers of the running program and all it started, the program first."""
        return processes.descendants(self._zygote)

    def overfull(self) -> bool:
        """Whether a program has filled a folder that nothing else bounds."""
        size = self.settings["tmp_mib"] * 2**20
        return bool(self._folder) and leftovers.larger_than(self._folder, size, _ENTRIES)

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


class RunningProgram:
    """A program from its start to its end; `ask` while it serves calls, then `end`.

    Attributes:
        oversized: whether it sent a message longer than it may.
        companion: another program whose memory is looked at while this one is waited for.
    """

    def __init__(self, zone: Zone, channel: socket.socket, seconds: float, stdin: int, stdout: int) -> None:
        self._zone, self._channel, self._stdin, self._stdout = zone, channel, stdin, stdout
        channel.setblocking(False)
        self.oversized = False
        self.companion: RunningProgram | None = None
        self._ending: Ending | None = None
        self._why = EXITED
        self._closed = False
        self._allow(seconds)

    @property
    def ended(self) -> bool:
        """Whether its end is known."""
        return self._ending is not None

    def _allow(self, seconds: float) -> None:
        """From now on it may take so many seconds."""
        self._started, self._seconds = time.monotonic(), seconds
        self._next_look = self._started + TICK_SECONDS
        self._before: processes.Usage | None = None

    def lay_out(self, stdin: bytes) -> None:
        """What it will read on standard input; its output so far is forgotten. It shares the offsets."""
        for memory in (self._stdin, self._stdout):
            os.ftruncate(memory, 0)
            os.lseek(memory, 0, os.SEEK_SET)
        _write_all(self._stdin, stdin)

    def output(self, limit: int) -> bytes:
        """What it has left on standard output, at most `limit` bytes of it."""
        size = min(os.fstat(self._stdout).st_size, limit)
        parts = []
        offset = 0
        while offset < size and (part := os.pread(self._stdout, size - offset, offset)):
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Let go of its channel and its files; may be called again."""
        if not self._closed:
            self._closed = True
            self._channel.close()
            os.close(self._stdin)
            os.close(self._stdout)

    def ask(self, message: bytes, seconds: float, limit: int) -> bytes | None:
        """Send one message and wait for the reply; None when the program ended, or sent more than `limit` bytes."""
        return self.listen(seconds, limit) if self.tell(message, seconds) else None

    def tell(self, message: bytes, seconds: float) -> bool:
        """Send one message, within so many seconds; False when the program ended, or hung up."""
        self._allow(seconds)
        try:
            self._send(program.MESSAGE.pack(len(message)) + message)
        except OSError:
            return False
        return True

    def listen(self, seconds: float, limit: int) -> bytes | None:
        """The next message, within so many seconds; see `ask`."""
        self._allow(seconds)
        head = self._receive(program.MESSAGE.size)
        if head is None:
            return None
        (size,) = program.MESSAGE.unpack(head)
        self.oversized = size > limit
        return None if self.oversized else self._receive(size)

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            with contextlib.suppress(BlockingIOError):
                view = view[self._channel.send(view) :]
            if view and not self._wait(self._channel, select.POLLOUT):
                raise BrokenPipeError

    def _receive(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            if not self._wait(self._channel, select.POLLIN):
                return None
            try:
                part = self._channel.recv(min(size - len(data), 1 << 20))
            except BlockingIOError:
                continue
            except OSError:
                return None
            if not part:
                return None
            data += part
        return bytes(data)

    def _wait(self, channel: socket.socket, event: int) -> bool:
        """Until the channel is ready; False when it never will be. What a program said before its end still counts."""
        while self._ending is None:
            ready = self._poll(channel, event)
            if ready:
                return bool(ready & event)
        waiting = select.poll()
        waiting.register(channel, event)
        return self._ending.why == EXITED and any(ready & event for _, ready in waiting.poll(0))

    def end(self, patience: float = math.inf) -> Ending:
        """Wait for the end, and order it when it has not come after `patience` seconds; then `close` is due.

        Raises:
            ZoneLost: the zygote went away, or does not answer.
        """
        last = time.monotonic() + patience
        while self._ending is None:
            if time.monotonic() >= last:
                self._order(ENDED)
            else:
                self._poll()
        return self._ending

    def _poll(self, channel: socket.socket | None = None, event: int = 0) -> int:
        """Wait one tick for the channel or the end; returns the channel's events."""
        waiting = select.poll()
        waiting.register(self._zone.control, select.POLLIN)
        if channel:
            waiting.register(channel, event)
        now = time.monotonic()
        due = min(self._next_look, max(self._started + self._seconds, now + 0.01))
        ready = dict(waiting.poll(math.ceil(1000 * max(0.0, due - now))))
        if self._zone.control.fileno() in ready:
            self._read_ending()
        elif time.monotonic() >= self._next_look:
            self._look()
        return ready.get(channel.fileno(), 0) if channel else 0

    def _look(self) -> None:
        """At a program that has run for a while: its time and its memory, however busy it is with messages."""
        now = time.monotonic()
        self._next_look = now + TICK_SECONDS
        taken = processes.usage(self._zone.descendants())
        before = self._before = self._before or taken
        starved = min(taken.waited_seconds - before.waited_seconds, STARVED * self._seconds)
        busy = taken.cpu_seconds - before.cpu_seconds
        if now > self._started + self._seconds + starved or busy > self._seconds:
            self._order(TIMEOUT)
        elif taken.memory_bytes > self._zone.settings["memory_bytes"]:
            self._order(MEMORY)
        elif self._zone.overfull():
            self._order(OUTPUT)
        elif self.companion and not self.companion.ended:
            self.companion.look_at_memory()

    def look_at_memory(self) -> None:
        """End a program that has too much memory while nobody waits for it."""
        if processes.usage(self._zone.descendants()).memory_bytes > self._zone.settings["memory_bytes"]:
            self._order(MEMORY)

    def _order(self, why: str) -> None:
        self._why = why
        with contextlib.suppress(OSError):
            self._zone.control.send(zygote.KILL)
        self._read_ending()

    def _read_ending(self) -> None:
        try:
            message = self._zone.control.recv(64)
        except OSError:
            message = b""
        if len(message) != zygote.ENDED.size:
            self._zone.lost = True
            raise ZoneLost("the zygote is gone, or does not answer")
        _, status, cpu_seconds, memory = zygote.ENDED.unpack(message)
        self._ending = Ending(self._why, os.waitstatus_to_exitcode(status), cpu_seconds, memory)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    offset = 0
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


@contextlib.contextmanager
def _tall_stack() -> Iterator[None]:
    """The kernel leaves room for a main thread's stack as the limit is when a process starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    tall = 1 << 30 if hard == resource.RLIM_INFINITY else min(hard, 1 << 30)
    resource.setrlimit(resource.RLIMIT_STACK, (tall, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))
