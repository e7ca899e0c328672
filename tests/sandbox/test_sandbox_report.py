"""`acereason sandbox`: each layer and each promise by trying it, and whether code rewards would start."""

import io
import os

import pytest
from rich.console import Console
from zones import belongings

from acereason.config.schema import SandboxConfig
from acereason.sandbox import landlock, seccomp
from acereason.sandbox.isolation import NAMESPACES
from acereason.sandbox.report import SandboxReport

PROMISES = {
    "reading the machine's files",
    "writing outside its folder",
    "the network",
    "other processes",
    "starting processes without end",
    "gaining rights",
    "memory beyond its limit",
    "the environment of this process",
    "nothing outlives a program",
}


def text(report: SandboxReport) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(report.table())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("without", [[], ["user_namespace"], ["namespaces"], ["landlock"], ["seccomp"], ["cgroup"]])
def test_every_promise_holds_where_code_rewards_start(without: list[str]) -> None:
    before = belongings(os.getpid())
    report = SandboxReport(SandboxConfig(without=without))
    if not report.strong:
        pytest.skip(report.conclusion())
    assert set(report.promises) == PROMISES
    # Without seccomp nothing but the user namespace keeps a program from namespaces of its own, which do no harm.
    broken = {name: said for name, said in report.promises.items() if said != "holds"}
    assert set(broken) <= ({"gaining rights"} if without == ["seccomp"] else set()), broken
    assert report.conclusion().startswith("code rewards start, with ")
    assert belongings(os.getpid()) == before


def test_the_table_has_a_row_for_each_layer_and_promise() -> None:
    report = SandboxReport(SandboxConfig())
    layers = {"user namespace", *(f"{name} namespace" for name in NAMESPACES)}
    assert set(report.layers) == {*layers, "Landlock", "seccomp", "cgroup of processes", "unprivileged user"}
    shown = text(report)
    for name, state in {**report.layers, **report.promises}.items():
        [line] = [line for line in shown.splitlines() if line.startswith(f"{name}  ") or line == name]
        assert state in line


def test_what_is_left_out_is_not_what_is_missing() -> None:
    report = SandboxReport(SandboxConfig(without=["namespaces", "cgroup"]))
    for name in NAMESPACES:
        assert report.layers[f"{name} namespace"] == "left out by sandbox.without"
    assert report.layers["cgroup of processes"] == "left out by sandbox.without"
    if landlock.abi():
        assert report.layers["Landlock"] == f"holds (version {landlock.abi()})"
    if seccomp.available():
        assert report.layers["seccomp"] == "holds"
    assert "no namespaces" in report.conclusion() or not report.strong


def test_a_machine_without_isolation_is_told_as_such() -> None:
    without = ["namespaces", "landlock", "seccomp"]
    report = SandboxReport(SandboxConfig(without=without))
    assert not report.strong
    assert report.promises == {}
    assert report.conclusion().startswith("code rewards do not start: code rewards need file-system, network, process")
    weak = SandboxReport(SandboxConfig(without=without, allow_weak=True, processes=16))
    assert not weak.strong
    assert weak.conclusion().startswith("code rewards start only because sandbox.allow_weak=true: no file-system")
    assert weak.promises["reading the machine's files"].startswith("does not hold: ")
    assert weak.promises["the network"].startswith("does not hold: ")
    assert weak.promises["the environment of this process"] == "holds"


def test_settings_that_cannot_work_are_the_conclusion() -> None:
    report = SandboxReport(SandboxConfig(processes=1))
    assert not report.strong
    assert report.conclusion() == "code rewards do not start: sandbox.processes=1: must be a whole number from 8"
