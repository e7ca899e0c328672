"""The pages on curricula: their code runs as printed, and their tables match the code."""

import importlib
import inspect
import json
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from fresh_process import fresh_environment

from acereason.config.compose import compose
from acereason.curricula.plateau import Plateau
from acereason.curricula.stages import Stage, StageEnd
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import CHANGEABLE, Curriculum
from acereason.rollout.data import RolloutDataModule
from acereason.rollout.metrics import STEP_METRICS

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("tutorials/write_a_curriculum.md", "reference/curriculum.md", "reference/callbacks.md")
PAGE = "\n".join((ROOT / "docs" / page).read_text(encoding="utf-8") for page in PAGES)
FILES = dict(re.findall(r"^```\w+\n# (\S+/\S+\.(?:py|yaml))\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
COMMANDS = re.findall(r"^(?:# )?python (train\.py|-m pytest) (.*)$", PAGE, re.MULTILINE)
TINY = [
    f"model.path={ROOT}/models/laptop",
    *("engine.name=transformers", "problems.count=64", "problems.held_out=2", "evaluation.samples_per_problem=1"),
    *("curriculum.prompts_per_step=4", "curriculum.rollouts_per_prompt=4", "curriculum.max_response_tokens=8"),
    *("evaluation.every_n_steps=0", "trainer.max_steps=3", "checkpoint.export=false", "rewards.workers=1"),
    *("log.progress_bar=false", "run.name=page", "callbacks.easy.init_args.reward=0.0"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the page, at the paths that it names."""
    folder = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
    return folder


def run(project: Path, program: str, words: str, *more: str) -> str:
    """Run a command; return what it printed."""
    command = [sys.executable, *({"train.py": [str(ROOT / "train.py")]}.get(program) or program.split())]
    env = fresh_environment(PYTHONPATH=str(ROOT / "src"), OMP_NUM_THREADS="1")
    command += [*shlex.split(words), *more]
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_the_page_has_a_callback_of_thirty_lines_its_settings_and_its_test() -> None:
    callback, settings, test = FILES
    assert (callback, settings) == ("callbacks/easy_first.py", "conf/callback/easy_first.yaml")
    assert test == "tests/callbacks/test_easy_first.py"
    assert len(FILES[callback].splitlines()) <= 30
    assert [program for program, _ in COMMANDS] == ["train.py", "train.py", "-m pytest"]


def test_its_callback_trains_from_the_command_line_and_leaves_the_record_it_shows(project: Path) -> None:
    run(project, *COMMANDS[0], *TINY)
    written = (project / "runs" / "page" / "curriculum.jsonl").read_text().splitlines()
    assert len(written) == 4
    shown = re.findall(r"^    (\{\"step\".*\})$", PAGE, re.MULTILINE)
    assert [list(json.loads(line)) for line in shown] == [list(json.loads(written[0]))] * len(shown)
    assert re.sub(r"\d+ problems", "", written[0]) == re.sub(r"\d+ problems", "", shown[0])


def test_its_file_of_settings_is_the_same_callback(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    first, second = (compose([*shlex.split(words), "run.name=page"]) for _, words in COMMANDS[:2])
    assert first.callbacks == second.callbacks and first == second


def test_its_test_passes(project: Path) -> None:
    assert "2 passed" in run(project, *COMMANDS[2], "-p", "no:cacheprovider")


def section(title: str) -> str:
    """Return the text under a heading, up to the next one."""
    found = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def rows(title: str) -> list[list[str]]:
    """Return the cells of the tables in a section, without headings and rules."""
    lines = [line for line in section(title).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]


def names(title: str) -> list[str]:
    """Return the names in the first column."""
    return [name for cells in rows(title) for name in re.findall(r"`(\w+)", cells[0])]


def test_the_table_of_what_may_change_is_that_of_the_curriculum() -> None:
    assert sorted(names("What it may change")) == sorted(CHANGEABLE)
    rest = {entry.name for entry in fields(Curriculum)} - set(CHANGEABLE) - {"longest_response"}
    assert all(f"`{name}`" in section("What it may change") for name in rest)


def test_the_tables_of_what_may_be_read_have_every_metric_and_every_field() -> None:
    text = section("What it may read")
    mentioned = set(re.findall(r"`((?:\w+)/[\w@]+)`", text))
    assert set(STEP_METRICS) <= mentioned
    optional = {"policy/clip_fraction", "policy/kl", "policy/loss_scale", "throughput/mfu"}
    optional |= {f"rollout/{name}" for name in ("ratio_capped", "ratio_masked")}
    optional |= {f"rollout/sequence_ratio_{end}" for end in ("min", "max")}
    assert {name for name in mentioned - set(STEP_METRICS) if not name.startswith("eval/")} == optional
    batch = {*(entry.name for entry in fields(RolloutBatch)), "rollouts"}
    assert set(names("What it may read")) == batch
    data = RolloutDataModule(compose(["recipe=laptop_math", "run.name=page"], project=ROOT), Any, {}, [])  # type: ignore[arg-type]
    of_data = text[text.index("`trainer.datamodule`") :]
    named = re.findall(r"`(problems|problem_ids|prompts|sources|lengths|engines|sync_engine)[`(]", of_data)
    # Engines are those of the session, which `setup` opens.
    assert len(set(named)) == 7 and all(hasattr(RolloutDataModule, name) or hasattr(data, name) for name in named)


SHIPPED = {
    "Stages": "stage_switch.StageSwitch",
    "Longer responses": "length_extension.LengthExtension",
    "Hard prompts": "hard_prompt_refilter.HardPromptRefilter",
    "Entropy": "entropy_monitor.EntropyMonitor",
    "Sampling": "sampling_schedule.SamplingSchedule",
    "Stopping early": "stop_when_solved.StopWhenSolved",
}
SAID = {None: "null", (): "[]", True: "true", inspect.Parameter.empty: "required", "": "none"}


def constructor(path: str) -> dict[str, Any]:
    """Return the arguments of a callback by name, with their defaults."""
    module, _, name = path.rpartition(".")
    parameters = inspect.signature(getattr(importlib.import_module(f"callbacks.{module}"), name)).parameters
    return {parameter.name: parameter.default for parameter in parameters.values()}


def test_every_callback_that_ships_has_its_section() -> None:
    files = {path.stem for path in (ROOT / "callbacks").glob("*.py")} - {"__init__"}
    assert files == {path.partition(".")[0] for path in SHIPPED.values()}
    assert all(f"`callbacks/{path.partition('.')[0]}.py`" in section(title) for title, path in SHIPPED.items())


@pytest.mark.parametrize("title", SHIPPED)
def test_every_argument_of_a_callback_is_in_its_table_with_its_default(title: str) -> None:
    arguments = [cells for cells in rows(title) if len(cells) == 3]
    documented = {cells[0].strip("`"): cells[1] for cells in arguments}
    given = constructor(SHIPPED[title])
    assert documented == {name: str(SAID.get(value, value)) for name, value in given.items()}


def test_what_a_stage_may_have_is_in_its_table() -> None:
    of_stage = [name for cells in rows("Stages") if len(cells) == 2 for name in re.findall(r"`(\w+)`", cells[0])]
    assert sorted(of_stage) == sorted(entry.name for entry in fields(Stage))
    settable = [*fields(StageEnd), *(entry for entry in fields(Plateau) if entry.init)]
    assert all(entry.name in section("Stages") for entry in settable)


def test_every_file_of_settings_is_named_and_is_that_callback_with_known_arguments() -> None:
    for path in (ROOT / "conf" / "callback").glob("*.yaml"):
        assert f"`include=callback/{path.stem}`" in PAGE
        config = compose(["recipe=laptop_math", f"include=callback/{path.stem}", "run.name=page"], project=ROOT)
        [entry] = config.callbacks.values()
        known = next(path for path in SHIPPED.values() if entry.class_path == f"callbacks.{path}")
        assert entry.init_args.keys() <= constructor(known).keys()
