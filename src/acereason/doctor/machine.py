"""Memory, cores, limits and disks."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from acereason.doctor.finding import Context, Finding, finding
from acereason.doctor.gpu import gpu_count

GIB = 2**30
OPEN_FILES = 1024


def memory_and_cores(context: Context) -> Iterator[Finding]:
    """Look at free memory and cores, those that a control group grants."""
    wanted = 32 if gpu_count() else 4
    free, cores = available_memory() / GIB, available_cores()
    fix = "end other programs, or raise the limit of the container or job (docker run --memory, sbatch --mem)"
    yield finding("memory", f"at least {wanted} GiB available", f"{free:.1f} GiB", free >= wanted, fix)
    fix = "raise the limit of the container or job (docker run --cpus, sbatch --cpus-per-task)"
    yield finding("cores", "at least 2", f"{cores:g}", cores >= 2, fix)


def available_memory() -> float:
    """Return the bytes that processes here may still take."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    for folder in control_groups():
        limit, used = _number(folder / "memory.max"), _number(folder / "memory.current")
        if limit is not None and used is not None:
            free = min(free, limit - used)
    return free


def available_cores() -> float:
    """Return the cores that this process may use; a control group may grant a part of one."""
    cores = float(len(os.sched_getaffinity(0)))
    for folder in control_groups():
        try:
            quota, period = (folder / "cpu.max").read_text().split()
        except (OSError, ValueError):
            continue
        cores = cores if quota == "max" else min(cores, int(quota) / int(period))
    return cores


def control_groups() -> list[Path]:
    """Return the folders of this process's control group (version 2) and of all above it."""
    root = Path("/sys/fs/cgroup")
    try:
        own = next(line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return [root]
    folder = root / own.strip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such file, or `max`
        return None


def open_files(context: Context) -> Iterator[Finding]:
    """Look at how many files a process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    holds = soft == resource.RLIM_INFINITY or soft >= OPEN_FILES
    seen = f"{soft} (the administrator allows {hard})"
    fix = f"ulimit -n {max(OPEN_FILES, min(hard, 65536))} in the shell that starts the run"
    yield finding("open files", f"at least {OPEN_FILES}", seen, holds, fix)


def disk(context: Context) -> Iterator[Finding]:
    """Look at the folders that a run writes to: whether it may, and the space there."""
    gpu = gpu_count() > 0
    yield look_at_folder("run folder", context.runs, 60 if gpu else 1, "runs=FOLDER here, run.root=FOLDER in training")
    temporary = Path(os.environ.get("TMPDIR") or "/tmp")
    yield look_at_folder("temporary files", temporary, 1, "TMPDIR=FOLDER in the environment")
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    yield look_at_folder("Hugging Face cache", Path(home).expanduser(), 20 if gpu else 1, "HF_HOME=FOLDER")
    fix = "docker run --shm-size=8g, or --ipc=host"
    yield look_at_folder("shared memory", Path("/dev/shm"), 1 if gpu else 0.06, fix)


def look_at_folder(subject: str, folder: Path, gib: float, fix: str) -> Finding:
    """Try to write to a folder, or to the first folder above it that exists, and look at the space there."""
    expected = f"{folder} can be written to, {gib:g} GiB free"
    there = folder.absolute()
    try:
        while not there.exists():
            there = there.parent
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"x")
        free = shutil.disk_usage(there).free / GIB
    except OSError as error:
        return Finding(subject, expected, f"{error.strerror}: {there}", f"another folder ({fix}), or its permissions")
    return finding(subject, expected, f"{free:.1f} GiB free", free >= gib, f"free some space, or another folder: {fix}")
