"""The sandbox: its layers, and a trial program in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from acereason.config.schema import SandboxConfig
from acereason.doctor.finding import Context, Finding, finding

FIX = "see `acereason sandbox` and docs/how-to/isolate_programs.md; only code rewards need it (skip=[sandbox])"


def isolation(context: Context) -> Iterator[Finding]:
    """Try the layers and promises of the sandbox, then a program that adds two numbers."""
    from acereason.sandbox.report import SandboxReport
    from acereason.sandbox.zones import Zones

    config = SandboxConfig()
    report = SandboxReport(config)
    failing = [name for name, state in report.promises.items() if state != "holds"]
    conclusion = report.conclusion()
    yield finding("layers", "code rewards start, and all promises hold", conclusion, report.strong and not failing, FIX)
    if report.isolation is None:
        return
    with contextlib.closing(Zones(config, report.isolation)) as zones:
        said = zones.output_of("print(3 + 4)").strip()
    yield finding("trial program", "prints 7", f"prints {said or 'nothing'}", said == "7", FIX)
