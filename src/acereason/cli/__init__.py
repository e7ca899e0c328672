"""The `acereason` command: what is done besides training.

A command is a dataclass of settings and a function that takes them, in a file here, and an entry in `COMMANDS`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass
from typing import Any

from acereason.cli import doctor, export, report, sandbox, verify
from acereason.config.checks import check_settings
from acereason.config.compose import compose
from acereason.config.fields import settings
from acereason.config.help import settings_help
from acereason.errors import UserError


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        settings: the dataclass that declares its settings; a field without a default must be given.
        run: does the work and returns the exit code, None for 0. Its docstring is the command's help.
    """

    settings: type
    run: Callable[[Any], int | None]


COMMANDS = {
    "export": Command(export.ExportSettings, export.export),
    "report": Command(report.ReportSettings, report.report),
    "verify": Command(verify.VerifySettings, verify.verify),
    "sandbox": Command(sandbox.SandboxSettings, sandbox.report_sandbox),
    "doctor": Command(doctor.DoctorSettings, doctor.doctor),
}
_HELP = {"-h", "--help"}


def main() -> int:
    """Run the command that the command line names; return its exit code, 2 if the user has something to fix."""
    words = sys.argv[1:]
    if not words or words[0] in _HELP:
        print(usage(), end="")
        return 0
    try:
        return run_command(words[0], words[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run_command(name: str, words: Sequence[str]) -> int:
    """Run one command, or print its help if the words ask for it; return the exit code.

    Raises:
        UserError: there is no such command, a setting is wrong, or the command cannot do what it is asked.
    """
    if name not in COMMANDS:
        raise UserError(f"there is no command {name}; there are {', '.join(COMMANDS)}")
    command = COMMANDS[name]
    if _HELP & set(words):
        print(command_help(name))
        return 0
    given: Any = compose(words, command.settings)
    check_settings(given)
    return command.run(given) or 0


def usage() -> str:
    """Return what `acereason --help` prints: every command in one line."""
    calls = {_call(name): _paragraphs(command)[0] for name, command in COMMANDS.items()}
    width = max(map(len, calls))
    lines = "\n".join(f"  {call:{width}}  {about}" for call, about in calls.items())
    return f"""usage: acereason COMMAND key=value ...

{lines}

`acereason COMMAND --help` lists the settings of a command with their defaults and bounds.
Training is `python train.py`; `python train.py --help` lists its settings.
"""


def command_help(name: str) -> str:
    """Return what `acereason COMMAND --help` prints: how to call it, what it does, and its settings."""
    command = COMMANDS[name]
    about = "\n\n".join(_paragraphs(command))
    return f"usage: {_call(name)} [key=value ...]\n\n{about}\n\n{settings_help(command.settings)}"


def _call(name: str) -> str:
    """Return a command with the settings that must be given."""
    declared = settings(COMMANDS[name].settings).values()
    return " ".join(["acereason", name, *(f"{each.key}=…" for each in declared if each.default is MISSING)])


def _paragraphs(command: Command) -> list[str]:
    return (inspect.getdoc(command.run) or "").split("\n\n")
