"""Signals that ask the run to stop, as bytes in a pipe, which a thread can wait for while the main thread is in C."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

STOP_SIGNALS = tuple(name for name in ("SIGUSR1", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that ask the run to save and end; SIGUSR1 also asks for the job to be queued again."""


class SignalPipe:
    """A pipe to which the stop signals of this process write their numbers, from `install` to `restore`.

    Attributes:
        descriptor: the end to wait for; `read` returns the signals.
    """

    def __init__(self) -> None:
        self.descriptor, self._pipe_in = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._pipe_in, False)
        self._muted = False
        self._handlers_before: dict[int, Any] = {}
        self._wakeup_before = -1

    def install(self) -> None:
        """Install the handlers of the stop signals; call it in the main thread, again if others replaced the handlers.

        If SIGHUP is ignored, as under nohup, it stays ignored.
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

    def wake(self, number: int = 0) -> None:
        """Wake the waiting thread; 0 stands for no signal."""
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes as well
            os.write(self._pipe_in, bytes([number]))

    def read(self) -> list[str]:
        """Return the names of the stop signals received, in the order of `STOP_SIGNALS`; `descriptor` must be ready."""
        numbers = os.read(self.descriptor, 4096)
        return [name for name in STOP_SIGNALS if _number(name) in numbers]

    def mute(self) -> None:
        """Make our handler do nothing from now on, even if it stays installed or somebody installs it again."""
        self._muted = True

    def restore(self) -> bool:
        """Restore the previous handlers; return False outside the main thread, where that is not possible."""
        if threading.current_thread() is not threading.main_thread():
            return False
        for number, before in self._handlers_before.items():
            signal.signal(number, signal.SIG_DFL if before is None else before)
        self._handlers_before.clear()
        wakeup = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(self._wakeup_before if wakeup == self._pipe_in else wakeup)
        return True

    def close(self) -> None:
        """Close both ends, once the handlers are restored and no thread waits."""
        os.close(self._pipe_in)
        os.close(self.descriptor)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._muted:
            self.wake(number)  # the wakeup descriptor has written it as well, unless somebody replaced that


def call_in_forks(forked: Callable[[], Callable[[], object] | None]) -> None:
    """Call the method behind `forked` in every child forked from now on, before a stop signal reaches the child.

    Args:
        forked: a `weakref.WeakMethod`, because a function registered for forks can never be removed.
    """
    before = threading.local()

    def hold() -> None:
        # A signal to the child has to wait until the child has handlers of its own.
        before.mask = signal.pthread_sigmask(signal.SIG_BLOCK, map(_number, STOP_SIGNALS))

    def release() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before.mask)

    def in_child() -> None:
        call = forked()
        if call:
            call()
        release()

    os.register_at_fork(before=hold, after_in_parent=release, after_in_child=in_child)


def _number(name: str) -> int:
    return int(getattr(signal, name))
