"""A thread in every rank that ends the process when its launcher or another rank is gone, and passes on stop requests.

The main thread may be in a collective, a C call that never returns if a rank is missing and in which Python's signal
handlers do not run. This thread waits for sockets, the parent's process id and a pipe that signals write to. It only
needs the main thread's C calls to release the interpreter lock.

Every rank keeps one connection to rank 0, which passes messages on to all. There are no heartbeats: a process that dies
closes its sockets, TCP keepalive notices a machine that dies, and a rank that is only slow is never taken for dead.
"""

from __future__ import annotations

import os
import selectors
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple, NoReturn

from acereason.distributed.connection import Peer, join_rank_0
from acereason.distributed.environment import LAUNCHED
from acereason.distributed.last_words import flush_output, show
from acereason.distributed.peers import SEND_SECONDS, Peers
from acereason.distributed.stop_signals import STOP_SIGNALS, SignalPipe, call_in_forks

PARENT = "ACEREASON_PARENT"
"""Variable with the process id of our launcher, in case the launcher is gone before the rank looks for it."""
ENDED_BY_OTHERS = 3
"""Exit code instead of 1 that tells our launcher: this rank ended because of another and is not the cause."""
HOLD_SECONDS = 1.0
"""How long rank 0 waits before it announces a failure: if a rank is found gone by then, that rank is the cause."""
LEAVE_SECONDS = 10.0
"""How long a rank may take to end after `fail` before this thread ends it."""
CAUSE_CHARACTERS = 2000


class _Failure(NamedTuple):
    cause: str
    code: int
    teller: Peer | None = None  # the rank that reported its own failure
    own: bool = False  # this rank reported its own failure


