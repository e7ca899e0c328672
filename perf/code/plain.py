"""Trusted sources under plain CPython, the reference of `solutions.py`; outcomes are remembered in a file.

A source runs as `python -I` in namespaces of its own (no network, no other process to be seen) and in a fresh folder,
with limits of time, memory and file size. That is no sandbox: it is for data sets' own solutions, not for a model's.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

ADDRESS_SPACE, FILE_SIZE = 4 << 30, 64 << 20
LIMITS = ["prlimit", f"--as={ADDRESS_SPACE}", f"--fsize={FILE_SIZE}", "--core=0", "--nproc=512"]
NAMESPACES = ["unshare", "--map-root-user", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
DONE = "plain run came to its end"
AT_ONCE = 2


@dataclass(frozen=True)
class Outcome:
    """What came of a source: `right` when it ran to its end, `wrong` when it failed, `timeout`."""

    state: str
    said: str
    seconds: float


def run_plain(source: str, limit: float) -> Outcome:
    """Run one source for at most so many seconds."""
    environment = {"PATH": os.environ.get("PATH", ""), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as said:
        (Path(folder) / "main.py").write_text(f"{source}\nprint('\\n' + {DONE!r})\n", encoding="utf-8")
        started = time.perf_counter()
        try:
            done = subprocess.run(
                [*LIMITS, *NAMESPACES, sys.executable, "-I", "-B", "main.py"],
                cwd=folder,
                env=environment | {"HOME": folder, "TMPDIR": folder},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=said,
                timeout=limit,
            )
        except subprocess.TimeoutExpired:
            return Outcome("timeout", "", limit)
        seconds = time.perf_counter() - started
        if done.returncode == 0 and last_line(printed) == DONE:
            return Outcome("right", "", seconds)
        return Outcome("wrong", last_line(said) or f"exit status {done.returncode}", seconds)


def last_line(file: IO[bytes]) -> str:
    """Return the last line of a file, as far as its last 300 bytes hold it; blank lines are not counted."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - 300))
    return file.read().decode(errors="replace").strip().rpartition("\n")[2]


class PlainRuns:
    """Plain runs, two at a time, each made at most once in the life of a file.

    Args:
        remembered: file with an outcome a line, added to.
        limit: seconds of a run.

    Raises:
        SystemExit: `prlimit` or `unshare` is missing.
    """

    def __init__(self, remembered: Path, limit: float) -> None:
        missing = [tool for tool in ("prlimit", "unshare") if shutil.which(tool) is None]
        if missing:
            raise SystemExit(f"plain runs need {' and '.join(missing)}, of util-linux")
        self._file, self._limit = remembered, limit
        lines = remembered.read_text(encoding="utf-8").splitlines() if remembered.exists() else []
        self._known = {key: Outcome(**outcome) for key, outcome in map(json.loads, lines)}

    def outcomes(self, sources: list[str]) -> list[Outcome]:
        """Run what has not run before; return what came of each source, in order."""
        keys = [self._key(source) for source in sources]
        new = {key: source for key, source in zip(keys, sources, strict=True) if key not in self._known}
        with ThreadPoolExecutor(AT_ONCE) as threads, self._file.open("a", encoding="utf-8") as file:
            runs = threads.map(lambda source: run_plain(source, self._limit), new.values())
            for key, outcome in zip(new, runs, strict=True):
                self._known[key] = outcome
                print(json.dumps([key, asdict(outcome)]), file=file, flush=True)
        return [self._known[key] for key in keys]

    def _key(self, source: str) -> str:
        return hashlib.sha256(f"{platform.python_version()} {self._limit} {source}".encode()).hexdigest()
