"""All checks, one after the other: each in a process with a time bound, so that a crash is a failed check."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from acereason.doctor.checks import CHECKS, Check
from acereason.doctor.finding import Finding
from acereason.doctor.gpu import gpu_count


@dataclass(frozen=True)
class Result:
    """What became of a check.

    Attributes:
        check: its name.
        findings: what it found.
        left_out: why it was not run; empty if it was.
    """

    check: str
    findings: tuple[Finding, ...] = ()
    left_out: str = ""

    @property
    def failed(self) -> bool:
        """Whether there is something to fix."""
        return any(found.fix for found in self.findings)


def diagnose(
    runs: Path, *, only: Collection[str] = (), skip: Collection[str] = (), quick: bool = False, minutes: float = 10
) -> Iterator[Result]:
    """Yield the result of each check as soon as it is known.

    Args:
        runs: folder that is to hold runs.
        only: names of the checks to run; all if empty.
        skip: names of checks to leave out, and with them those that need one.
        quick: leave out what takes more than seconds.
        minutes: how long a check may take.
    """
    failed: set[str] = set()
    for check in CHECKS:
        why = _left_out(check, only, skip, quick)
        if why:
            result = Result(check.name, left_out=why)
        elif check.needs in failed:
            seen, fix = f"not tried: {check.needs} has failed", f"first what {check.needs} names above"
            result = Result(check.name, (Finding(check.name, f"{check.needs} works", seen, fix),))
        else:
            result = Result(check.name, run_apart(check.name, runs, minutes))
        if result.failed:
            failed.add(check.name)
        yield result


def _left_out(check: Check, only: Collection[str], skip: Collection[str], quick: bool) -> str:
    if only and check.name not in only:
        return "not asked for"
    if check.name in skip:
        return f"skip names {check.name}"
    if check.needs in skip:
        return f"it needs {check.needs}, which skip names"
    if gpu_count() < check.gpus:
        return "there is no GPU" if check.gpus == 1 else f"there are not {check.gpus} GPUs"
    return "quick=true" if quick and check.slow else ""


def run_apart(name: str, runs: Path, minutes: float) -> tuple[Finding, ...]:
    """Run a check in a process group of its own, which ends with it."""
    command = [sys.executable, "-m", "acereason.doctor.apart", name, str(runs)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            output, errors = process.communicate(timeout=60 * minutes)
            ending = f"its process {_ending(process.returncode)}" if process.returncode else ""
        except subprocess.TimeoutExpired:
            _kill(process.pid)
            output, errors = process.communicate()
            ending = f"it took more than {minutes:g} minutes"
        finally:
            _kill(process.pid)
    findings = [Finding(**json.loads(line)) for line in output.decode().splitlines()]
    if not ending:
        return tuple(findings)
    lines = errors.decode(errors="replace").strip().splitlines()
    seen = f"{ending}: {lines[-1][:300]}" if lines else ending
    fix = "see what it printed, with output=FILE; raise minutes if it only is slow"
    return (*findings, Finding(name, "runs to its end", seen, fix, "\n".join(lines[-40:])))


def _kill(group: int) -> None:
    """Kill what is left of a process group."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _ending(code: int) -> str:
    return f"ended with code {code}" if code > 0 else f"was killed by {signal.Signals(-code).name}"
