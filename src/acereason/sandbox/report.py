"""`acereason sandbox`: what isolates programs on this machine; each layer and each promise is tried."""

from __future__ import annotations

import contextlib
import os
import socket
import time

from rich.table import Table

from acereason.config.schema import SandboxConfig
from acereason.errors import UserError
from acereason.sandbox import kernel, landlock, leftovers, seccomp
from acereason.sandbox.isolation import NAMESPACES, NONE, ROOT, Isolation, find_isolation
from acereason.sandbox.probe_programs import PROGRAMS
from acereason.sandbox.zones import PROGRAM, Zones

_HOLDS = "holds"


class SandboxReport:
    """The isolation of programs on this machine.

    Attributes:
        strong: whether code rewards start with these settings.
        layers: each layer, and whether the kernel grants it.
        promises: what programs tried, and whether they were kept from it.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self.layers = {name: _layer_state(name, config) for name in _LAYERS}
        self.layers["unprivileged user"] = "programs run as you"
        self.promises: dict[str, str] = {}
        self._reason = ""
        self.isolation: Isolation | None = None
        try:
            self.isolation = find_isolation(config)
            if self.isolation.mode == ROOT:
                self.layers["unprivileged user"] = f"{_HOLDS} (programs run as a user that owns nothing)"
            self._try_all(self.isolation)
        except UserError as error:
            self._reason = str(error)
        self.strong = self.isolation is not None and not self.isolation.missing

    def _try_all(self, isolation: Isolation) -> None:
        with contextlib.closing(Zones(self._config, isolation)) as zones:
            with socket.create_server(("127.0.0.1", 0)) as server:
                values = {
                    "FILE": repr(__file__),
                    "PORT": str(server.getsockname()[1]),
                    "LIMIT": str(self._config.processes),
                    "MIB": str(self._config.memory_mib),
                    "FORKS": str(isolation.mode != NONE),
                }
                for name, program in PROGRAMS.items():
                    for word, value in values.items():
                        program = program.replace(word, value)
                    said = zones.output_of(program).strip()
                    self.promises[name] = _HOLDS if said == "held" else f"does not hold: {said or 'no answer'}"
            self.promises["nothing outlives a program"] = _try_outliving(zones)

    def table(self) -> Table:
        """Return the report as a table for people."""
        table = Table(box=None, pad_edge=False)
        table.add_column("layer")
        table.add_column("here")
        for name, state in self.layers.items():
            table.add_row(name, state)
        if self.promises:
            table.add_row("", "")
            table.add_row("[bold]a program is kept from[/bold]", "")
        for name, state in self.promises.items():
            table.add_row(name, state)
        return table

    def conclusion(self) -> str:
        """Return one sentence: whether code rewards start, and with what."""
        if self.isolation is None:
            return f"code rewards do not start: {self._reason}"
        how = {"root": "namespaces made as root", "user": "namespaces in a user namespace", "none": "no namespaces"}
        filters = [name for name in ("landlock", "seccomp") if getattr(self.isolation, name)]
        words = ", ".join([how[self.isolation.mode], *filters])
        if self.isolation.missing:
            missing = ", ".join(self.isolation.missing)
            return f"code rewards start only because sandbox.allow_weak=true: no {missing} isolation ({words})"
        failing = [name for name, state in self.promises.items() if state != _HOLDS]
        return f"code rewards start, with {words}" + (f"; look at: {', '.join(failing)}" if failing else "")


def _try_outliving(zones: Zones) -> str:
    """Run a program that leaves a process behind, and return whether that is gone with the program's end."""
    zones.output_of("import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\n")
    time.sleep(0.05)
    alive = zones.zone(PROGRAM, "").descendants()
    return f"does not hold: processes {alive}" if alive else _HOLDS


_LAYERS = (
    *("user namespace", *(f"{name} namespace" for name in NAMESPACES)),
    *("Landlock", "seccomp", "cgroup of processes"),
)


_SETTINGS = {
    "user namespace": "user_namespace",
    "Landlock": "landlock",
    "seccomp": "seccomp",
    "cgroup of processes": "cgroup",
}
"""What `sandbox.without` calls layers; the others are its namespaces."""


def _layer_state(name: str, config: SandboxConfig) -> str:
    """Ask the kernel for one layer, where necessary in another process, and return its answer."""
    if _SETTINGS.get(name, "namespaces") in config.without:
        return "left out by sandbox.without"
    if name == "Landlock":
        return f"{_HOLDS} (version {landlock.abi()})" if landlock.abi() else "the kernel does not have it"
    if name == "seccomp":
        return _HOLDS if seccomp.available() else "the kernel does not have it"
    if name == "cgroup of processes":
        return _HOLDS if leftovers.cgroup_parent() else "no cgroup here may be written to; RLIMIT_NPROC counts instead"
    if name == "user namespace":
        return _try_unshare(kernel.CLONE_NEWUSER)
    flag = NAMESPACES[name.removesuffix(" namespace")]
    as_root = _try_unshare(flag)
    return as_root if as_root == _HOLDS else _try_unshare(kernel.CLONE_NEWUSER | flag)


def _try_unshare(flags: int) -> str:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            kernel.unshare(flags)
            os.write(write, _HOLDS.encode())
        except OSError as error:
            os.write(write, f"refused: {error.strerror}".encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read) as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    return said or "refused"
