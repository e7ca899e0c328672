"""What a check found: what it expected, what it saw, and how to fix it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that a check looked at.

    Attributes:
        subject: what was looked at.
        expected, seen: in words.
        fix: how to fix it; empty if all is well.
        details: the end of what a failed process printed.
    """

    subject: str
    expected: str
    seen: str
    fix: str = ""
    details: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the finding for a JSON file."""
        return asdict(self)


@dataclass(frozen=True)
class Context:
    """What checks are told: the folder that is to hold runs."""

    runs: Path


def finding(subject: str, expected: str, seen: object, holds: bool, fix: str) -> Finding:
    """Return a finding whose fix is named only if it does not hold."""
    return Finding(subject, expected, str(seen), "" if holds else fix)
