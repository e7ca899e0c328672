"""The verifiers' process pool: judges while generation goes on, and always gives a verdict.

One thread owns the workers. `submit` only appends to a queue and wakes it, so the caller never waits for a pipe. The
thread extracts the answer from the response, checks whether an equal judgement is known or in flight
(`verdict_cache.py`), and hands the rest to the workers. A worker past its wall limit is killed and replaced. Workers
are fresh interpreters (`worker.py`), never forks of the training process; only the gold answer and the answer travel.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import NamedTuple

from acereason.config.checks import check_settings
from acereason.config.schema import SandboxConfig, VerifiersConfig
from acereason.problems.problem import Domain, Problem
from acereason.sandbox import leftovers
from acereason.sandbox.isolation import Sandbox, find_isolation
from acereason.sandbox.running import STARVED
from acereason.verifiers.domains import check_domain, verifier_for
from acereason.verifiers.pool.verdict_cache import Judgement, VerdictCache
from acereason.verifiers.pool.worker import GREW_TOO_LARGE, OUT_OF_MEMORY
from acereason.verifiers.pool.worker_process import WorkerProcess, worker_command
from acereason.verifiers.verifier import Extraction, Verdict

JUDGEMENTS_A_WORKER: dict[Domain, int] = {"math": 4, "code": 1}
"""Judgements that a worker has at a time. In math some wait, so that the worker need not wait for this process's
interpreter lock between two. Programs may take their full time, and none may wait while another worker is idle."""
ATTEMPTS: dict[Domain, int] = {"math": 2, "code": 10}
"""Workers that may die over a judgement before it is `crashed`: the first death may not be its fault, and no program
can end the worker that judges it."""
SPARE_SECONDS = 60.0
"""Time that a judgement of code may take beyond the limit of its programs."""
START_SECONDS = 300.0
"""Longest start of a worker: 1.5 s of work, but 40 s were seen where others held every core."""
START_FAILURES = 3
"""Workers in a row that fail to start before waiting judgements are given up as `no_worker`."""
START_KILLED = 0.05
"""How much of a failure a worker is that somebody killed before it had started."""
SUBMISSIONS_A_ROUND = 64
"""Responses searched for their answer before the thread attends to its workers again."""
MAX_WAIT_SECONDS = 3600.0


class _Submission(NamedTuple):
    problem: Problem
    text: str
    is_response: bool  # or a bare answer
    future: Future[Verdict]


class VerifierPool:
    """Worker processes that judge answers, each judgement within a wall and a memory limit.

    Equal judgements are made once: those in flight share one, and the latest verdicts of workers are remembered.
    Workers start in the background, in about a second. Use it as a context manager, or call `close`.

    Args:
        workers: processes.
        timeout_seconds: wall time of one judgement; past it the verdict is 0 with reason `timeout`.
        memory_mib: address space of one worker; past it the verdict is 0 with reason `memory`. Reason `crashed` is for
            judgements that ended the process itself, twice.
        domains: domains that will be judged; their verifiers are imported before the first judgement.
        sandbox: where programs run, and within which limits; those above do not apply to them.
        thinking_required: without `</think>` nothing of a response is judged; otherwise all of it is.

    Raises:
        UserError: a limit that cannot work, a domain without a verifier, or code on a machine that cannot isolate it.
    """

    def __init__(
        self,
        workers: int,
        timeout_seconds: float,
        memory_mib: int,
        domains: Sequence[Domain] = ("math",),
        sandbox: SandboxConfig | None = None,
        *,
        thinking_required: bool = True,
    ) -> None:
        check_settings(VerifiersConfig(workers, timeout_seconds, memory_mib), "rewards.")
        for domain in domains:
            check_domain(domain)
        sandbox = sandbox or SandboxConfig()
        self.sandbox = Sandbox(sandbox, find_isolation(sandbox)) if "code" in domains else None
        """Where programs run; None when none will."""
        self.replaced = 0
        """Workers killed or lost so far."""
        self._size, self._timeout = workers, timeout_seconds
        self._domains, self._thinking_required = frozenset(domains), thinking_required
        self._command = worker_command(memory_mib, domains, self.sandbox)
        self._workers: list[WorkerProcess] = []
        self._cache = VerdictCache()
        self._queue: deque[Judgement] = deque()
        self._failures, self._start_after = 0.0, 0.0
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_in, selectors.EVENT_READ)
        self._submissions: deque[_Submission] = deque()
        self._lock = threading.Lock()  # guards _closed, so that nothing arrives unseen or wakes a closed pipe
        self._closed = False
        self._ready_once, self._start_known = False, threading.Event()
        self._thread = threading.Thread(target=self._run, name="verifier-pool", daemon=True)
        self._thread.start()

    @property
    def shared(self) -> int:
        """Verdicts given so far that came from an equal judgement."""
        return self._cache.shared

    def submit(self, problem: Problem, response: str) -> Future[Verdict]:
        """Queue one response, of any length in microseconds. The future never holds an exception.

        Raises:
            RuntimeError: the pool is closed.
        """
        return self._submit(problem, response, is_response=True)

    def submit_answer(self, problem: Problem, answer: str) -> Future[Verdict]:
        """Queue an answer without a response around it; a blank one is `empty`. See `submit`."""
        return self._submit(problem, answer, is_response=False)

    def _submit(self, problem: Problem, text: str, is_response: bool) -> Future[Verdict]:
        future: Future[Verdict] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the verifier pool is closed")
            self._submissions.append(_Submission(problem, text, is_response, future))
            self._wake()
        return future

    def wait_ready(self, timeout_seconds: float = START_SECONDS) -> None:
        """Return once a worker has started; not needed before `submit`.

        Raises:
            RuntimeError: none did; the worker's own error message is on standard error.
        """
        self._start_known.wait(timeout_seconds)
        if not self._ready_once:
            raise RuntimeError(f"no verifier worker started: {' '.join(self._command)}")

    def close(self) -> None:
        """End all workers; responses not judged yet get reward 0 with reason `closed`. May be called again."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._wake()
        self._thread.join()

    def __enter__(self) -> VerifierPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # Everything below runs in the pool's thread. The kernel kills workers when the thread that started them ends.

    def _run(self) -> None:
        try:
            while not self._closed:
                self._start_workers()
                self._take_submissions()
                self._hand_out()
                for key, events in self._selector.select(self._seconds_to_wait()):
                    self._serve(key, events)
                self._kill_overdue()
        finally:
            self._shut_down()

    def _seconds_to_wait(self) -> float:
        """Return the seconds until something is due even if nothing arrives."""
        if self._submissions:
            return 0.0
        due = [worker.started + self._limit(worker) for worker in self._workers if _is_busy(worker)]
        if len(self._workers) < self._size:
            due.append(self._start_after)
        return min(MAX_WAIT_SECONDS, max(0.0, min(due) - time.monotonic())) if due else MAX_WAIT_SECONDS

    def _limit(self, worker: WorkerProcess) -> float:
        if not worker.ready:
            return START_SECONDS
        if self.sandbox is None or worker.judgements[0].domain != "code":
            return self._timeout
        config = self.sandbox.config
        limit = max(worker.judgements[0].time_limit_seconds, config.total_time_limit_seconds, config.time_limit_seconds)
        return SPARE_SECONDS + (1 + STARVED) * limit

    def _start_workers(self) -> None:
        while len(self._workers) < self._size and time.monotonic() >= self._start_after:
            try:
                worker = WorkerProcess(self._command)
            except OSError as error:
                print(f"cannot start a verifier worker: {error}", file=sys.stderr)
                self._start_failed()
                return
            self._workers.append(worker)
            self._selector.register(worker.replies, selectors.EVENT_READ, worker)

    def _start_failed(self, status: int = 1) -> None:
        self._failures += START_KILLED if status == -signal.SIGKILL else 1.0
        self._start_after = time.monotonic() + min(60.0, 2.0**self._failures - 1.0)
        if self._failures >= START_FAILURES:
            self._start_known.set()

    def _take_submissions(self) -> None:
        """Extract the answers, and queue those on which no equal judgement gives the verdict."""
        for _ in range(min(SUBMISSIONS_A_ROUND, len(self._submissions))):
            problem, text, is_response, future = self._submissions.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            found = self._extract(problem, text, is_response)
            if found.reason:
                future.set_result(Verdict(0.0, "", found.reason, 0.0))
            elif judgement := self._cache.ask(problem, found.answer, future):
                self._queue.append(judgement)

    def _extract(self, problem: Problem, text: str, is_response: bool) -> Extraction:
        """Return the answer of a response, or a bare answer, or why there is none."""
        if problem.domain not in self._domains:
            return Extraction("", "no_verifier")
        verifier = verifier_for(problem.domain)
        if not is_response:
            return Extraction(text, "" if text.strip() else "empty")
        try:
            return verifier.extract(text, self._thinking_required)
        except Exception as error:  # no verifier raises; should one do so, the pool lives on and the verdict records it
            return Extraction("", f"error_{type(error).__name__}")

    def _hand_out(self) -> None:
        """Hand queued judgements to the workers that have the fewest; give up where no worker can be started."""
        if self._failures >= START_FAILURES and not any(worker.ready for worker in self._workers):
            while self._queue:
                self._cache.fail(self._queue.popleft(), "no_worker")
        ready = [worker for worker in self._workers if worker.ready]
        while self._queue and ready:
            worker = min(ready, key=lambda worker: len(worker.judgements))
            if len(worker.judgements) >= JUDGEMENTS_A_WORKER[self._queue[0].domain]:
                return
            self._assign(worker, self._queue.popleft())

    def _assign(self, worker: WorkerProcess, judgement: Judgement) -> None:
        if not worker.unsent:
            self._selector.register(worker.requests, selectors.EVENT_WRITE, worker)
        worker.give(judgement)
        self._write(worker)

    def _serve(self, key: selectors.SelectorKey, events: int) -> None:
        worker = key.data
        if worker is None:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._wake_in, 4096):
                    pass
        elif worker not in self._workers:  # it was ended earlier in this round
            return
        elif events & selectors.EVENT_WRITE:
            self._write(worker)
        else:
            self._read(worker)

    def _write(self, worker: WorkerProcess) -> None:
        worker.write()
        if not worker.unsent:
            self._selector.unregister(worker.requests)

    def _read(self, worker: WorkerProcess) -> None:
        messages = worker.read()
        if messages is None:
            self._end_worker(worker, "crashed")
            return
        for message in messages:
            if worker.ready:
                self._cache.settle(worker.judgements.popleft(), **message)
            else:
                worker.ready, self._ready_once, self._failures = True, True, 0.0
                self._start_known.set()

    def _kill_overdue(self) -> None:
        for worker in list(self._workers):
            if self._is_overdue(worker):
                self._read(worker)  # this thread may have been held up while the verdict was waiting
            if worker in self._workers and self._is_overdue(worker):
                self._end_worker(worker, "timeout")

    def _is_overdue(self, worker: WorkerProcess) -> bool:
        return _is_busy(worker) and time.monotonic() > worker.started + self._limit(worker)

    def _end_worker(self, worker: WorkerProcess, reason: str) -> None:
        """End a worker: its current judgement fails or is tried again; those behind it were never begun."""
        self._selector.unregister(worker.replies)
        if worker.unsent:
            self._selector.unregister(worker.requests)
        status = worker.end()
        self._workers.remove(worker)
        self.replaced += 1
        if not worker.ready:
            self._start_failed(status)
            return
        reason = "memory" if status == OUT_OF_MEMORY else reason
        if worker.judgements and status != GREW_TOO_LARGE:
            current = worker.judgements[0]
            current.deaths += 1
            if reason in ("timeout", "memory") or current.deaths >= ATTEMPTS[current.domain]:
                self._cache.fail(worker.judgements.popleft(), reason, time.monotonic() - worker.started)
        self._queue.extendleft(reversed(worker.judgements))

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # the pipe is full of wake-ups
            os.write(self._wake_out, b"\0")

    def _shut_down(self) -> None:
        with self._lock:
            self._closed = True
        for worker in self._workers:
            worker.dismiss()
            worker.end()
        if self.sandbox:
            leftovers.sweep(patience_seconds=1.0)
        self._selector.close()
        os.close(self._wake_in)
        os.close(self._wake_out)
        self._cache.fail_all("closed")
        for submission in self._submissions:
            if submission.future.set_running_or_notify_cancel():
                submission.future.set_result(Verdict(0.0, "", "closed", 0.0))


def _is_busy(worker: WorkerProcess) -> bool:
    return bool(worker.judgements) or not worker.ready
