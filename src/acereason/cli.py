"""The `acereason` command: what is done besides training."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from acereason.config.schema import DType, RewardsConfig, SandboxConfig
from acereason.errors import UserError

USAGE = """usage: acereason COMMAND key=value ...

  acereason export run=runs/NAME [ckpt=last|best|FOLDER] [output=FOLDER] [dtype=float32|bfloat16]
                                     a checkpoint's policy in Hugging Face format
  acereason report run=runs/NAME     draws the run's curves again
  acereason verify input=FILE output=FILE [domain=math] [workers=2] [timeout_seconds=5] [memory_mib=2048]
                                     judges answers: JSON lines with gold and either pred or response
  acereason verify input=FILE output=FILE domain=code [workers=2] [sandbox.KEY=VALUE ...]
                                     judges programs: JSON lines with tests and either code or response
  acereason sandbox [sandbox.KEY=VALUE ...]
                                     shows what isolates programs on this machine, by trying it

Training is `python train.py`; `python train.py --help` lists its settings.
"""
INTERRUPTED = 130
_Value = TypeVar("_Value", int, float)


def _arguments(words: list[str], allowed: dict[str, str], optional: str = "") -> dict[str, str]:
    """`key=value` words over the defaults in `allowed`; a default of "" is to be given, but for the `optional` key."""
    values = dict(allowed)
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in allowed:
            raise UserError(f"{word}: expected one of {', '.join(f'{name}=…' for name in allowed)}")
        values[key] = value
    missing = [key for key, value in values.items() if not value and key != optional]
    if missing:
        raise UserError(f"{missing[0]}=… is missing; see acereason --help")
    return values


def _run_folder(value: str) -> Path:
    folder = Path(value)
    if not (folder / "config.yaml").exists():
        raise UserError(f"run={value} is not the folder of a run (it has no config.yaml)")
    return folder


def export(words: list[str]) -> None:
    """`acereason export`: writes the policy of a checkpoint in Hugging Face format."""
    values = _arguments(words, {"run": "", "ckpt": "last", "output": "", "dtype": DType.float32.value}, "output")
    if values["dtype"] not in list(DType):
        raise UserError(f"dtype={values['dtype']}: expected one of {', '.join(DType)}")
    folder = _run_folder(values["run"])
    import torch

    from acereason.config.compose import load_saved
    from acereason.training.checkpoint_files import find_checkpoint
    from acereason.training.export import export_checkpoint

    checkpoint = find_checkpoint(values["ckpt"], folder / "checkpoints")
    if checkpoint is None:
        raise UserError(f"ckpt={values['ckpt']}: there is no complete checkpoint in {folder / 'checkpoints'}")
    output = Path(values["output"] or folder / f"export-{checkpoint.name}")
    base = load_saved(folder / "config.yaml").model.path
    export_checkpoint(checkpoint, base, output, getattr(torch, values["dtype"]))
    print(f"{checkpoint} → {output}")


def report(words: list[str]) -> None:
    """`acereason report`: draws a run's curves from its event files."""
    folder = _run_folder(_arguments(words, {"run": ""})["run"])
    from acereason.training.curves import write_curves

    print(write_curves(folder))


def verify(words: list[str]) -> int:
    """`acereason verify`: judges the answers or programs of a file; 1 when it has broken lines."""
    limits = {name: f"{value:g}" for name, value in vars(RewardsConfig()).items() if name != "shuffle"}
    sandbox, words = _sandbox_words(["sandbox.failing_first=false", *words])
    values = _arguments(words, {"domain": "math", "input": "", "output": ""} | limits)
    from acereason.evaluation.verify.verify_file import check_files
    from acereason.verifiers.domains import check_domain

    check_domain(values["domain"])
    source, output = Path(values["input"]), Path(values["output"])
    check_files(source, output)
    try:
        return _verify(source, output, values, sandbox)
    except KeyboardInterrupt:
        print(f"interrupted: {output} was not written", file=sys.stderr)
        return INTERRUPTED


def _verify(source: Path, output: Path, values: dict[str, str], sandbox: SandboxConfig) -> int:
    from rich.console import Console

    from acereason.evaluation.verify.verify_file import verify_file
    from acereason.problems.problem import Domain
    from acereason.verifiers.pool.pool import VerifierPool

    domain = cast(Domain, values["domain"])
    workers, memory_mib = (_number(values, name, int) for name in ("workers", "memory_mib"))
    try:
        pool = VerifierPool(workers, _number(values, "timeout_seconds", float), memory_mib, (domain,), sandbox)
    except UserError as error:  # the pool's settings have a group, the command's words have none
        raise UserError(str(error).removeprefix("rewards.")) from error
    with pool:
        try:
            pool.wait_ready()
        except RuntimeError as error:
            raise UserError(str(error)) from error
        started = time.perf_counter()
        summary = verify_file(source, output, pool, domain)
        Console().print(summary.table(pool.shared, time.perf_counter() - started))
    return 1 if summary.broken else 0


def sandbox(words: list[str]) -> int:
    """`acereason sandbox`: the layers of isolation that hold here; 1 when code rewards would not start."""
    config, rest = _sandbox_words(words)
    _arguments(rest, {})
    from rich.console import Console

    from acereason.sandbox.report import SandboxReport

    report = SandboxReport(config)
    Console().print(report.table())
    print(report.conclusion())
    return 0 if report.strong else 1


def _sandbox_words(words: list[str]) -> tuple[SandboxConfig, list[str]]:
    """The sandbox's settings of `sandbox.KEY=VALUE` words, and the other words."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    ours = [word for word in words if word.startswith("sandbox.")]
    try:
        given = OmegaConf.from_dotlist(ours).get("sandbox", {})
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SandboxConfig), given))
    except OmegaConfBaseException as error:
        raise UserError(f"{' '.join(ours)}: {str(error).splitlines()[0]}") from error
    return cast(SandboxConfig, config), [word for word in words if word not in ours]


def _number(values: dict[str, str], name: str, kind: Callable[[str], _Value]) -> _Value:
    try:
        return kind(values[name])
    except ValueError as error:
        raise UserError(f"{name}={values[name]}: expected a number") from error


def main() -> int:
    """Entry point; 2 when the user has something to mend."""
    words = sys.argv[1:]
    commands: dict[str, Callable[[list[str]], int | None]] = {
        **{"export": export, "report": report},
        **{"verify": verify, "sandbox": sandbox},
    }
    if not words or words[0] in {"-h", "--help"}:
        print(USAGE, end="")
        return 0
    try:
        if words[0] not in commands:
            raise UserError(f"there is no command {words[0]}; there are {', '.join(commands)}")
        return commands[words[0]](words[1:]) or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
