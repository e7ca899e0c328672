"""A program while it runs in a zone: messages to and from it, its time and memory, its end.

What a program can write never decides anything here: its end is told by the zygote, its messages and its output are
for the judge to compare.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acereason.sandbox import processes, program, zygote

if TYPE_CHECKING:
    from acereason.sandbox.zone import Zone

TICK_SECONDS = 0.1
"""How often a program's memory is looked at, when it runs that long."""
STARVED = 3.0
"""A program that waits for a core gets its time back, up to this many times its limit."""
EXITED, TIMEOUT, MEMORY, OUTPUT, ENDED = "exited", "timeout", "memory", "output_limit", "ended"
"""How a run came to its end: by itself, over a limit, or because the judge had enough."""


class ZoneLost(Exception):
    """The zygote ended, or does not answer; the program's fate is unknown, so it is to be run again."""


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
        write_all(self._stdin, stdin)

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
            if view and not self._wait(select.POLLOUT):
                raise BrokenPipeError

    def _receive(self, size: int) -> bytes | None:
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
        """Until the channel is ready; False when it never will be. What a program said before its end still counts."""
        while self._ending is None:
            ready = self._poll(event)
            if ready:
                return bool(ready & event)
        waiting = select.poll()
        waiting.register(self._channel, event)
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

    def stop(self) -> None:
        """End it at once, if it has not ended, and let go of it; whatever became of its zone."""
        with contextlib.closing(self), contextlib.suppress(ZoneLost):
            self.end(0)

    def _poll(self, event: int = 0) -> int:
        """Wait one tick for the end, or for an event of the channel if one is named; returns the channel's events."""
        waiting = select.poll()
        waiting.register(self._zone.control, select.POLLIN)
        if event:
            waiting.register(self._channel, event)
        now = time.monotonic()
        due = min(self._next_look, max(self._started + self._seconds, now + 0.01))
        ready = dict(waiting.poll(math.ceil(1000 * max(0.0, due - now))))
        if self._zone.control.fileno() in ready:
            self._read_ending()
        elif time.monotonic() >= self._next_look:
            self._look()
        return ready.get(self._channel.fileno(), 0) if event else 0

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


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, from the beginning of a file."""
    view = memoryview(data)
    offset = 0
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
