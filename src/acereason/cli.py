"""The `acereason` command: what is done with a run besides training it."""

from __future__ import annotations

import sys
from pathlib import Path

from acereason.config import DType
from acereason.errors import UserError

USAGE = """usage: acereason COMMAND key=value ...

  acereason export run=runs/NAME [ckpt=last|best|FOLDER] [output=FOLDER] [dtype=float32|bfloat16]
                                     a checkpoint's policy in Hugging Face format
  acereason report run=runs/NAME     draws the run's curves again

Training is `python train.py`; `python train.py --help` lists its settings.
"""


def _arguments(words: list[str], allowed: dict[str, str]) -> dict[str, str]:
    """`key=value` words over the defaults in `allowed`; a default of "" is to be given."""
    values = dict(allowed)
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in allowed:
            raise UserError(f"{word}: expected one of {', '.join(f'{name}=…' for name in allowed)}")
        values[key] = value
    missing = [key for key, value in values.items() if not value and key != "output"]
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
    values = _arguments(words, {"run": "", "ckpt": "last", "output": "", "dtype": DType.float32.value})
    if values["dtype"] not in list(DType):
        raise UserError(f"dtype={values['dtype']}: expected one of {', '.join(DType)}")
    folder = _run_folder(values["run"])
    import torch

    from acereason.compose import load_saved
    from acereason.run.checkpoint_files import find_checkpoint
    from acereason.run.export import export_checkpoint

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
    from acereason.run.report import write_curves

    print(write_curves(folder))


def main() -> int:
    """Entry point; 2 when the user has something to mend."""
    words = sys.argv[1:]
    commands = {"export": export, "report": report}
    if not words or words[0] in {"-h", "--help"}:
        print(USAGE, end="")
        return 0
    try:
        if words[0] not in commands:
            raise UserError(f"there is no command {words[0]}; there are {', '.join(commands)}")
        commands[words[0]](words[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
