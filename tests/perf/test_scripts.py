"""Every script of perf/ runs at its smallest size and prints its table; those with a model do among the whole runs."""

import re

import pytest
from perf_scripts import PERF, WITH_A_MODEL, scripts, sides, smoke, tables


@pytest.mark.parametrize("script", [script for script in scripts() if not script.startswith(WITH_A_MODEL)])
def test_at_its_smallest_size_a_script_prints_its_tables(script: str) -> None:
    found = tables(smoke(script))
    assert found
    assert all(found)


def test_scripts_are_found_and_programs_that_they_start_are_not() -> None:
    assert {"perf.math.speed", "perf.resume.kills", "perf.training.step_time", "perf.ablations"} <= set(scripts())
    assert "perf.training.trl_side" in sides()


@pytest.mark.parametrize("side", sides())
def test_what_is_not_run_by_itself_is_started_by_a_script(side: str) -> None:
    sources = [path.read_text("utf-8") for path in PERF.rglob("*.py") if path.stem != side.rpartition(".")[2]]
    assert any(f'"{side}"' in source for source in sources)


def test_tables_are_found_by_the_rule_under_their_heads() -> None:
    assert tables("a\n   x  y\n──────\nr  1  2\nrest\n\nb\n\n| | x |\n| --- | ---: |\n| r | 1 |\n") == [
        ["r  1  2", "rest"],
        ["| r | 1 |"],
    ]
    assert tables("title\n   x\n────\n") == [[]]


def test_the_page_says_how_each_script_is_run() -> None:
    page = (PERF / "README.md").read_text("utf-8")
    commands = set(re.findall(r"`python -m (perf[\w.]+)[^`]*`", page))
    assert commands == set(scripts())


@pytest.mark.parametrize("script", scripts())
def test_a_script_says_itself_how_it_is_run(script: str) -> None:
    path = PERF.parent.joinpath(*script.split("."))
    source = (path / "run.py" if path.is_dir() else path.with_suffix(".py")).read_text("utf-8")
    assert f"\n    python -m {script} " in source
