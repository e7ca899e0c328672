"""`acereason verify`."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from acereason.config.schema import DomainName, SandboxConfig, Thinking, VerifiersConfig
from acereason.config.setting import group
from acereason.errors import UserError
from acereason.problems.problem import Domain

INTERRUPTED = 130


@dataclass
class VerifySettings:
    """What to judge, and with what."""

    input: str
    """File of JSON lines to judge."""
    output: str
    """File to write: the same lines in the same order, with their verdicts."""
    domain: DomainName = DomainName.math
    """`math` judges answers, `code` programs."""
    rewards: VerifiersConfig = group(VerifiersConfig, thinking=Thinking.required)
    sandbox: SandboxConfig = group(SandboxConfig, failing_first=False)


def verify(settings: VerifySettings) -> int:
    """Judge the answers or programs of a file.

    Answers: JSON lines with `gold` and either `pred` or `response`.
    Programs (domain=code): JSON lines with `tests` and either `code` or `response`.

    The exit code is 1 if the file has broken lines.
    """
    from acereason.evaluation.verify.verify_file import check_files

    source, output = Path(settings.input), Path(settings.output)
    check_files(source, output)
    try:
        return _verify(source, output, settings)
    except KeyboardInterrupt:
        print(f"interrupted: {output} was not written", file=sys.stderr)
        return INTERRUPTED


def _verify(source: Path, output: Path, settings: VerifySettings) -> int:
    from rich.console import Console

    from acereason.evaluation.verify.verify_file import verify_file
    from acereason.verifiers.pool.pool import VerifierPool

    domain: Domain = settings.domain.value
    limits = settings.rewards
    pool = VerifierPool(
        limits.workers,
        limits.timeout_seconds,
        limits.memory_mib,
        (domain,),
        settings.sandbox,
        thinking_required=limits.thinking is not Thinking.optional,
    )
    with pool:
        try:
            pool.wait_ready()
        except RuntimeError as error:
            raise UserError(str(error)) from error
        started = time.perf_counter()
        summary = verify_file(source, output, pool, domain)
        Console().print(summary.table(pool.shared, time.perf_counter() - started))
    return 1 if summary.broken else 0
