"""A grader of math answers in a process of its own, which is killed and replaced when it hangs; for `graders.py`.

The process runs `grader_side.py` in the grader's interpreter. Nothing but Python is needed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass

from perf.script import ROOT

WARM_UP = (("1", "2"), (r"\frac{1}{2}", "0.5"), ("(x+1)^2", "x^2+2x+1"), (r"\{1,2\}", r"\{2,1\}"), ("[0,1)", "(0,1]"))
NOT_JUDGED = ("timeout", "crashed")
START_SECONDS = 120.0


@dataclass(frozen=True)
class Judgement:
    """What a grader said of a pair: whether they are equal, why if it says, and how long it took."""

    equal: bool
    reason: str
    seconds: float


@dataclass(frozen=True)
class Grader:
    """Its name in the report, its interpreter, and what `grader_side.py` has to load there."""

    name: str
    python: str
    source: str


class Process:
    """A grader at work, warmed up. Use it as a context manager.

    Raises:
        SystemExit: it does not start.
    """

    def __init__(self, grader: Grader, limit_seconds: float, memory_mib: int) -> None:
        self._grader, self._limit = grader, limit_seconds
        self._command = [grader.python, "-m", "perf.math.grader_side", grader.source, str(memory_mib)]
        self._complaints = os.memfd_create("complaints")
        self._start()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        os.close(self._complaints)

    def judge(self, gold: str, pred: str) -> Judgement:
        """Judge one pair; past the limit, or when the process dies, it is not equal."""
        started = time.perf_counter()
        answer = self._ask(gold, pred)
        if answer:
            return Judgement(**json.loads(answer))
        overdue = self._process.poll() is None
        seconds = self._limit if overdue else time.perf_counter() - started
        self._end()
        self._start()
        return Judgement(False, "timeout" if overdue else "crashed", seconds)

    def _start(self) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=_environment(),
            stdin=pipe,
            stdout=pipe,
            stderr=self._complaints,
            start_new_session=True,
        )
        self._inbox = b""
        greeting = self._read(START_SECONDS)
        if not greeting or not all(self._ask(*pair) for pair in WARM_UP):
            self._end()
            said = os.pread(self._complaints, 1 << 20, 0).decode(errors="replace")[-2000:]
            raise SystemExit(f"{self._grader.name} did not start: {' '.join(self._command)}\n{said}")
        self.versions = json.loads(greeting)["with"]

    def _ask(self, gold: str, pred: str) -> bytes:
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"gold": gold, "pred": pred}).encode() + b"\n")
            self._process.stdin.flush()
        return self._read(self._limit)

    def _read(self, seconds: float) -> bytes:
        """Return the next line; nothing when none comes in time or any more."""
        assert self._process.stdout
        pipe, end = self._process.stdout.fileno(), time.monotonic() + seconds
        while b"\n" not in self._inbox:
            if not select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
                return b""
            data = os.read(pipe, 1 << 16)
            if not data:
                self._process.wait()
                return b""
            self._inbox += data
        line, _, self._inbox = self._inbox.partition(b"\n")
        return line

    def _end(self) -> None:
        """Kill it and what it started; graders may have time limits that are processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _environment() -> dict[str, str]:
    """Return this process's, with our package to be found and one thread for numerical libraries."""
    path = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
