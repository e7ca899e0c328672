"""Every setting with bounds, set outside of them, is refused in one line before anything heavy can be imported."""

import json
import math
import subprocess
import sys
from dataclasses import MISSING
from typing import Any

import pytest
from fresh_process import fresh_environment

from acereason.cli import COMMANDS
from acereason.config.checks import check_settings
from acereason.config.fields import Setting, settings
from acereason.config.files import REPOSITORY
from acereason.config.schema import Config, ProblemsConfig

TRAIN = "train.py"
ROOTS: dict[str, type] = {TRAIN: Config} | {name: command.settings for name, command in COMMANDS.items()}
NUMBERS = (int, float, tuple[int, int])
FORKS = """
import json, os, sys, traceback
sys.modules |= dict.fromkeys(("torch", "lightning", "vllm", "transformers", "numpy", "sympy"))  # imports of them fail
import train
from acereason import cli
for line in sys.stdin:
    program, words = json.loads(line)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(write, 1), os.dup2(write, 2)
            sys.argv = [program, *words]
            code = train.main() if program == "train.py" else cli.main()
            sys.stdout.flush()
        except BaseException:
            traceback.print_exc()
            code = 1
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(write)
    with open(read) as said:
        text = said.read()
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text]))
"""


def outside(setting: Setting) -> list[str]:
    """Values just outside of a setting's bounds, as they are typed."""
    rule, bounds = setting.rule, setting.rule.bounds
    if bounds is None:
        return [""] if rule.not_empty else ["[none_such]"] if rule.choices else []
    values: list[Any] = []
    values += [bounds.ge - 1] if bounds.ge is not None else []
    values += [bounds.gt] if bounds.gt not in (None, -math.inf) else []
    values += [bounds.lt] if bounds.lt is not None else []
    values += [bounds.le + 1] if bounds.le not in (None, math.inf) else []
    words = [f"{value:g}" for value in values]
    if setting.hint is float:
        words += [".nan" if bounds.le == math.inf else ".inf"]
    return [f"[{word}, {word}]" for word in words] if setting.hint == tuple[int, int] else words


def declared(program: str) -> dict[str, Setting]:
    """Every setting of a program by its key; those of named groups under a name."""
    named = {f"more_problems.extra.{key}": setting for key, setting in settings(ProblemsConfig).items()}
    return settings(ROOTS[program]) | (named if program == TRAIN else {})


def given(program: str) -> list[str]:
    """Words that a program must be given, for it to look at the others."""
    if program == TRAIN:
        return ["validate_only=true", "run.name=here"]
    return [f"{key}=x" for key, setting in settings(ROOTS[program]).items() if setting.default is MISSING]


CASES = [
    (program, f"{key}={value}")
    for program in ROOTS
    for key, setting in declared(program).items()
    for value in outside(setting)
]


@pytest.fixture(scope="module")
def refusals() -> dict[tuple[str, str], tuple[int, str]]:
    """Exit code and output by program and word, each in a process of its own that cannot import torch."""
    calls = [
        (TRAIN, [word, *given(program)]) if program == TRAIN else ("acereason", [program, word, *given(program)])
        for program, word in CASES
    ]
    lines = "".join(f"{json.dumps(call)}\n" for call in calls)
    command = [sys.executable, "-c", FORKS]
    environment = fresh_environment(PYTHONPATH=f"{REPOSITORY / 'src'}:{REPOSITORY}")
    ran = subprocess.run(command, cwd=REPOSITORY, env=environment, input=lines, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return {case: tuple(json.loads(line)) for case, line in zip(CASES, ran.stdout.splitlines(), strict=True)}


@pytest.mark.parametrize(("program", "word"), CASES)
def test_a_value_outside_of_its_bounds_is_refused_before_torch_is_imported(
    program: str, word: str, refusals: dict[tuple[str, str], tuple[int, str]]
) -> None:
    code, said = refusals[program, word]
    assert code == 2, said
    assert said.count("\n") == 1, said
    assert said.startswith(f"error: {word.partition('=')[0]}="), said


def test_the_cases_are_of_every_group_and_every_command_with_bounds() -> None:
    words = [word for _, word in CASES]
    assert "rewards.memory_mib=511" in words
    assert "more_problems.extra.count=0" in words
    assert "curriculum.top_p=.inf" in words
    groups = {word.partition(".")[0] for program, word in CASES if program == TRAIN and "." in word.partition("=")[0]}
    assert groups == set(Config.__dataclass_fields__) - {
        *("recipe", "seed", "ckpt", "ckpt_changes", "validate_only", "callbacks", "run")
    }
    assert {program for program, _ in CASES} == {TRAIN, "export", "verify", "sandbox", "doctor"}


@pytest.mark.parametrize("program", ROOTS)
def test_every_number_says_what_its_bounds_are(program: str) -> None:
    for key, setting in declared(program).items():
        assert (setting.hint in NUMBERS) == (setting.rule.bounds is not None), f"{key}: say gt=-math.inf if it has none"


@pytest.mark.parametrize("program", ROOTS)
def test_the_defaults_keep_the_rules(program: str) -> None:
    root = ROOTS[program]
    check_settings(root(**{key: "x" for key, setting in settings(root).items() if setting.default is MISSING}))
