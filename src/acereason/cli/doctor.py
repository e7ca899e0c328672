"""`acereason doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from acereason.config.fields import nearest
from acereason.config.setting import setting
from acereason.doctor.checks import NAMES
from acereason.errors import UserError


def _known(names: list[str]) -> str:
    unknown = [name for name in names if name not in NAMES]
    return f"there is no check {unknown[0]}; {nearest(unknown[0], NAMES)}" if unknown else ""


@dataclass
class DoctorSettings:
    """Which checks to run, and where."""

    only: list[str] = setting([], check=lambda settings: _known(settings.only))
    """Checks to run; empty for all."""
    skip: list[str] = setting([], check=lambda settings: _known(settings.skip))
    """Checks to leave out, and with them those that need one of them."""
    quick: bool = False
    """Leave out training steps and the micro-batch."""
    runs: str = setting("runs", not_empty=True)
    """Folder that is to hold runs, as `run.root` in training."""
    minutes: float = setting(10.0, gt=0)
    """How long a check may take."""
    output: str = ""
    """File to write as JSON, for bug reports."""


def doctor(settings: DoctorSettings) -> int:
    """Check this machine, and say how to fix what fails.

    Checks: packages, torch, vllm, gpu, memory, files, disk, ports, sandbox, attention, mask, micro_batch, float32,
    bfloat16, sleep, gpus. The exit code is 1 if one failed.
    """
    from acereason.doctor.diagnosis import diagnose
    from acereason.doctor.report import as_json, closing_lines, result_lines
    from acereason.files import write_whole

    output = Path(settings.output) if settings.output else None
    if output and not output.parent.is_dir():
        raise UserError(f"output={output}: there is no folder {output.parent}")
    results = []
    for result in diagnose(
        Path(settings.runs), only=settings.only, skip=settings.skip, quick=settings.quick, minutes=settings.minutes
    ):
        results.append(result)
        for line in result_lines(result):
            print(line, flush=True)
    print("\n".join(closing_lines(results)))
    if output:
        try:
            write_whole(output, as_json(results))
        except OSError as error:
            raise UserError(f"output={output}: cannot be written ({error.strerror}); choose another folder") from error
    return 1 if any(result.failed for result in results) else 0
