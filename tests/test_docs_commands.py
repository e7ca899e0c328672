"""Every command in the documentation is one that our programs take: settings compose, scripts and targets exist."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import FENCE, PAGES, ROOT, code_spans, name_of

from acereason.cli import main
from acereason.cli.doctor import DoctorSettings
from acereason.config.checks import check_settings
from acereason.config.compose import compose
from acereason.config.schema.warm_start import WarmStartConfig
from acereason.errors import UserError

PROGRAMS = r"(?:[\w.-]+/)*(?:python\d?|torchrun|acereason|make|sbatch|train_torchrun\.sh)"
"""Programs of ours, with a path or without, as a command begins with them."""
PLACEHOLDER = re.compile(r"…|=NAME\b|=N\b|\bARGUMENT\b|=FILE\b")


def commands(path: Path) -> Iterator[str]:
    """Commands of a page: lines of its blocks, fenced or indented, and code spans; comments left out."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    fenced = [
        line for match in FENCE.finditer(text) if match[3] in ("", "bash", "sh") for line in match[4].splitlines()
    ]
    indented = re.findall(r"^    (?! )(.*)$", text, re.MULTILINE)
    for line in [*fenced, *indented, *code_spans(path)]:
        line = line.strip().removeprefix("$ ")
        if re.match(rf"{PROGRAMS} \S", line) and not PLACEHOLDER.search(line):
            yield line.partition("  #")[0].strip()


ALL = [(path, command) for path in PAGES for command in dict.fromkeys(commands(path))]


def of(pattern: str) -> list[tuple[Path, str]]:
    return [(path, command) for path, command in ALL if re.search(pattern, command)]


TRAINING = of(r"(?:^|/| )(?:train\.py|train\.sbatch|train_torchrun\.sh)\b")
WARM_STARTS = of(r"scripts/warm_start\.py .*=")
OURS = of(r"^(?:\S*/)?acereason .*=")
SANDBOX = of(r"^(?:\S*/)?acereason sandbox\b")
DOCTOR = of(r"^(?:\S*/)?acereason doctor\b")
SCRIPTS = [
    pair for pair in of(r"python\d? (?:-m )?(?!train\.py)\S") if "perf." not in pair[1] or (ROOT / "perf").is_dir()
]
TARGETS = of(r"^make ")


def shown(pairs: list[tuple[Path, str]]) -> list[object]:
    """The commands, each once, with the first page that has it."""
    pages = {command: name_of(path) for path, command in reversed(pairs)}
    return [pytest.param(command, id=f"{path}: {command[:60]}") for command, path in pages.items()]


def composed_name(command: str) -> str:
    """The run that the settings of a training command compose, named by us; paths of a checkpoint need not exist."""
    words = [word for word in shlex.split(command) if "=" in word and not word.startswith(("ckpt=", "run.name="))]
    return compose([*words, "run.name=docs"]).run.name


@pytest.mark.parametrize("command", shown([*TRAINING, *SANDBOX]))
def test_training_commands_compose(command: str) -> None:
    assert composed_name(command) == "docs"


@pytest.mark.parametrize("command", shown(WARM_STARTS))
def test_warm_starts_compose(command: str) -> None:
    assert compose([word for word in shlex.split(command) if "=" in word], WarmStartConfig).warm_start.output


def test_a_training_command_with_a_wrong_key_is_found() -> None:
    with pytest.raises(UserError, match=r"problems\.answers"):
        composed_name("sbatch scripts/train.sbatch problems.answers=solution")


def refusal(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What `acereason` says to a command in an empty folder; "" where it does what it is asked."""
    monkeypatch.setattr(sys, "argv", ["acereason", *shlex.split(command)[1:]])
    code = main()
    said = capsys.readouterr().err
    return said if code == 2 else ""


@pytest.mark.parametrize("command", shown([pair for pair in OURS if pair not in [*SANDBOX, *DOCTOR]]))
def test_commands_of_acereason_are_refused_for_missing_files_alone(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    said = refusal(command, monkeypatch, capsys)
    assert said == "" or re.match(r"error: (?:run|input)=\S+?:? (?:is not the folder of a run|no such file)", said), (
        said
    )


@pytest.mark.parametrize("command", shown(DOCTOR))
def test_settings_of_the_doctor_are_right(command: str) -> None:
    check_settings(compose(shlex.split(command)[2:], DoctorSettings))  # running them takes minutes


def test_a_command_with_a_wrong_word_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "domains" in refusal("acereason verify domains=math input=a output=b", monkeypatch, capsys)
    assert "verifi" in refusal("acereason verifi input=a output=b", monkeypatch, capsys)


@pytest.mark.parametrize("command", shown(SCRIPTS))
def test_scripts_that_are_run_exist(command: str) -> None:
    module, name = re.findall(r"python\d? (?:(-m) )?(\S+)", command)[0]
    file = ROOT / (name.replace(".", "/") if module else name)
    found = file.is_file() or (module and (file.with_suffix(".py").is_file() or (file / "__main__.py").is_file()))
    assert found or name in ("pytest", "look.py"), command


@pytest.mark.parametrize("command", shown(TARGETS))
def test_targets_of_make_exist(command: str) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = [word for word in shlex.split(command)[1:] if "=" not in word]
    assert set(named) <= set(targets)


def test_the_commands_of_the_pages_are_found() -> None:
    assert len(TRAINING) >= 30 and len(OURS) >= 10 and len(SCRIPTS) >= 2 and len(TARGETS) >= 10
    assert {name_of(path) for path, _ in TRAINING} >= {"README.md", "docs/how-to/run_the_paper_recipes.md"}
