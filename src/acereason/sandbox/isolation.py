"""The layers of isolation that this machine allows, found by making a zone with them."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from acereason.config.checks import check_settings
from acereason.config.schema import SandboxConfig
from acereason.errors import UserError
from acereason.sandbox import kernel, landlock, program, seccomp, zygote
from acereason.sandbox.zone import START_SECONDS, NoZone, Zone, ZoneLost

NAMESPACES = {
    "mount": kernel.CLONE_NEWNS,
    "pid": kernel.CLONE_NEWPID,
    "network": kernel.CLONE_NEWNET,
    "ipc": kernel.CLONE_NEWIPC,
    "uts": kernel.CLONE_NEWUTS,
    "cgroup": kernel.CLONE_NEWCGROUP,
}
OPTIONAL = tuple(SandboxConfig().packages)
"""Packages that contest sites offer; one that is not installed here is only missing for the programs that need it."""
ROOT, USER, NONE = "root", "user", "none"
"""Ways to get namespaces: as root, by a user namespace, not at all."""
SLACK_MIB = 1024
"""Address space beyond the memory limit: thread stacks and files are mapped that are never filled."""
STACK_BYTES = 1 << 30


@dataclass(frozen=True)
class Isolation:
    """The layers that zones are made with.

    Attributes:
        mode: how it gets namespaces: ROOT, USER or NONE.
        user_namespace: whether programs have their own user namespace.
        landlock, seccomp: whether these kernel filters are used.
        refused: what was tried before and failed, with the kernel's reason.
    """

    mode: str
    user_namespace: bool
    landlock: bool
    seccomp: bool
    refused: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Those of file-system, network and process isolation that this machine lacks."""
        if self.mode != NONE:
            return []
        return [*([] if self.landlock else ["file-system"]), *([] if self.seccomp else ["network", "process"])]


@dataclass(frozen=True)
class Sandbox:
    """The settings of the sandbox and the isolation found for them; every worker gets both."""

    config: SandboxConfig
    isolation: Isolation

    def to_json(self) -> str:
        """Return the sandbox as text, for a command line."""
        return json.dumps({"config": asdict(self.config), "isolation": asdict(self.isolation)})

    @classmethod
    def from_json(cls, text: str) -> Sandbox:
        """Return the sandbox that `to_json` wrote."""
        fields = json.loads(text)
        return cls(SandboxConfig(**fields["config"]), Isolation(**fields["isolation"]))


def find_isolation(config: SandboxConfig) -> Isolation:
    """Return the strongest isolation that works here; tried in order of strength, once for the same settings.

    Raises:
        UserError: programs would reach files, the network or other processes, and `sandbox.allow_weak` is not set.
    """
    return _find_isolation(json.dumps(asdict(config)))


@lru_cache
def _find_isolation(settings: str) -> Isolation:
    config = SandboxConfig(**json.loads(settings))
    check_sandbox(config)
    refused: list[str] = []
    for isolation in _candidates(config):
        try:
            with contextlib.closing(Zone(zone_settings(config, isolation))) as zone:
                _check_programs_run(zone, isolation)
        except (NoZone, ZoneLost) as error:
            refused.append(str(error))
            continue
        found = Isolation(**{**asdict(isolation), "refused": tuple(refused)})
        if found.missing and not config.allow_weak:
            raise UserError(_weak_message(found))
        return found
    raise UserError("no sandbox can be made here: " + "; ".join(refused))


def _check_programs_run(zone: Zone, isolation: Isolation) -> None:
    """Raise NoZone unless a program prints a word: a kernel may grant the layers and let no program run behind them."""
    zone.prepare(program.job("stdin", "print('here')"))
    running = zone.start(START_SECONDS, int(START_SECONDS))
    with contextlib.closing(running):
        running.ask(b"", START_SECONDS, len(program.READY))
        ending = running.end(0)
        if running.output(16) != b"here\n":
            raise NoZone(f"no sandbox of mode {isolation.mode}: programs do not run (status {ending.status})")


def _candidates(config: SandboxConfig) -> list[Isolation]:
    without = set(config.without)
    filters = (
        landlock.abi() > 0 and "landlock" not in without,
        seccomp.available() and "seccomp" not in without,
    )
    own_user, spaces = "user_namespace" not in without, "namespaces" not in without
    candidates = []
    if os.geteuid() == 0 and spaces:
        candidates += [Isolation(ROOT, True, *filters)] if own_user else []
        candidates += [Isolation(ROOT, False, *filters)]
    if own_user and spaces:
        candidates += [Isolation(USER, True, *filters)]
    return [*candidates, Isolation(NONE, False, *filters)]


def _weak_message(isolation: Isolation) -> str:
    tried = "; ".join(isolation.refused) or "namespaces are left out by sandbox.without"
    return (
        f"code rewards need {', '.join(isolation.missing)} isolation, which this machine does not allow ({tried}); "
        "allow user namespaces or run as root, use a kernel with Landlock and seccomp, or set sandbox.allow_weak=true "
        "to run programs that can do what you can; see `acereason sandbox`"
    )


def check_sandbox(config: SandboxConfig) -> None:
    """Refuse settings that cannot work.

    Raises:
        UserError: the setting, its value and what it must be.
    """
    check_settings(config, "sandbox.")
    for name in config.packages:
        if name not in OPTIONAL and importlib.util.find_spec(name) is None:
            raise UserError(f"sandbox.packages: {name} is not installed; install it or leave it out")


def zone_settings(config: SandboxConfig, isolation: Isolation, preload: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the settings of a zone, which its zygote gets.

    Args:
        preload: packages that it imports before it forks, so that programs need not.
    """
    folders = [folder for name in config.packages for folder in package_folders(name)]
    mebibyte = 2**20
    limits = {
        "AS": (config.memory_mib + SLACK_MIB) * mebibyte,
        "FSIZE": config.output_mib * mebibyte,
        "CORE": 1,  # with 0, a machine that pipes core dumps to a program would start that
        **dict.fromkeys(("MEMLOCK", "MSGQUEUE", "RTPRIO", "NICE"), 0),
        "STACK": STACK_BYTES,
    }
    if isolation.mode != NONE:
        limits["NPROC"] = config.processes
    return {
        "mode": isolation.mode,
        "user_namespace": isolation.user_namespace,
        "namespaces": 0 if isolation.mode == NONE else sum(NAMESPACES.values()),
        "landlock": isolation.landlock,
        "seccomp": isolation.seccomp,
        "cgroup": "cgroup" not in config.without,
        "packages": folders,
        "roots": sorted({os.path.dirname(folder) for folder in folders}),
        "preload": list(preload),
        "limits": limits,
        "processes": config.processes,
        "memory_bytes": config.memory_mib * mebibyte,
        "tmp_mib": config.tmp_mib,
        "user": zygote.PROGRAM_ID if isolation.user_namespace else zygote.FIRST_ID + os.getpid(),
    }


def package_folders(name: str) -> list[str]:
    """Return the folders of an installed package and its shared libraries; none where it is not installed."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return []
    if not spec.submodule_search_locations:
        raise UserError(f"sandbox.packages: {name} is a single file; only packages that are a folder can be given")
    folder = Path(spec.origin).resolve().parent
    libraries = folder.with_name(f"{name}.libs")
    return [str(folder), *([str(libraries)] if libraries.is_dir() else [])]