class Lifeline:
    """The thread that ends this process when the launcher or another rank is gone, and passes on stop requests.

    Args:
        launched: whether the parent process is a launcher, which this process must not outlive.
    """

    def __init__(self, launched: bool) -> None:
        self._parent = (int(os.environ.get(PARENT, "0")) or os.getppid()) if launched else 0
        self._rank = -1  # until `listen` or `connect`
        self._signals: set[str] = set()
        self._failure: _Failure | None = None
        self._failing, self._announced, self._closed = False, False, False
        self._deadline = float("inf")  # on rank 0, when to announce the failure; then, when to have ended
        self._told = threading.Event()
        self._commands: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._pipe = SignalPipe()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pipe.descriptor, selectors.EVENT_READ, self._on_pipe)
        self._peers = Peers(self._selector, self._on_joined, self._on_message, self._on_gone)
        call_in_forks(weakref.WeakMethod(self._on_fork))
        self._thread = threading.Thread(target=self._run, name="lifeline", daemon=True)
        self._thread.start()

    @property
    def joined(self) -> bool:
        """Whether it is connected to the other ranks."""
        return self._rank >= 0

    @property
    def stop_requested(self) -> bool:
        """Whether any rank was asked to stop."""
        return bool(self._signals)

    @property
    def requeue(self) -> bool:
        """Whether the job was also asked to be queued again."""
        return "SIGUSR1" in self._signals

    @property
    def stop_signal(self) -> str:
        """Name of the signal that asked to stop, the first of `STOP_SIGNALS` if several did; empty if none did."""
        return min(self._signals.copy(), key=STOP_SIGNALS.index, default="")

    def install_handlers(self) -> None:
        """Install the handlers of the stop signals; call it in the main thread, again if others replaced the handlers.

        If SIGHUP is ignored, as under nohup, it stays ignored.
        """
        self._pipe.install()

    def listen(self) -> tuple[int, str]:
        """On rank 0, accept the other ranks; return the port, on all interfaces, and the token they must send."""
        port, token = self._peers.open_port()
        self._rank = 0
        self._do(self._peers.listen)
        return port, token

    def connect(self, host: str, port: int, token: str, rank: int) -> None:
        """On the other ranks, join rank 0; from now on this process ends when rank 0 is gone.

        Raises:
            UserError: rank 0 cannot be reached, or does not accept the token.
        """
        peer = join_rank_0(host, port, token, rank)
        self._rank = rank
        self._do(partial(self._peers.add, peer))

    def fail(self, cause: str, code: int = 1) -> None:
        """Tell all ranks that this rank ends because of `cause`; they end with `code`, and the cause is shown once.

        Return once they have been told, after 5 s at most; the caller then ends this process with `code`. If another
        rank turns out to be the cause, this process ends here.
        """
        cause = " ".join(cause[:CAUSE_CHARACTERS].split())
        if not self._closed:
            self._failing = True
            self._do(partial(self._fail, _Failure(cause, code, own=True)))
        if not self._told.wait(0 if self._closed else SEND_SECONDS):
            show(cause)

    def close(self) -> None:
        """Say goodbye: from now on it is no failure if this rank or another one leaves."""
        if self._closed:
            return
        restored = self._pipe.restore()
        self._do(self._close)
        self._thread.join()
        if restored:
            self._pipe.close()

    def _do(self, command: Callable[[], object]) -> None:
        """Queue a command for the thread, which alone touches the connections."""
        self._commands.put(command)
        self._pipe.wake()

    def _on_fork(self) -> None:
        """Close the connections in a forked child, so that it neither keeps them open nor passes on its signals."""
        if self._closed:
            return
        self._closed = True
        self._pipe.mute()
        self._pipe.restore()
        self._drop_all()
        self._pipe.close()

    def _drop_all(self) -> None:
        self._peers.close()
        self._selector.close()

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
        # A failure that rank 0 has not announced yet may be a consequence of the launcher, and its store, being gone.
        settled = self._failing and (self._rank != 0 or self._announced)
        if not self._parent or os.getppid() == self._parent or settled:
            return
        cause = f"the program that started {f'rank {self._rank}' if self._rank >= 0 else 'this rank'} is gone"
        if self._rank == 0:
            self._judge(_Failure(cause, 1), final=True)
        self._peers.tell_all("fail", cause=cause, code=1)
        self._peers.flush()
        self._end(cause, 1, say=not self._peers)

    def _watch_clock(self) -> None:
        self._peers.drop_silent_strangers()
        if time.monotonic() >= self._deadline and self._failure:
            if self._rank == 0 and not self._announced:
                self._announce()
            else:
                os._exit(self._failure.code)  # the process has reported its failure and hangs while it ends

    def _on_pipe(self) -> None:
        for name in self._pipe.read():
            self._stop(name)
        while not self._closed and not self._commands.empty():
            self._commands.get()()

    def _stop(self, name: str) -> None:
        """Record a stop request and pass it on: rank 0 to all, the others to rank 0."""
        if name in STOP_SIGNALS and name not in self._signals:
            self._signals.add(name)
            self._peers.tell_all("stop", signal=name)

    def _fail(self, failure: _Failure) -> None:
        if self._rank == 0:
            self._judge(failure, final=failure.code != 1)
            return
        self._failure, self._deadline = failure, time.monotonic() + LEAVE_SECONDS
        if self._peers:
            self._peers.tell_all("fail", cause=failure.cause, code=failure.code)
        else:
            show(failure.cause)
            self._told.set()

    def _close(self) -> None:
        if self._rank == 0 and self._failure and not self._announced:
            self._announce()
        self._peers.tell_all("bye")
        self._peers.flush()
        self._closed = True
        self._pipe.mute()
        self._drop_all()

    def _on_joined(self, peer: Peer) -> None:
        for name in self._signals:
            self._peers.tell(peer, "stop", signal=name)

    def _on_gone(self, peer: Peer) -> None:
        # Failures that other ranks report may be consequences of this rank being gone.
        self._judge(_Failure(f"rank {peer.rank} is gone", 1), final=True)

    def _on_message(self, peer: Peer, message: dict[str, Any]) -> None:
        kind = message["kind"]
        if kind == "stop":
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

    def _judge(self, failure: _Failure, final: bool) -> None:
        """Take note of a failure; rank 0 waits a moment before it announces one, in case a final one replaces it."""
        if self._announced or self._told.is_set():
            return
        if self._rank != 0:
            self._end(failure.cause, failure.code, say=failure.teller is None)
        if self._failure is None or final:
            self._failure, self._deadline = failure, time.monotonic() + HOLD_SECONDS
        if final:
            self._announce()

    def _announce(self) -> None:
        """On rank 0, show the cause, tell all ranks and end this process, unless it reported the failure itself."""
        assert self._failure
        cause, code, teller, own = self._failure
        self._announced = True
        show(cause)
        for peer in self._peers.ranks():
            if peer is teller:
                self._peers.tell(peer, "heard")
            else:
                self._peers.tell(peer, "fail", cause=cause, code=code)
        self._peers.flush()
        if not own:
            self._end(cause, code, say=False)
        self._deadline = time.monotonic() + LEAVE_SECONDS
        self._told.set()

    def _end(self, cause: str, code: int, say: bool) -> NoReturn:
        """End this process because of another one."""
        if say:
            show(cause)
        else:
            flush_output()
        os._exit(ENDED_BY_OTHERS if code == 1 and LAUNCHED in os.environ else code)
