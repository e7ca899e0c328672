"""A thread in every rank: ends this process when its launcher or another rank is gone, and carries stop requests.

The main thread may sit in a collective, a C call that never returns when a rank is missing; Python's signal handlers do
not run in it either. This thread waits for sockets, the parent's process id and a pipe that signals write to. All it
needs of the main thread is that its C calls release the interpreter lock.

Every rank keeps one connection to rank 0, which passes on what concerns all. There are no heartbeats: a process that
dies closes its sockets whatever killed it, a machine that dies is found by TCP keepalive, and a rank that is only slow
is never taken for dead. Messages are JSON, one a line: hello, welcome, stop, fail, heard, bye.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from types import FrameType
from typing import Any, NamedTuple, NoReturn

from acereason.errors import UserError
from acereason.ranks.environment import LAUNCHED

PARENT = "ACEREASON_PARENT"
"""Process id of our launcher, for a rank whose launcher is gone before the rank looks for it."""
ENDED_BY_OTHERS = 3
"""Instead of 1, for our launcher's eyes: this rank ended because of another, so it is not the cause."""
STOP_SIGNALS = tuple(name for name in ("SIGUSR1", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ask the run to save and leave; SIGUSR1 asks to be queued again as well."""
CONNECT_SECONDS = 60.0
HELLO_SECONDS = 10.0
SEND_SECONDS = 5.0
HOLD_SECONDS = 1.0
"""How long rank 0 keeps a failure to itself: a rank found gone by then is the cause, and the failure its echo."""
LEAVE_SECONDS = 10.0
"""How long a rank may take to end after `fail`; then this thread ends it."""
STRANGERS = 256  # connections that have not said hello
LINE_BYTES = 32768
CAUSE_CHARACTERS = 2000


class _Failure(NamedTuple):
    cause: str
    code: int
    teller: _Peer | None = None  # the rank that said so about itself
    own: bool = False  # this rank did


class _Peer:
    """A connection and what is on its way; `rank` is -1 until a right hello has come."""

    def __init__(self, connection: socket.socket, rank: int = -1) -> None:
        self.socket, self.rank = connection, rank
        self.inbox, self.outbox = bytearray(), bytearray()
        self.since = time.monotonic()
        self.left = False  # it has told why it leaves
        self.dropped = False
        _keep_alive(connection)
        connection.setblocking(False)

    def send(self, kind: str, **content: Any) -> None:
        """Queue a message and send what the kernel takes."""
        self.outbox += json.dumps({"kind": kind, **content}).encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        """Send what the kernel takes; that the other end is gone shows when reading, after all it has sent."""
        try:
            while self.outbox:
                del self.outbox[: self.socket.send(self.outbox)]
        except BlockingIOError:
            pass
        except OSError:
            self.outbox.clear()

    def receive(self) -> list[dict[str, Any]]:
        """The whole messages that have come; `dropped` tells that no more will.

        Raises:
            ValueError: what came is no message.
        """
        try:
            data = self.socket.recv(4096)
            self.dropped = not data
            self.inbox += data
        except BlockingIOError:
            pass
        except OSError:
            self.dropped = True
        *lines, rest = bytes(self.inbox).split(b"\n")
        self.inbox[:] = rest
        if len(rest) > LINE_BYTES:
            raise ValueError("a line without end")
        return [_message(line) for line in lines]


class Lifeline:
    """Ends this process when the launcher or another rank is gone or failed, and tells all of a stop request.

    Args:
        launched: the parent process is a launcher, and this process must not outlive it.
    """

    def __init__(self, launched: bool) -> None:
        self._parent = (int(os.environ.get(PARENT, "0")) or os.getppid()) if launched else 0
        self._rank = -1  # until `listen` or `connect`
        self._token = ""
        self._server: socket.socket | None = None
        self._peers: list[_Peer] = []
        self._signals: set[str] = set()
        self._failure: _Failure | None = None
        self._failing, self._announced, self._closed = False, False, False
        self._deadline = float("inf")  # rank 0: to announce the failure; then, to have left
        self._told = threading.Event()
        self._handlers_before: dict[int, Any] = {}
        self._wakeup_before = -1
        self._commands: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._pipe_out, self._pipe_in = os.pipe()
        os.set_blocking(self._pipe_out, False)
        os.set_blocking(self._pipe_in, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pipe_out, selectors.EVENT_READ, self._on_pipe)
        _forget_in_forks(self)
        self._thread = threading.Thread(target=self._run, name="lifeline", daemon=True)
        self._thread.start()

    @property
    def stop_requested(self) -> bool:
        """Whether some rank was asked to stop."""
        return bool(self._signals)

    @property
    def requeue(self) -> bool:
        """Whether it was asked to be queued again as well."""
        return "SIGUSR1" in self._signals

    @property
    def stop_signal(self) -> str:
        """Name of the signal that asked, the first of `STOP_SIGNALS` where several did; empty without one."""
        return min(self._signals.copy(), key=STOP_SIGNALS.index, default="")

    def install_handlers(self) -> None:
        """Take the stop signals, in the main thread; once more after others have replaced the handlers.

        SIGHUP stays ignored where it is, as under nohup.
        """
        for name in STOP_SIGNALS:
            number = _number(name)
            before = signal.getsignal(number)
            if before == self._on_signal or (name == "SIGHUP" and before is signal.SIG_IGN):
                continue
            self._handlers_before.setdefault(number, before)
            signal.signal(number, self._on_signal)
        wakeup = signal.set_wakeup_fd(self._pipe_in, warn_on_full_buffer=False)
        if wakeup != self._pipe_in:
            self._wakeup_before = wakeup

    def listen(self) -> tuple[int, str]:
        """Rank 0: wait for the other ranks; the port, on all interfaces, and the token they must bring."""
        server = _server()
        self._rank, self._token, self._server = 0, secrets.token_hex(16), server
        self._do(lambda: self._selector.register(server, selectors.EVENT_READ, self._on_stranger))
        return int(server.getsockname()[1]), self._token

    def connect(self, host: str, port: int, token: str, rank: int) -> None:
        """Ranks above 0: join rank 0, and from now on end when it is gone.

        Raises:
            UserError: rank 0 cannot be reached, or does not take the token.
        """
        try:
            connection = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
            hello = {"kind": "hello", "rank": rank, "token": token}
            connection.sendall(json.dumps(hello).encode() + b"\n")
            with connection.makefile("rb", buffering=0) as replies:  # without a buffer: what follows is the thread's
                if replies.readline(LINE_BYTES) != b'{"kind": "welcome"}\n':
                    raise ConnectionError("no welcome")
        except OSError as error:
            raise UserError(
                f"rank {rank} cannot join rank 0 at {host}:{port} ({error}): "
                "is rank 0 gone, or a TCP port closed between the nodes?"
            ) from error
        self._rank = rank
        self._do(partial(self._adopt, _Peer(connection, rank=0)))

    def fail(self, cause: str, code: int = 1) -> None:
        """Tell all ranks that this one ends because of `cause`, shown once as `error: <cause>`; they end with `code`.

        Returns when they are told, after 5 s at most; then the caller ends this process with `code`. If another rank
        turns out to be the cause, this process ends here.
        """
        cause = " ".join(cause[:CAUSE_CHARACTERS].split())
        if not self._closed:
            self._failing = True
            self._do(partial(self._fail, _Failure(cause, code, own=True)))
        if not self._told.wait(0 if self._closed else SEND_SECONDS):
            _show(cause)

    def close(self) -> None:
        """Say goodbye: from now on neither this rank's leaving nor that of others is a failure."""
        if self._closed:
            return
        restored = self._restore_handlers()
        self._do(self._close)
        self._thread.join()
        if restored:
            os.close(self._pipe_in)
            os.close(self._pipe_out)

    def _do(self, command: Callable[[], object]) -> None:
        """Have the thread do something; it alone touches the connections."""
        self._commands.put(command)
        self._wake(0)

    def _wake(self, number: int) -> None:
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes as well
            os.write(self._pipe_in, bytes([number]))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._closed:
            self._wake(number)  # the wakeup descriptor had it too, unless somebody has taken that

    def _restore_handlers(self) -> bool:
        """Give signals back, which only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return False
        for number, before in self._handlers_before.items():
            signal.signal(number, signal.SIG_DFL if before is None else before)
        self._handlers_before.clear()
        wakeup = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(self._wakeup_before if wakeup == self._pipe_in else wakeup)
        return True

    # From here on everything runs in the thread.

    def _run(self) -> None:
        try:
            while not self._closed:
                self._watch_parent()
                self._watch_clock()
                for key, _ in self._selector.select(timeout=min(1.0, max(0.0, self._deadline - time.monotonic()))):
                    if not self._closed:
                        key.data()
        except BaseException as error:
            traceback.print_exc()
            self._end(f"rank {self._rank}: its lifeline broke ({error!r})", 1, say=True)

    def _watch_parent(self) -> None:
        if not self._parent or os.getppid() == self._parent or self._failing:
            return
        cause = f"the program that started {f'rank {self._rank}' if self._rank >= 0 else 'this rank'} is gone"
        if self._rank == 0:
            self._judge(_Failure(cause, 1), final=True)
        self._tell_all("fail", cause=cause, code=1)
        self._flush()
        self._end(cause, 1, say=not self._peers)

    def _watch_clock(self) -> None:
        now = time.monotonic()
        for peer in [peer for peer in self._peers if peer.rank < 0 and now > peer.since + HELLO_SECONDS]:
            self._forget(peer)
        if now >= self._deadline and self._failure:
            if self._rank == 0 and not self._announced:
                self._announce()
            else:
                os._exit(self._failure.code)  # it has failed, said so, and hangs while it leaves

    def _on_pipe(self) -> None:
        numbers = os.read(self._pipe_out, 4096)
        for name in STOP_SIGNALS:
            if _number(name) in numbers:
                self._stop(name)
        while not self._closed and not self._commands.empty():
            self._commands.get()()

    def _stop(self, name: str) -> None:
        """Note a stop request and pass it on: rank 0 to all, the others to rank 0."""
        if name in STOP_SIGNALS and name not in self._signals:
            self._signals.add(name)
            self._tell_all("stop", signal=name)

    def _fail(self, failure: _Failure) -> None:
        if self._rank == 0:
            self._judge(failure, final=failure.code != 1)
            return
        self._failure, self._deadline = failure, time.monotonic() + LEAVE_SECONDS
        if self._peers:
            self._tell_all("fail", cause=failure.cause, code=failure.code)
        else:
            _show(failure.cause)
            self._told.set()

    def _close(self) -> None:
        if self._rank == 0 and self._failure and not self._announced:
            self._announce()
        self._tell_all("bye")
        self._flush()
        self._closed = True
        self._drop_all()

    def _adopt(self, peer: _Peer) -> None:
        self._peers.append(peer)
        self._selector.register(peer.socket, selectors.EVENT_READ, partial(self._on_peer, peer))
        self._repeat_stops(peer)

    def _repeat_stops(self, peer: _Peer) -> None:
        for name in self._signals if peer.rank >= 0 else ():
            self._tell(peer, "stop", signal=name)

    def _forget(self, peer: _Peer) -> None:
        self._peers.remove(peer)
        self._selector.unregister(peer.socket)
        peer.socket.close()

    def _drop_all(self) -> None:
        for connection in [self._server, *(peer.socket for peer in self._peers)]:
            if connection:
                connection.close()
        self._selector.close()

    def _tell_all(self, kind: str, **content: Any) -> None:
        for peer in self._peers:
            if peer.rank >= 0:
                self._tell(peer, kind, **content)

    def _tell(self, peer: _Peer, kind: str, **content: Any) -> None:
        peer.send(kind, **content)
        self._wait_for(peer)

    def _wait_for(self, peer: _Peer) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.outbox else 0)
        self._selector.modify(peer.socket, events, partial(self._on_peer, peer))

    def _flush(self) -> None:
        """Send all that is to be sent before this process or its connections end."""
        until = time.monotonic() + SEND_SECONDS
        while time.monotonic() < until and any(peer.outbox for peer in self._peers):
            for peer in self._peers:
                peer.flush()
            time.sleep(0.01)

    def _on_stranger(self) -> None:
        assert self._server
        strangers = [peer for peer in self._peers if peer.rank < 0]
        if len(strangers) >= STRANGERS:
            self._forget(strangers[0])
        try:
            connection, _ = self._server.accept()
        except OSError:  # it has left again; or descriptors are short, and asking again at once would not help
            time.sleep(0.01)
            return
        self._adopt(_Peer(connection))

    def _on_peer(self, peer: _Peer) -> None:
        if peer not in self._peers:
            return
        peer.flush()
        try:
            for message in peer.receive():
                self._on_message(peer, message)
        except (ValueError, KeyError):
            peer.dropped = True
        if not peer.dropped:
            self._wait_for(peer)
            return
        self._forget(peer)
        if peer.rank >= 0 and not peer.left:
            # Whatever others say is the cause, they may say it for want of this rank.
            self._judge(_Failure(f"rank {peer.rank} is gone", 1), final=True)

    def _on_message(self, peer: _Peer, message: dict[str, Any]) -> None:
        kind = message["kind"]
        if peer.rank < 0:
            self._welcome(peer, message)
        elif kind == "stop":
            self._stop(str(message["signal"]))
        elif kind == "fail":
            peer.left = True
            failure = _Failure(str(message["cause"]), int(message["code"]), teller=peer)
            self._judge(failure, final=failure.code != 1)
        elif kind == "heard":
            peer.left = True
            self._told.set()
        elif kind == "bye":
            peer.left = True

    def _welcome(self, peer: _Peer, hello: dict[str, Any]) -> None:
        """Take a stranger for the rank it says it is if it has the token; a ValueError drops it."""
        rank, token = hello["rank"], str(hello["token"]).encode(errors="replace")
        if hello["kind"] != "hello" or not hmac.compare_digest(token, self._token.encode()):
            raise ValueError("not one of ours")
        if type(rank) is not int or rank < 1 or any(other.rank == rank for other in self._peers):
            raise ValueError("no such rank, or it is here already")
        peer.rank = rank
        peer.send("welcome")
        self._repeat_stops(peer)

    def _judge(self, failure: _Failure, final: bool) -> None:
        """Take a failure in; rank 0 holds one back for a moment, for a final one to replace it."""
        if self._announced or self._told.is_set():
            return
        if self._rank != 0:
            self._end(failure.cause, failure.code, say=failure.teller is None)
        if self._failure is None or final:
            self._failure, self._deadline = failure, time.monotonic() + HOLD_SECONDS
        if final:
            self._announce()

    def _announce(self) -> None:
        """Rank 0: show the cause, tell all, and end; but a rank that failed itself ends by itself."""
        assert self._failure
        cause, code, teller, own = self._failure
        self._announced = True
        _show(cause)
        for peer in self._peers:
            if peer is teller:
                self._tell(peer, "heard")
            elif peer.rank > 0:
                self._tell(peer, "fail", cause=cause, code=code)
        self._flush()
        if not own:
            self._end(cause, code, say=False)
        self._deadline = time.monotonic() + LEAVE_SECONDS
        self._told.set()

    def _end(self, cause: str, code: int, say: bool) -> NoReturn:
        """End this process on account of another."""
        if say:
            _show(cause)
        else:
            _flush_output()
        os._exit(ENDED_BY_OTHERS if code == 1 and LAUNCHED in os.environ else code)


def _forget_in_forks(lifeline: Lifeline) -> None:
    """Keep a forked child from holding the connections open after this process, and from passing on its signals."""
    reference, before = weakref.ref(lifeline), threading.local()

    def hold() -> None:
        # A signal to the child waits until its handlers are its own.
        before.mask = signal.pthread_sigmask(signal.SIG_BLOCK, map(_number, STOP_SIGNALS))

    def release() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before.mask)

    def forget() -> None:
        line = reference()
        if line and not line._closed:
            line._closed = True
            line._restore_handlers()
            line._drop_all()
            os.close(line._pipe_in)
            os.close(line._pipe_out)
        release()

    os.register_at_fork(before=hold, after_in_parent=release, after_in_child=forget)


def _show(cause: str) -> None:
    """Write the cause to standard error, in one piece, after all that was printed before."""
    _flush_output()
    line = f"error: {cause}\n".encode(errors="backslashreplace")
    _at_most_a_second(lambda: os.write(2, line))


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream:
            _at_most_a_second(stream.flush)


def _at_most_a_second(write: Callable[[], object]) -> None:
    """Call it in a thread: a full pipe, or a thread that holds the stream's lock, must not keep this process alive."""

    def quietly() -> None:
        with contextlib.suppress(OSError, ValueError):  # a terminal that is gone, a stream that is closed
            write()

    thread = threading.Thread(target=quietly, daemon=True)
    thread.start()
    thread.join(1.0)


def _number(name: str) -> int:
    return int(getattr(signal, name))


def _message(line: bytes) -> dict[str, Any]:
    """One message; a ValueError when it is none."""
    try:
        message = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        raise ValueError("not a message")
    return message


def _server() -> socket.socket:
    """A listening socket on every interface, for both kinds of address where the system has both."""
    try:
        server = socket.create_server(("", 0), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True)
    except (OSError, ValueError):
        server = socket.create_server(("", 0), backlog=1024)
    server.setblocking(False)
    return server


def _keep_alive(connection: socket.socket) -> None:
    """Notice in half a minute that the other machine is gone."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    values = {"TCP_NODELAY": 1, "TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 30000}
    for name, value in values.items():
        if hasattr(socket, name):  # Linux has them all
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
