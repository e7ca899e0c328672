"""Runs Python source in a process of its own, under the filters; as a script, it is that process."""

import errno
import importlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from acereason.sandbox import kernel, landlock, seccomp
from acereason.sandbox.syscall_numbers import numbers_of

NOBODY = 65534
NUMBERS = numbers_of(kernel.MACHINE)


def users() -> list[int]:
    """Whom to run as: the present user, and nobody where that can be had."""
    return [os.getuid(), *([NOBODY] if os.getuid() == 0 else [])]


def run(
    source: str, modules: str = "", forks: bool | None = None, user: int | None = None, **folders: list[str]
) -> str:
    """What the source printed; fails the test if it failed.

    Args:
        source: finds `refusal`, `call` and the names in `modules`.
        modules: imported before anything is given up.
        forks: which seccomp filter, None for none.
        user: numeric id to run as.
        folders: `readable`, `writable` and `executable` of Landlock, none for no Landlock.
    """
    done = start(source, modules, forks, user, **folders)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def start(
    source: str, modules: str = "", forks: bool | None = None, user: int | None = None, **folders: list[str]
) -> subprocess.CompletedProcess[str]:
    """As `run`, for processes that may fail."""
    import pytest  # not in the process to be confined

    if forks is not None and not seccomp.available():
        pytest.skip("no seccomp filters here")
    if folders and not landlock.abi():
        pytest.skip("no Landlock here")
    settings = json.dumps([source, modules.split(), forks, user, folders])
    search_path = filter(None, (str(Path(kernel.__file__).parents[2]), os.environ.get("PYTHONPATH")))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(search_path), "OPENBLAS_NUM_THREADS": "4"}
    return subprocess.run(
        [sys.executable, __file__, settings], capture_output=True, text=True, timeout=120, env=environment
    )


def refusal(function: Callable[..., object], *arguments: object) -> str:
    """The name of the error with which a call fails, or "allowed"."""
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "allowed"


def call(name: str, *arguments: int) -> int:
    """A system call by its name."""
    return kernel.syscall(NUMBERS[name], *arguments)


def main(source: str, modules: list[str], forks: bool | None, user: int | None, folders: dict[str, list[str]]) -> None:
    """Import, give up rights, run."""
    for name in modules:
        importlib.import_module(name)
    names = {package: sys.modules[package] for package in (name.partition(".")[0] for name in modules)}
    code = compile(source, "confined", "exec")
    program = seccomp.build_filter(forks) if forks is not None else None
    ruleset = landlock.make_ruleset(**folders) if folders else -1
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if user is not None and user != os.getuid():
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    if ruleset >= 0:
        landlock.restrict(ruleset)
    if program:
        seccomp.install(program)
    space = {"__name__": "__main__", "refusal": refusal, "call": call, "kernel": kernel, "os": os, **names}
    exec(code, space)


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
