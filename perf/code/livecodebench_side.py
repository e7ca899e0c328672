"""Serve LiveCodeBench's harness to `speed.py`, in an environment of its own, which needs numpy and tqdm.

    python -m perf.code.livecodebench_side FOLDER

FOLDER is a checkout of LiveCodeBench. Reads a request a line from standard input, `{"sample", "programs", "processes"}`
and answers `{"passed": [...]}`, first of all `{"with": versions}`. Without processes the one program is judged by
`check_correctness`; with them all programs by `evaluate_generations`, that many at a time. Needs nothing of ours.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import version
from typing import Any

TIMEOUT_SECONDS = 6


def answer(request: dict[str, Any]) -> list[bool]:
    """Return whether each program passes all tests, as the harness judges it."""
    from lcb_runner.evaluation import compute_code_generation_metrics as harness

    sample, programs = {"input_output": json.dumps(request["sample"])}, request["programs"]
    if not request["processes"]:
        results = [harness.check_correctness(sample, program, TIMEOUT_SECONDS, debug=False)[0] for program in programs]
    else:
        found, _ = harness.evaluate_generations(
            [sample] * len(programs),
            [[program] for program in programs],
            num_process_evaluate=request["processes"],
            timeout=TIMEOUT_SECONDS,
        )
        results = [found[number][0] for number in range(len(programs))]
    return [all(result is True for result in each) for each in results]


def main() -> None:
    """Serve until standard input ends; what the harness prints goes to standard error."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.path.insert(0, sys.argv[1])
    answer({"sample": {"inputs": ["1\n"], "outputs": ["1\n"]}, "programs": ["print(input())"], "processes": 0})
    versions = f"Python {platform.python_version()}, numpy {version('numpy')}"
    print(json.dumps({"with": versions}), file=replies)
    for line in sys.stdin:
        print(json.dumps({"passed": answer(json.loads(line))}), file=replies)


if __name__ == "__main__":
    main()
