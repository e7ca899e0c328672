"""A program while it runs in a zone: messages to and from it, its time and memory, its end.

Nothing that a program writes decides anything here: its zygote says how it ended, and its messages and output are for
the caller to compare.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import time
from dataclasses import dataclass
from typing import Protocol

from acereason.sandbox import processes, program, zygote

TICK_SECONDS = 0.1
"""How often the time and memory of a program are checked, when it runs that long."""
STARVED = 3.0
"""A program that waits for a core gets that time back, up to this many times its limit."""
EXITED, TIMEOUT, MEMORY, OUTPUT, STOPPED = "exited", "timeout", "memory", "output_limit", "stopped"
"""Why a run ended: it exited, went over a limit, or the caller stopped it."""


class ZoneLost(Exception):
    """The zygote has ended, or does not answer: the program's fate is unknown, so it has to run again."""


class Host(Protocol):
    """What a running program needs of its zone.

    Attributes:
        control: socket to the zygote.
        memory_bytes: limit of the program and all it started together.
        lost: whether the zygote is gone; set here when it turns out so.
    """

    control: socket.socket
    memory_bytes: int
    lost: bool

    def descendants(self) -> list[int]:
        """Return the process numbers of the program and all it started, the program first."""
        ...

    def overfull(self) -> bool:
        """Return whether the program has filled a folder that nothing else bounds."""
        ...


@dataclass(frozen=True)
class Ending:
    """How a program ended.

    Attributes:
        why: EXITED, TIMEOUT, MEMORY, OUTPUT or STOPPED.
        status: exit status, or minus the signal.
        cpu_seconds: processor time of the program and of the children it waited for.
        memory_bytes: peak resident memory of one process.
    """

    why: str
    status: int
    cpu_seconds: float
    memory_bytes: int


