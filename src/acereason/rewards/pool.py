"""The verifiers' process pool: judges while generation goes on, and always gives a verdict.

One thread owns the workers. `submit` only appends to a queue and wakes it, so the caller never waits for a pipe. A
worker past its wall limit is killed and replaced. Workers are fresh interpreters (`worker.py`), never forks of the
training process; only text travels.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from acereason.errors import UserError
from acereason.problems.problem import Domain, Problem
from acereason.rewards.domains import check_domain
from acereason.rewards.math.extraction import THINK_END
from acereason.rewards.verifier import Verdict

DEPTH = 4
"""Judgements sent ahead to a worker, so that it need not wait for this process's interpreter lock between two."""
ATTEMPTS = 2
"""Workers a judgement may see die before it is `crashed`: the first death may be no fault of its own."""
START_SECONDS = 300.0
"""Longest start of a worker: 1.5 s of work, but 40 s were seen where others held every core."""
START_FAILURES = 3
"""Workers in a row that fail to start before waiting judgements are given up as `no_worker`."""
MIN_MEMORY_MIB = 512
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(eq=False)
class _Job:
    request: bytes
    future: Future[Verdict]
    deaths: int = 0


class _Worker:
    """A process, the jobs handed to it in order, and what is on its way to and from it."""

    def __init__(self, command: list[str]) -> None:
        pipe, environment = subprocess.PIPE, os.environ | _ONE_THREAD | {"PYTHONPATH": _search_path()}
        # A session of its own, so that Ctrl-C in the terminal is the parent's to handle.
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, bufsize=0, env=environment, start_new_session=True
        )
        assert self.process.stdin and self.process.stdout
        self.pipes = (self.process.stdin, self.process.stdout)
        self.requests, self.replies = (end.fileno() for end in self.pipes)
        os.set_blocking(self.requests, False)
        os.set_blocking(self.replies, False)
        self.jobs: deque[_Job] = deque()
        self.outbox, self.inbox = bytearray(), bytearray()
        self.ready = False
        self.started = time.monotonic()  # when it, then its current judgement, began

    def end(self) -> None:
        """Kill the process and leave nothing of it."""
        self.process.kill()
        self.process.wait()
        for end in self.pipes:
            end.close()


