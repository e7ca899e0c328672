"""`acereason sandbox`."""

from __future__ import annotations

from dataclasses import dataclass

from acereason.config.schema import SandboxConfig
from acereason.config.setting import group


@dataclass
class SandboxSettings:
    """Settings of `acereason sandbox`."""

    sandbox: SandboxConfig = group(SandboxConfig)


def report_sandbox(settings: SandboxSettings) -> int:
    """Show what isolates programs on this machine, by trying it.

    The exit code is 1 if code rewards would not start.
    """
    from rich.console import Console

    from acereason.sandbox.report import SandboxReport

    found = SandboxReport(settings.sandbox)
    Console().print(found.table())
    print(found.conclusion())
    return 0 if found.strong else 1
