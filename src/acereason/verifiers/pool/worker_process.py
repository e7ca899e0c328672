"""A worker as the pool sees it: the process, the judgements it has, and the messages on their way to and from it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acereason.sandbox.isolation import Sandbox
from acereason.verifiers.pool.suites import WorkerSuites
from acereason.verifiers.pool.verdict_cache import Judgement

WORKER = ("-P", "-m", "acereason.verifiers.pool.worker")
"""The worker's program, as arguments of the interpreter."""
DISMISSED_SECONDS = 5.0
"""How long a dismissed worker may take to end."""
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Where gmpy2 happens to be installed it would abort the process at its memory limit; Python's integers raise.
    "SYMPY_GROUND_TYPES": "python",
    "MPMATH_NOGMPY": "1",
}


def worker_command(memory_mib: int, domains: Sequence[str], sandbox: Sandbox | None = None) -> list[str]:
    """Return the command line that starts a worker of this process; `sandbox` is for workers that judge code."""
    described = sandbox.to_json() if sandbox else ""
    return [sys.executable, *WORKER, str(os.getpid()), str(memory_mib), described, *domains]


class WorkerProcess:
    """A worker, from its start to its end. Nothing here waits, except `end` for a process already killed.

    Attributes:
        judgements: judgements that it was given and has not answered, in order; it works on the first.
        requests, replies: file descriptors to and from it.
        ready: whether it has started.
        started: when the worker started, then its current judgement.
    """

    def __init__(self, command: Sequence[str]) -> None:
        pipe, environment = subprocess.PIPE, os.environ | _ENVIRONMENT | {"PYTHONPATH": _search_path()}
        # In its own session, so that Ctrl-C in the terminal reaches the parent alone.
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, bufsize=0, env=environment, start_new_session=True
        )
        assert self._process.stdin and self._process.stdout
        self._pipes = (self._process.stdin, self._process.stdout)
        self.requests, self.replies = (end.fileno() for end in self._pipes)
        os.set_blocking(self.requests, False)
        os.set_blocking(self.replies, False)
        self.judgements: deque[Judgement] = deque()
        self._outbox, self._inbox = bytearray(), b""
        self._suites = WorkerSuites()
        self.ready = False
        self.started = time.monotonic()

    @property
    def unsent(self) -> bool:
        """Whether there is something to write."""
        return bool(self._outbox)

    def give(self, judgement: Judgement) -> None:
        """Queue one more judgement behind those it has."""
        if not self.judgements:
            self.started = time.monotonic()
        self.judgements.append(judgement)
        if judgement.suite and not self._suites.use(judgement.suite.key):
            self._suites.add(judgement.suite.key)
            self._outbox += judgement.suite.line
        self._outbox += judgement.request

    def write(self) -> None:
        """Send as much as the pipe takes at once."""
        try:
            del self._outbox[: os.write(self.requests, self._outbox)]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it died: the end of its replies will show that
            self._outbox.clear()

    def read(self) -> list[dict[str, Any]] | None:
        """Return the messages that have arrived; None once it has died and all are read."""
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.replies, 1 << 16)
            if not data:
                return None
        *lines, self._inbox = (self._inbox + data).split(b"\n")
        if lines:
            self.started = time.monotonic()
        return [json.loads(line) for line in lines]

    def dismiss(self) -> None:
        """Let an idle worker exit by itself, which leaves the least behind; `end` is still due."""
        if self.ready and not self.judgements:
            self._pipes[0].close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(DISMISSED_SECONDS)

    def end(self) -> int:
        """Kill the process, close its pipes, and return how it ended: its exit status, or minus the signal."""
        self._process.kill()
        status = self._process.wait()
        for end in self._pipes:
            end.close()
        return status


def _search_path() -> str:
    """Return the search path on which a worker finds this package, installed or not."""
    return os.pathsep.join(filter(None, (str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH"))))