class VerifierPool:
    """Worker processes that judge responses, each judgement within a wall and a memory limit.

    Workers start in the background, in about a second. Use it as a context manager, or call `close`.

    Args:
        workers: processes.
        timeout_seconds: wall time of one judgement; past it the verdict is 0 with reason `timeout`.
        memory_mib: address space of one worker; past it the verdict is 0 with reason `memory` or `crashed`.
        domains: what will be judged; the verifiers of these are imported before the first judgement.

    Raises:
        UserError: a limit that cannot work, or a domain without a verifier.
    """

    def __init__(
        self, workers: int, timeout_seconds: float, memory_mib: int, domains: Sequence[Domain] = ("math",)
    ) -> None:
        _check_limits(workers, timeout_seconds, memory_mib)
        for domain in domains:
            check_domain(domain)
        self.replaced = 0
        """Workers killed or lost so far."""
        self._size, self._timeout = workers, timeout_seconds
        self._command = [sys.executable, "-P", "-m", "acereason.rewards.worker", str(os.getpid()), str(memory_mib)]
        self._command += domains
        self._workers: list[_Worker] = []
        self._queue: deque[_Job] = deque()
        self._failures, self._start_after = 0, 0.0
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_in, selectors.EVENT_READ)
        self._arrivals: deque[tuple[Problem, str, Future[Verdict]]] = deque()
        self._lock = threading.Lock()  # guards _closed, so that nothing arrives unseen or wakes a closed pipe
        self._closed = False
        self._ready_once, self._start_known = False, threading.Event()
        self._thread = threading.Thread(target=self._run, name="verifier-pool", daemon=True)
        self._thread.start()

    def submit(self, problem: Problem, response: str) -> Future[Verdict]:
        """Queue one response; costs microseconds whatever its length. The future never holds an exception.

        Raises:
            RuntimeError: the pool is closed.
        """
        future: Future[Verdict] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the verifier pool is closed")
            self._arrivals.append((problem, response, future))
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
                self._feed()
                for key, events in self._selector.select(self._patience()):
                    self._serve(key, events)
                self._kill_overdue()
        finally:
            self._end()

    def _patience(self) -> float | None:
        """Seconds until something is due though nothing arrives."""
        due = [worker.started + self._limit(worker) for worker in self._workers if worker.jobs or not worker.ready]
        if len(self._workers) < self._size:
            due.append(self._start_after)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _limit(self, worker: _Worker) -> float:
        return self._timeout if worker.ready else START_SECONDS

    def _start_workers(self) -> None:
        while len(self._workers) < self._size and time.monotonic() >= self._start_after:
            try:
                worker = _Worker(self._command)
            except OSError as error:
                print(f"cannot start a verifier worker: {error}", file=sys.stderr)
                self._start_failed()
                return
            self._workers.append(worker)
            self._selector.register(worker.replies, selectors.EVENT_READ, worker)

    def _start_failed(self) -> None:
        self._failures += 1
        self._start_after = time.monotonic() + min(60.0, 2.0**self._failures)
        if self._failures >= START_FAILURES:
            self._start_known.set()

    def _feed(self) -> None:
        """Hand queued judgements to the workers with the fewest, and give up if there will be none."""
        if self._failures >= START_FAILURES and not any(worker.ready for worker in self._workers):
            while self._queue:
                self._queue.popleft().future.set_result(_no_verdict("no_worker"))
        ready = [worker for worker in self._workers if worker.ready]
        while self._queue and ready:
            worker = min(ready, key=lambda worker: len(worker.jobs))
            if len(worker.jobs) >= DEPTH:
                return
            self._assign(worker, self._queue.popleft())

    def _assign(self, worker: _Worker, job: _Job) -> None:
        if not worker.jobs:
            worker.started = time.monotonic()
        worker.jobs.append(job)
        if worker.outbox:
            worker.outbox += job.request
            return
        worker.outbox += job.request
        self._selector.register(worker.requests, selectors.EVENT_WRITE, worker)
        self._write(worker)

    def _serve(self, key: selectors.SelectorKey, events: int) -> None:
        worker = key.data
        if worker is None:
            self._take_arrivals()
        elif worker not in self._workers:  # it was lost earlier in this round
            return
        elif events & selectors.EVENT_WRITE:
            self._write(worker)
        else:
            self._read(worker)

    def _take_arrivals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_in, 4096):
                pass
        while self._arrivals:
            problem, response, future = self._arrivals.popleft()
            if future.set_running_or_notify_cancel():
                self._queue.append(_Job(_request(problem, response), future))

    def _write(self, worker: _Worker) -> None:
        try:
            del worker.outbox[: os.write(worker.requests, worker.outbox)]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it died: the end of its replies will tell
            worker.outbox.clear()
        if not worker.outbox:
            self._selector.unregister(worker.requests)

    def _read(self, worker: _Worker) -> None:
        try:
            data = os.read(worker.replies, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            self._lose(worker, "crashed")
            return
        worker.started = time.monotonic()
        worker.inbox += data
        while (end := worker.inbox.find(b"\n")) >= 0:
            line = bytes(worker.inbox[:end])
            del worker.inbox[: end + 1]
            self._receive(worker, json.loads(line))

    def _receive(self, worker: _Worker, message: dict[str, object]) -> None:
        if worker.ready:
            worker.jobs.popleft().future.set_result(Verdict(**message))  # type: ignore[arg-type]
            return
        worker.ready, self._ready_once, self._failures = True, True, 0
        self._start_known.set()

    def _kill_overdue(self) -> None:
        for worker in list(self._workers):
            if self._is_overdue(worker):
                self._read(worker)  # this thread may have been held up while the verdict was waiting
            if worker in self._workers and self._is_overdue(worker):
                self._lose(worker, "timeout")

    def _is_overdue(self, worker: _Worker) -> bool:
        waiting = bool(worker.jobs) or not worker.ready
        return waiting and time.monotonic() > worker.started + self._limit(worker)

    def _lose(self, worker: _Worker, reason: str) -> None:
        """End a worker: its current judgement failed or is tried once more, those behind it were never begun."""
        self._selector.unregister(worker.replies)
        if worker.outbox:
            self._selector.unregister(worker.requests)
        worker.end()
        self._workers.remove(worker)
        self.replaced += 1
        if not worker.ready:
            self._start_failed()
            return
        if worker.jobs and self._is_final(worker.jobs[0], reason):
            worker.jobs.popleft().future.set_result(_no_verdict(reason, time.monotonic() - worker.started))
        self._queue.extendleft(reversed(worker.jobs))

    def _is_final(self, job: _Job, reason: str) -> bool:
        job.deaths += 1
        return reason == "timeout" or job.deaths >= ATTEMPTS

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # the pipe is full of wake-ups
            os.write(self._wake_out, b"\0")

    def _end(self) -> None:
        with self._lock:
            self._closed = True
        jobs = [job for worker in self._workers for job in worker.jobs] + list(self._queue)
        for worker in self._workers:
            worker.end()
        self._selector.close()
        os.close(self._wake_in)
        os.close(self._wake_out)
        futures = [job.future for job in jobs]
        futures += [future for _, _, future in self._arrivals if future.set_running_or_notify_cancel()]
        for future in futures:
            future.set_result(_no_verdict("closed"))


def _check_limits(workers: int, timeout_seconds: float, memory_mib: int) -> None:
    if workers < 1:
        raise UserError(f"rewards.workers={workers}: at least one verifier process is needed")
    if not timeout_seconds > 0:
        raise UserError(f"rewards.timeout_seconds={timeout_seconds}: must be above 0")
    if memory_mib < MIN_MEMORY_MIB:
        raise UserError(f"rewards.memory_mib={memory_mib}: a worker needs at least {MIN_MEMORY_MIB} to start")


def _search_path() -> str:
    """Where a worker finds this package, installed or not."""
    return os.pathsep.join(filter(None, (str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH"))))


def _request(problem: Problem, response: str) -> bytes:
    """One line of JSON; of the response only what follows the thinking travels, the rest is never judged."""
    end = response.rfind(THINK_END)
    judged = response[end:] if end >= 0 else ""
    fields = {"id": problem.id, "domain": problem.domain, "answer": problem.answer, "response": judged}
    return json.dumps(fields).encode() + b"\n"


def _no_verdict(reason: str, seconds: float = 0.0) -> Verdict:
    return Verdict(0.0, "", reason, seconds)
