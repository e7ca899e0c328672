"""One check in a process of its own: `python -m acereason.doctor.apart NAME RUNS` prints its findings as JSON.

Whatever the libraries print on standard output goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

from acereason.doctor.checks import CHECKS
from acereason.doctor.finding import Context


def main(name: str, runs: str) -> None:
    """Run a check and print what it found."""
    findings = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    [check] = [check for check in CHECKS if check.name == name]
    # By name: a library that cannot be imported breaks the checks that need it, and no others.
    module, _, function = check.function.partition(".")
    run = getattr(importlib.import_module(f"acereason.doctor.{module}"), function)
    for found in run(Context(Path(runs))):
        print(json.dumps(found.as_json()), file=findings, flush=True)
    sys.stdout.flush()
    sys.stderr.flush()
    findings.flush()
    os._exit(0)  # native libraries have crashed at exit


if __name__ == "__main__":
    main(*sys.argv[1:])
