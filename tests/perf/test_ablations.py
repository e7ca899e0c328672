"""The ablations compose, and their figures and tables say what the runs logged."""

import re
from pathlib import Path

import pytest
from PIL import Image

from acereason.config.compose import compose
from acereason.curricula.user_callbacks import user_callbacks
from acereason.planning.checks import check
from perf.ablations.ablation import Ablation, Arm, Column, Panel
from perf.ablations.arms import START, ablations, math_start
from perf.ablations.figures import Band, Scalars, band, draw, smooth, summed
from perf.ablations.run import EVERY_RUN, PAGE, STARTS, Run, main, plan
from perf.ablations.tables import put, table

ABLATIONS = ablations()
ARMS = [(ablation, arm) for ablation in ABLATIONS.values() for arm in ablation.arms]
TAGS = {entry.tag for ablation in ABLATIONS.values() for entry in (*ablation.panels, *ablation.columns)}


def name_of(value: Ablation | Arm) -> str:
    return value.name


def overrides(ablation: Ablation, arm: Arm) -> list[str]:
    words = [*EVERY_RUN, *ablation.overrides(arm), "run.name=ablation"]
    return [word.replace(START, "models/laptop") for word in words]


@pytest.mark.parametrize(("ablation", "arm"), ARMS, ids=name_of)
def test_every_arm_composes_and_can_start(ablation: Ablation, arm: Arm) -> None:
    config = compose(overrides(ablation, arm))
    assert check(config) == []
    assert len(user_callbacks(config)) == len(config.callbacks)


def test_the_math_training_that_others_start_from_can_start() -> None:
    config = compose([*math_start(), "run.name=ablation"])
    check(config)
    assert config.checkpoint.export


def test_the_arms_of_an_ablation_differ_and_train_for_as_many_steps() -> None:
    for ablation in ABLATIONS.values():
        configs = [compose(overrides(ablation, arm)) for arm in ablation.arms]
        assert len({config.trainer.max_steps for config in configs}) == 1
        assert len({arm.settings for arm in ablation.arms}) == len(configs)


def test_steps_scale_with_all_that_counts_steps() -> None:
    tenth = ablations(0.1)
    assert compose(overrides(tenth["updates"], tenth["updates"].arms[0])).trainer.max_steps == 8
    stages = compose(overrides(tenth["lengths"], tenth["lengths"].arms[0])).callbacks["stages"].init_args["stages"]
    assert [stage["ends"]["steps"] for stage in stages] == [2, 2, 2]


def test_every_arm_and_seed_has_a_run_and_math_comes_before_what_starts_from_it(tmp_path: Path) -> None:
    runs = plan(list(ABLATIONS.values()), [0, 1, 2], tmp_path, 1.0)
    assert len({run.folder for run in runs}) == len(runs) == 3 * (len(ARMS) + 1)
    assert [run.folder.parent.name for run in runs[:3]] == [STARTS] * 3
    for run in runs:
        assert run.start is None or f"model.path={run.start.folder / 'export'}" in run.overrides
        assert not any(START in word for word in run.overrides)


def test_a_folder_with_other_settings_is_refused(tmp_path: Path) -> None:
    run = Run(tmp_path, ("seed=0",))
    run.asked.write_text('["seed=0"]')
    run.check()
    run.asked.write_text('["seed=1"]')
    with pytest.raises(SystemExit, match="other settings"):
        run.check()


def test_an_unknown_ablation_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["update"])
    assert "no ablation update; there are updates, " in capsys.readouterr().err


def made_up(offset: float) -> Scalars:
    """Four steps of one second and 500 tokens, an evaluation before the first and after every second."""
    return {tag: [(step, 0.5 + offset) for step in range(1, 5)] for tag in TAGS} | {
        "time/step": [(step, 1.0) for step in range(1, 5)],
        "response/tokens": [(step, 500.0 + 100 * offset) for step in range(1, 5)],
        "eval/pass@1": [(0, 0.2 + offset), (2, 0.4 + offset), (4, 0.6 + offset)],
    }


def test_a_line_is_the_mean_over_seeds_and_its_band_their_standard_deviation() -> None:
    runs = [made_up(0.0), made_up(0.1), made_up(0.2)]
    line = band(runs, Panel("", "eval/pass@1"))
    assert line.x == [0, 2, 4]
    assert line.y == pytest.approx([0.3, 0.5, 0.7])
    assert line.spread == pytest.approx([0.1, 0.1, 0.1])


