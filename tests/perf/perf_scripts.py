"""The scripts of perf/, found by their last lines, and their smallest runs."""

import re
import subprocess
import sys
from pathlib import Path

from fresh_process import fresh_environment

ROOT = Path(__file__).resolve().parents[2]
PERF = ROOT / "perf"
WITH_A_MODEL = ("perf.training.", "perf.resume.", "perf.ablations")
"""Scripts that start engines or ranks: they run among the whole runs."""
SIDE = "_side"
"""End of the name of a program that a script starts in a process of its own, with words that only the script knows."""
PATIENCE_SECONDS = 1200
"""For a busy machine: a script that trains on two ranks takes a minute on an idle one."""
RULE = re.compile(r"─+|\|( -+:? \|)+")


def programs() -> list[str]:
    """Modules that can be run."""
    runs = [path for path in sorted(PERF.rglob("*.py")) if 'if __name__ == "__main__":' in path.read_text("utf-8")]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__") for path in runs]


def scripts() -> list[str]:
    return [program for program in programs() if not program.endswith(SIDE)]


def sides() -> list[str]:
    return [program for program in programs() if program.endswith(SIDE)]


def smoke(script: str, *words: str) -> str:
    """Run a script at its smallest size; return what it printed."""
    command = [sys.executable, "-m", script, "--smoke", *words]
    env = fresh_environment(PYTHONPATH=str(ROOT / "src"))
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.match(r"Python 3\.\d+\.\d+, .*torch .* cores, load .*\nsmallest run: ", done.stdout)
    return done.stdout


def tables(text: str) -> list[list[str]]:
    """The tables of an output, each as the rows under its rule."""
    found = []
    for part in text.split("\n\n"):
        lines = part.splitlines()
        rules = [number for number, line in enumerate(lines) if RULE.fullmatch(line)]
        found += [lines[number + 1 :] for number in rules if number and lines[number - 1].strip()]
    return found
