"""Results as lines of at most 100 columns, and as JSON for bug reports."""

from __future__ import annotations

import json
import platform
import textwrap
from collections.abc import Iterator, Sequence
from importlib.metadata import distributions
from typing import Any

from acereason.doctor.checks import CHECKS
from acereason.doctor.diagnosis import Result
from acereason.doctor.gpu import gpu_count

WIDTH = 100
INDENT = " " * 9


def result_lines(result: Result) -> list[str]:
    """Return the lines of one check."""
    if result.left_out:
        return [] if result.left_out == "not asked for" else [f"left out {result.check}: {result.left_out}"]
    lines = []
    for found in result.findings:
        own = found.subject == result.check
        name = result.check if own else f"{result.check}: {found.subject}"
        lines += _wrapped(f"{'FAILED' if found.fix else 'OK':8} {name}: {found.seen}")
        lines += _wrapped(f"{INDENT}expected {found.expected}")
        lines += _wrapped(f"{INDENT}fix: {found.fix}") if found.fix else []
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=INDENT + "  ", drop_whitespace=True)


def closing_lines(results: Sequence[Result]) -> Iterator[str]:
    """Yield what was left out since there is no GPU, and how many checks failed."""
    asked = {result.check for result in results if result.left_out != "not asked for"}
    parts = [f"{check.name} ({check.on_gpu})" for check in CHECKS if check.on_gpu and check.name in asked]
    if parts and not gpu_count():
        yield from _wrapped(f"Left out since there is no GPU: {'; '.join(parts)}.")
    failed = [result.check for result in results if result.failed]
    run = sum(not result.left_out for result in results)
    yield f"{len(failed)} of {run} checks failed: {', '.join(failed)}" if failed else f"all {run} checks passed"


def as_json(results: Sequence[Result]) -> str:
    """Return results and versions as JSON."""
    tree: dict[str, Any] = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": {each.name: each.version for each in sorted(distributions(), key=lambda d: d.name.lower())},
        "checks": [
            {"name": r.check, "left_out": r.left_out, "findings": [found.as_json() for found in r.findings]}
            for r in results
        ],
    }
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