def test_time_and_tokens_add_up_over_the_steps_before_an_evaluation() -> None:
    runs = [made_up(0.0), made_up(0.2)]
    assert band(runs, Panel("", "eval/pass@1", over="seconds")).x == pytest.approx([0, 2 / 60, 4 / 60])
    assert band(runs, Panel("", "eval/pass@1", over="tokens")).x == pytest.approx([0, 1.02, 2.04])


def test_a_line_ends_where_the_shortest_run_does() -> None:
    short = {"reward/mean": [(1, 0.25)]}
    assert band([short, {"reward/mean": [(1, 0.75), (2, 1.0)]}], Panel("", "reward/mean")).y == [0.5]
    assert band([short], Panel("", "reward/mean")) == Band([1], [0.25], [0.0])


def test_a_running_mean_looks_back_only() -> None:
    assert smooth([(1, 1.0), (2, 3.0), (3, 8.0)], 2) == {1: 1.0, 2: 2.0, 3: 5.5}
    assert summed([(1, 2.0), (2, 3.0)], 0.5) == {0: 0.0, 1: 1.0, 2: 2.5}


def test_the_table_has_the_mean_and_the_spread_of_each_arm() -> None:
    arms = (Arm("a", "one"), Arm("b", "two"))
    columns = (
        Column("before", "eval/pass@1", "first"),
        Column("at the end", "eval/pass@1"),
        Column("tokens (thousands)", "response/tokens", "sum", ".1f", 1 / 1000),
    )
    ablation = Ablation("x", "?", "Fig. 0", (), arms, (), columns)
    text = table(ablation, {"a": [made_up(0.0), made_up(0.2)], "b": [made_up(0.0)]})
    assert text.splitlines() == [
        "| | before | at the end | tokens (thousands) | seeds |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| one | 0.300 ± 0.141 | 0.700 ± 0.141 | 2.0 ± 0.1 | 2 |",
        "| two | 0.200 ± 0.000 | 0.600 ± 0.000 | 2.0 ± 0.0 | 1 |",
    ]


def test_a_table_goes_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- table: x -->\nold\n<!-- end -->\n<!-- table: y -->\nkept\n<!-- end -->\n")
    put(page, "x", "| new \\1 |")
    assert page.read_text() == (
        "a\n<!-- table: x -->\n| new \\1 |\n<!-- end -->\n<!-- table: y -->\nkept\n<!-- end -->\n"
    )
    with pytest.raises(ValueError, match="table: z"):
        put(page, "z", "")


@pytest.mark.parametrize("ablation", ABLATIONS.values(), ids=name_of)
def test_a_figure_and_a_table_are_made_of_every_ablation(ablation: Ablation, tmp_path: Path) -> None:
    runs = {arm.name: [made_up(number / 10), made_up(number / 5)] for number, arm in enumerate(ablation.arms)}
    path = tmp_path / "figure.png"
    draw(ablation, runs, path)
    assert Image.open(path).width > 600
    assert path.stat().st_size < 150_000
    assert len(table(ablation, runs).splitlines()) == len(ablation.arms) + 2


@pytest.mark.parametrize("ablation", ABLATIONS.values(), ids=name_of)
def test_the_page_has_the_command_of_each_ablation_and_its_numbers_once_measured(ablation: Ablation) -> None:
    text, name = PAGE.read_text(encoding="utf-8"), ablation.name
    assert f"`make ablations ARGS={name}`" in text
    marked = re.search(rf"<!-- table: {name} -->\n(.*?)\n<!-- end -->", text, re.DOTALL)
    assert marked is not None
    figure = PAGE.parent / "ablations" / f"{name}.png"
    if marked[1] == "Not measured yet.":
        assert not figure.exists()
        return
    rows = marked[1].splitlines()
    assert rows[0] == f"| | {' | '.join(column.title for column in ablation.columns)} | seeds |"
    assert [row.split(" | ")[0] for row in rows[2:]] == [f"| {arm.label}" for arm in ablation.arms]
    assert all(re.search(r"\d ± \d", row) for row in rows[2:])
    assert f"](ablations/{name}.png)" in text
    assert figure.stat().st_size < 150_000
