"""The verifiers' process pool: judges while generation goes on, and always gives a verdict.

One thread owns the workers. `submit` only appends to a queue and wakes it, so the caller never waits for a pipe. The
thread takes the answer out of the response, looks whether an equal judgement is known or in flight (`judgements.py`),
and hands what is left to the workers. A worker past its wall limit is killed and replaced. Workers are fresh
interpreters (`worker.py`), never forks of the training process; only the gold answer and the answer travel.
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
from acereason.verifiers.pool.verdict_cache import Judgement, Judgements
from acereason.verifiers.pool.worker import GROWN, OUT_OF_MEMORY
from acereason.verifiers.pool.worker_process import WorkerProcess, worker_command
from acereason.verifiers.verifier import Extraction, Verdict

DEPTH: dict[Domain, int] = {"math": 4, "code": 1}
"""Judgements a worker has at a time: of math some ahead, so that it need not wait for this process's interpreter lock
between two; programs may take their full time, and none is to wait behind another while a worker is idle."""
ATTEMPTS: dict[Domain, int] = {"math": 2, "code": 10}
"""Workers a judgement may see die before it is `crashed`: the first death may be no fault of its own, and no program
can end the worker that judges it."""
SPARE_SECONDS = 60.0
"""What a judgement of code may take beyond the time that its programs may."""
START_SECONDS = 300.0
"""Longest start of a worker: 1.5 s of work, but 40 s were seen where others held every core."""
START_FAILURES = 3
"""Workers in a row that fail to start before waiting judgements are given up as `no_worker`."""
START_KILLED = 0.05
"""What a worker counts for that somebody killed before it had started."""
ARRIVALS_A_ROUND = 64
"""Responses searched for their answer before the thread looks after its workers again."""
LONGEST_WAIT = 3600.0


class _Arrival(NamedTuple):
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
        memory_mib: address space of one worker; past it the verdict is 0 with reason `memory`. `crashed` is left for
            what ended the process itself, twice.
        domains: what will be judged; the verifiers of these are imported before the first judgement.
        sandbox: where programs run, and within which limits; those above are not theirs.

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
        self._domains = frozenset(domains)
        self._command = worker_command(memory_mib, domains, self.sandbox)
        self._workers: list[WorkerProcess] = []
        self._judgements = Judgements()
        self._queue: deque[Judgement] = deque()
        self._failures, self._start_after = 0.0, 0.0
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_in, selectors.EVENT_READ)
        self._arrivals: deque[_Arrival] = deque()
        self._lock = threading.Lock()  # guards _closed, so that nothing arrives unseen or wakes a closed pipe
        self._closed = False
        self._ready_once, self._start_known = False, threading.Event()
        self._thread = threading.Thread(target=self._run, name="verifier-pool", daemon=True)
        self._thread.start()

    @property
    def shared(self) -> int:
        """Verdicts given so far that were those of equal judgements."""
        return self._judgements.shared

    def submit(self, problem: Problem, response: str) -> Future[Verdict]:
        """Queue one response; costs microseconds whatever its length. The future never holds an exception.

        Raises:
            RuntimeError: the pool is closed.
        """
        return self._queue_up(problem, response, is_response=True)

    def submit_answer(self, problem: Problem, answer: str) -> Future[Verdict]:
        """As `submit`, for an answer that stands alone; a blank one is `empty`."""
        return self._queue_up(problem, answer, is_response=False)

    def _queue_up(self, problem: Problem, text: str, is_response: bool) -> Future[Verdict]:
        future: Future[Verdict] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the verifier pool is closed")
            self._arrivals.append(_Arrival(problem, text, is_response, future))
            self._wake()
        return future

    def wait_ready(self, timeout_seconds: float = START_SECONDS) -> None:
        """Return once a worker has started; not needed before `submit`.

        Raises:
            RuntimeError: none did; the worker's own complaint is on standard error.
        """
        self._start_known.wait(timeout_seconds)
        if not self._ready_once:
            raise RuntimeError(f"no verifier worker started: {' '.join(self._command)}")

    def close(self) -> None:
        """End all workers; what is not judged yet gets reward 0 with reason `closed`. May be called again."""
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
                self._take_arrivals()
                self._feed()
                for key, events in self._selector.select(self._patience()):
                    self._serve(key, events)
                self._kill_overdue()
        finally:
            self._end()

    def _patience(self) -> float:
        """Seconds until something is due though nothing arrives."""
        if self._arrivals:
            return 0.0
        due = [worker.started + self._limit(worker) for worker in self._workers if _is_busy(worker)]
        if len(self._workers) < self._size:
            due.append(self._start_after)
        return min(LONGEST_WAIT, max(0.0, min(due) - time.monotonic())) if due else LONGEST_WAIT

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

    def _take_arrivals(self) -> None:
        """Find what there is to judge, and queue what no equal judgement will tell."""
        for _ in range(min(ARRIVALS_A_ROUND, len(self._arrivals))):
            problem, text, is_response, future = self._arrivals.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            found = _find(problem, text, is_response, self._domains)
            if found.reason:
                future.set_result(Verdict(0.0, "", found.reason, 0.0))
            elif judgement := self._judgements.ask(problem, found.answer, future):
                self._queue.append(judgement)

    def _feed(self) -> None:
        """Hand queued judgements to the workers with the fewest, and give up if there will be none."""
        if self._failures >= START_FAILURES and not any(worker.ready for worker in self._workers):
            while self._queue:
                self._judgements.fail(self._queue.popleft(), "no_worker")
        ready = [worker for worker in self._workers if worker.ready]
        while self._queue and ready:
            worker = min(ready, key=lambda worker: len(worker.judgements))
            if len(worker.judgements) >= DEPTH[self._queue[0].domain]:
                return
            self._assign(worker, self._queue.popleft())

    def _assign(self, worker: WorkerProcess, judgement: Judgement) -> None:
        if not worker.unsent:
            self._selector.register(worker.requests, selectors.EVENT_WRITE, worker)
        worker.hand(judgement)
        self._write(worker)

    def _serve(self, key: selectors.SelectorKey, events: int) -> None:
        worker = key.data
        if worker is None:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._wake_in, 4096):
                    pass
        elif worker not in self._workers:  # it was lost earlier in this round
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
            self._lose(worker, "crashed")
            return
        for message in messages:
            if worker.ready:
                self._judgements.settle(worker.judgements.popleft(), **message)
            else:
                worker.ready, self._ready_once, self._failures = True, True, 0.0
                self._start_known.set()

    def _kill_overdue(self) -> None:
        for worker in list(self._workers):
            if self._is_overdue(worker):
                self._read(worker)  # this thread may have been held up while the verdict was waiting
            if worker in self._workers and self._is_overdue(worker):
                self._lose(worker, "timeout")

    def _is_overdue(self, worker: WorkerProcess) -> bool:
        return _is_busy(worker) and time.monotonic() > worker.started + self._limit(worker)

    def _lose(self, worker: WorkerProcess, reason: str) -> None:
        """End a worker: its current judgement failed or is tried once more, those behind it were never begun."""
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
        if worker.judgements and status != GROWN and _is_final(worker.judgements[0], reason):
            self._judgements.fail(worker.judgements.popleft(), reason, time.monotonic() - worker.started)
        self._queue.extendleft(reversed(worker.judgements))

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # the pipe is full of wake-ups
            os.write(self._wake_out, b"\0")

    def _end(self) -> None:
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
        self._judgements.fail_all("closed")
        for arrival in self._arrivals:
            if arrival.future.set_running_or_notify_cancel():
                arrival.future.set_result(Verdict(0.0, "", "closed", 0.0))


def _find(problem: Problem, text: str, is_response: bool, domains: frozenset[str]) -> Extraction:
    """What is to be judged of a response or of a bare answer, or why nothing is."""
    if problem.domain not in domains:
        return Extraction("", "no_verifier")
    verifier = verifier_for(problem.domain)
    if not is_response:
        return Extraction(text, "" if text.strip() else "empty")
    try:
        return verifier.extract(text)
    except Exception as error:  # no verifier raises; should one do so, the thread must live and the verdict tell
        return Extraction("", f"error_{type(error).__name__}")


def _is_busy(worker: WorkerProcess) -> bool:
    return bool(worker.judgements) or not worker.ready


def _is_final(judgement: Judgement, reason: str) -> bool:
    judgement.deaths += 1
    return reason in ("timeout", "memory") or judgement.deaths >= ATTEMPTS[judgement.domain]