class RunningProgram:
    """A program from its start to its end; `ask` while it answers calls, then `end`.

    Attributes:
        oversized: whether it sent a message longer than allowed.
        companion: another program whose memory is bounded while this one is waited for.
    """

    def __init__(self, host: Host, channel: socket.socket, seconds: float, stdin: int, stdout: int) -> None:
        self._host, self._channel, self._stdin, self._stdout = host, channel, stdin, stdout
        channel.setblocking(False)
        self.oversized = False
        self.companion: RunningProgram | None = None
        self._ending: Ending | None = None
        self._why = EXITED
        self._closed = False
        self._restart_clock(seconds)

    @property
    def ended(self) -> bool:
        """Whether its end is known."""
        return self._ending is not None

    def _restart_clock(self, seconds: float) -> None:
        """Allow the program this many seconds from now on."""
        self._started, self._seconds = time.monotonic(), seconds
        self._next_check = self._started + TICK_SECONDS
        self._before: processes.Usage | None = None

    def set_input(self, stdin: bytes) -> None:
        """Set what the program reads on standard input, and forget its output so far. It shares the file offsets."""
        for memory in (self._stdin, self._stdout):
            os.ftruncate(memory, 0)
            os.lseek(memory, 0, os.SEEK_SET)
        write_all(self._stdin, stdin)

    def output(self, limit: int) -> bytes:
        """Return what the program left on standard output, at most `limit` bytes of it."""
        size = min(os.fstat(self._stdout).st_size, limit)
        parts = []
        offset = 0
        while offset < size and (part := os.pread(self._stdout, size - offset, offset)):
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close its channel and its files; may be called again."""
        if not self._closed:
            self._closed = True
            self._channel.close()
            os.close(self._stdin)
            os.close(self._stdout)

    def ask(self, message: bytes, seconds: float, limit: int) -> bytes | None:
        """Send one message and return the reply; see `send` and `receive`, which each may take the seconds."""
        return self.receive(seconds, limit) if self.send(message, seconds) else None

    def send(self, message: bytes, seconds: float) -> bool:
        """Send one message; return False when the program ended or hung up, or the time was up."""
        self._restart_clock(seconds)
        try:
            self._send_all(program.MESSAGE_HEADER.pack(len(message)) + message)
        except OSError:
            return False
        return True

    def receive(self, seconds: float, limit: int) -> bytes | None:
        """Return the next message; None when the program ended, sent more than `limit` bytes, or the time was up."""
        self._restart_clock(seconds)
        header = self._receive_bytes(program.MESSAGE_HEADER.size)
        if header is None:
            return None
        (size,) = program.MESSAGE_HEADER.unpack(header)
        self.oversized = size > limit
        return None if self.oversized else self._receive_bytes(size)

    def _send_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            with contextlib.suppress(BlockingIOError):
                view = view[self._channel.send(view) :]
            if view and not self._wait(select.POLLOUT):
                raise BrokenPipeError

    def _receive_bytes(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            if not self._wait(select.POLLIN):
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

    def _wait(self, event: int) -> bool:
        """Wait until the channel is ready; return False when it never will be.

        A message that was sent before the program's end still counts.
        """
        while self._ending is None:
            ready = self._poll(event)
            if ready:
                return bool(ready & event)
        waiting = select.poll()
        waiting.register(self._channel, event)
        return self._ending.why == EXITED and any(ready & event for _, ready in waiting.poll(0))

    def end(self, patience: float = math.inf) -> Ending:
        """Wait for the end, and kill the program when it has not come after `patience` seconds; then `close` is due.

        Raises:
            ZoneLost: the zygote is gone, or does not answer.
        """
        last = time.monotonic() + patience
        while self._ending is None:
            if time.monotonic() >= last:
                self._kill(STOPPED)
            else:
                self._poll()
        return self._ending

    def stop(self) -> None:
        """End the program at once, if it has not ended, and close it, even if its zone is lost."""
        with contextlib.closing(self), contextlib.suppress(ZoneLost):
            self.end(0)

    def _poll(self, event: int = 0) -> int:
        """Wait one tick for the end, or for an event of the channel if one is named; return the channel's events."""
        waiting = select.poll()
        waiting.register(self._host.control, select.POLLIN)
        if event:
            waiting.register(self._channel, event)
        now = time.monotonic()
        due = min(self._next_check, max(self._started + self._seconds, now + 0.01))
        ready = dict(waiting.poll(math.ceil(1000 * max(0.0, due - now))))
        if self._host.control.fileno() in ready:
            self._read_ending()
        elif time.monotonic() >= self._next_check:
            self._enforce_limits()
        return ready.get(self._channel.fileno(), 0) if event else 0

    def _enforce_limits(self) -> None:
        """Kill a program that is over its time or memory, however busy it is with messages."""
        now = time.monotonic()
        self._next_check = now + TICK_SECONDS
        taken = processes.usage(self._host.descendants())
        before = self._before = self._before or taken
        starved = min(taken.waited_seconds - before.waited_seconds, STARVED * self._seconds)
        busy = taken.cpu_seconds - before.cpu_seconds
        if now > self._started + self._seconds + starved or busy > self._seconds:
            self._kill(TIMEOUT)
        elif taken.memory_bytes > self._host.memory_bytes:
            self._kill(MEMORY)
        elif self._host.overfull():
            self._kill(OUTPUT)
        elif self.companion and not self.companion.ended:
            self.companion.enforce_memory_limit()

    def enforce_memory_limit(self) -> None:
        """Kill the program if it has too much memory; called while another program is waited for."""
        if processes.usage(self._host.descendants()).memory_bytes > self._host.memory_bytes:
            self._kill(MEMORY)

    def _kill(self, why: str) -> None:
        self._why = why
        with contextlib.suppress(OSError):
            self._host.control.send(zygote.KILL)
        self._read_ending()

    def _read_ending(self) -> None:
        try:
            message = self._host.control.recv(64)
        except OSError:
            message = b""
        if len(message) != zygote.ENDED.size:
            self._host.lost = True
            raise ZoneLost("the zygote is gone, or does not answer")
        _, status, cpu_seconds, memory = zygote.ENDED.unpack(message)
        self._ending = Ending(self._why, os.waitstatus_to_exitcode(status), cpu_seconds, memory)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the data at the beginning of a file."""
    view = memoryview(data)
    offset = 0
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
