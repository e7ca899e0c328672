"""The hard-prompt refilter keeps what it says, in every mode."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from lightning.pytorch import Callback
from refiltering import IDS, SOLVED, Quarters, config_of, drawn, histograms, is_seven, table
from tiny_runs import fit, problems, tiny_config

from acereason.errors import UserError
from acereason.rollout.draw import choose_prompts
from callbacks.hard_prompt_refilter import HardPromptRefilter
from callbacks.stage_switch import StageSwitch


def test_what_is_solved_too_often_goes_before_the_first_rollouts(tmp_path: Path) -> None:
    run = fit(config_of(tmp_path), engine=Quarters(), judge=is_seven, whole=True)
    curriculum, hard = run.policy.curriculum, [IDS[0], IDS[1], IDS[6]]
    assert curriculum.pool == hard
    assert curriculum.solve_rates == {problem_id: solved / 4 for problem_id, solved in SOLVED.items()}
    assert all(step <= set(hard) for step in drawn(run))
    [pool, rates] = sorted((change for change in curriculum.history), key=lambda change: change.what)
    assert (pool.step, pool.who, pool.before, pool.after) == (0, "hard", "all problems", "3 problems")
    assert pool.why == rates.why == "8 → 3 problems: solved at most 1 of 4"
    assert [(row["problem"], row["solved"], row["kept"]) for row in table(run, 0)] == [
        (problem_id, solved, solved <= 1) for problem_id, solved in SOLVED.items()
    ]
    assert histograms(run) == {"before": [(1, [1, 2, 2, 1, 2])], "after": [(1, [1, 2])]}


STAGES = """callbacks.stages={class_path: callbacks.stage_switch.StageSwitch, init_args: {stages: [
    {name: easy, ends: {steps: 2}}, {name: hard, ends: {steps: 2}}]}}"""


def test_it_works_only_in_its_stages(tmp_path: Path) -> None:
    config = config_of(tmp_path, STAGES, "trainer.max_steps=4", stages="[hard]")
    run = fit(config, engine=Quarters(), judge=is_seven)
    assert [(change.step, change.why) for change in run.policy.curriculum.history if change.who == "hard"] == [
        (2, "8 → 3 problems: solved at most 1 of 4")
    ] * 2
    assert not (run.folder / "solve_rates" / "step-000000.parquet").exists()
    assert all(step <= {IDS[0], IDS[1], IDS[6]} for step in drawn(run)[2:])


def test_every_n_steps_it_measures_what_is_left(tmp_path: Path) -> None:
    engine = Quarters()
    config = config_of(tmp_path, "trainer.max_steps=3", every_n_steps=2, keep_solved_at_most=3)
    run = fit(config, engine=engine, judge=is_seven)
    assert [len(table(run, step)) for step in (0, 2)] == [8, 6]
    assert len(engine.asked) == 8 * 4 + 6 * 4 + 3 * 8


def test_after_an_epoch_what_every_rollout_solved_goes_and_what_was_not_drawn_stays(tmp_path: Path) -> None:
    overrides = ("trainer.max_steps=5", "curriculum.prompts_per_step=3")
    run = fit(config_of(tmp_path, *overrides, mode="rollouts"), engine=Quarters(), judge=is_seven)
    asked = set.union(*(set(choose_prompts(IDS, 0, step, 3)[0]) for step in (0, 1)))  # 8 problems: two steps an epoch
    assert len(asked) == 6
    gone = {IDS[4], IDS[5]} & asked
    assert gone
    curriculum = run.policy.curriculum
    first = [change for change in curriculum.history if change.step == 2]
    assert {change.what for change in first} == {"pool", "solve_rates"}
    why = f"8 → {8 - len(gone)} problems: not solved by all rollouts of the epoch"
    assert {change.why for change in first} == {why}
    assert set.union(*drawn(run)[2:4]) <= set(IDS) - gone
    assert {row["problem"]: row["solved"] for row in table(run, 2)} == {id: SOLVED[id] for id in IDS if id in asked}
    assert [row["kept"] for row in table(run, 2)] == [row["solved"] < 4 for row in table(run, 2)]
    assert set(curriculum.pool or []) >= set(IDS) - {IDS[4], IDS[5]}


def test_an_epoch_is_counted_through_a_resume(tmp_path: Path) -> None:
    config = config_of(tmp_path, "trainer.max_steps=2", mode="rollouts")
    fit(config, engine=Quarters(), judge=is_seven, whole=True)
    config.trainer.max_steps, config.ckpt = 5, "last"
    run = fit(config, engine=Quarters(), judge=is_seven, whole=True)
    assert run.policy.curriculum.pool == [problem_id for problem_id in IDS if SOLVED[problem_id] < 4]
    assert len(table(run, 4)) == 8
    assert histograms(run) == {"before": [(5, [1, 2, 2, 1, 2])], "after": [(5, [1, 2, 2, 1])]}


def test_a_stage_that_ends_with_the_epoch_leaves_the_next_ones_problems_alone(tmp_path: Path) -> None:
    stages = STAGES.replace("ends: {steps: 2}}, {", "ends: {epochs: 1}}, {")
    run = fit(config_of(tmp_path, stages, "trainer.max_steps=5", mode="rollouts"), engine=Quarters(), judge=is_seven)
    assert run.policy.curriculum.stage == "hard"
    assert [change for change in run.policy.curriculum.history if change.who == "hard"] == []
    assert run.policy.curriculum.pool == IDS


LEVELS = {problem.id: problem.level for problem in problems(8)}


def test_levels_without_solve_rates(tmp_path: Path) -> None:
    assert set(LEVELS.values()) == {2, 3}
    run = fit(config_of(tmp_path, mode="levels", levels="[3, 9]"), engine=Quarters(), judge=is_seven)
    hard = [problem_id for problem_id in IDS if LEVELS[problem_id] == 3]
    assert run.policy.curriculum.pool == hard
    assert run.policy.curriculum.history[0].why == f"8 → {len(hard)} problems: levels 3 to 9"
    assert not (run.folder / "solve_rates").exists()


def test_other_levels_are_not_measured(tmp_path: Path) -> None:
    run = fit(config_of(tmp_path, levels="[2, 2]", keep_solved_at_most=3), engine=Quarters(), judge=is_seven)
    low = [problem_id for problem_id in IDS if LEVELS[problem_id] == 2]
    assert [row["problem"] for row in table(run, 0)] == low
    kept = [problem_id for problem_id in low if SOLVED[problem_id] <= 3]
    assert run.policy.curriculum.pool == kept
    why = f"8 → {len(kept)} problems: levels 2 to 2, solved at most 3 of 4"
    assert {change.why for change in run.policy.curriculum.history} == {why}


def test_rates_of_an_earlier_run(tmp_path: Path) -> None:
    earlier = fit(config_of(tmp_path / "earlier"), engine=Quarters(), judge=is_seven)
    engine = Quarters()
    rates = earlier.folder / "solve_rates" / "step-000000.parquet"
    config = config_of(tmp_path, mode="known", rates=rates, attempts=16, keep_solved_at_most=8)
    run = fit(config, engine=engine, judge=is_seven)
    assert run.policy.curriculum.pool == [problem_id for problem_id in IDS if SOLVED[problem_id] <= 2]
    assert len(engine.asked) == 2 * 8  # the rollouts of two steps
    assert [row["attempts"] for row in table(run, 0)] == [None] * 8


def test_a_problem_without_a_known_rate_stays(tmp_path: Path) -> None:
    earlier = fit(config_of(tmp_path / "earlier"), engine=Quarters(), judge=is_seven)
    some = tmp_path / "some.parquet"
    pq.write_table(pq.read_table(earlier.folder / "solve_rates" / "step-000000.parquet").slice(0, 4), some)
    run = fit(config_of(tmp_path, mode="known", rates=some), engine=Quarters(), judge=is_seven)
    assert run.policy.curriculum.pool == [IDS[0], IDS[1], *IDS[4:]]


def test_rates_that_another_refilter_measured(tmp_path: Path) -> None:
    other = (
        "callbacks.later={class_path: callbacks.hard_prompt_refilter.HardPromptRefilter, "
        "init_args: {mode: known, attempts: 4, keep_solved_at_most: 1, stages: [hard]}}"
    )
    config = config_of(tmp_path, STAGES, other, "trainer.max_steps=4", stages="[easy]", keep_solved_at_most=3)
    engine = Quarters()
    run = fit(config, engine=engine, judge=is_seven)
    assert run.policy.curriculum.pool == [IDS[0], IDS[1], IDS[6]]
    assert len(engine.asked) == 8 * 4 + 4 * 8
    assert [row["kept"] for row in table(run, 0)] == [SOLVED[problem_id] <= 3 for problem_id in IDS]
    assert [row["kept"] for row in table(run, 2)] == [SOLVED[problem_id] <= 1 for problem_id in IDS]


def test_too_few_problems_end_the_run_with_the_histogram(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        fit(config_of(tmp_path, keep_solved_at_most=0), engine=Quarters(), judge=is_seven)
    assert str(caught.value) == (
        "callbacks.hard.init_args.keep_solved_at_most=0 leaves 1 of 8 problems, fewer than the 2 of a step: raise it "
        "or lower curriculum.prompts_per_step; solved 0: 1, 1: 2, 2: 2, 3: 1, 4: 2 (of 4)"
    )


def test_an_epoch_that_was_all_solved_ends_the_run_with_the_histogram(tmp_path: Path) -> None:
    config = config_of(tmp_path, "trainer.max_steps=5", mode="rollouts")
    with pytest.raises(UserError, match=r"leaves 0 of 8 problems.*end the stage sooner.*; solved 4: 8 \(of 4\)$"):
        fit(config, engine=Quarters(), judge=lambda problem, response: 1.0)


def test_levels_without_a_problem_end_the_run_with_a_line_about_the_levels(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"^callbacks\.hard\.init_args\.levels=\[7, 9\] leaves 0 of 8 problems.*more lev"
    ):
        fit(config_of(tmp_path, mode="levels", levels="[7, 9]"), engine=Quarters(), judge=is_seven)


def test_rates_of_other_problems_do_not_count(tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    earlier = fit(config_of(tmp_path / "earlier"), engine=Quarters(), judge=is_seven)
    rows = pq.read_table(earlier.folder / "solve_rates" / "step-000000.parquet")
    pq.write_table(rows.set_column(0, "problem", [[f"x{n}" for n in range(8)]]), other)
    with pytest.raises(UserError, match=r"other\.parquet: none of the 8 problems of the pool has a solve rate"):
        fit(config_of(tmp_path, mode="known", rates=other), engine=Quarters(), judge=is_seven)


def check(root: Path, others: Sequence[Callback] = (), **arguments: Any) -> None:
    refilter = HardPromptRefilter(**arguments)
    refilter.name = "hard"
    refilter.check(tiny_config(root), [*others, refilter])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "mesure"}, "hard.init_args.mode=mesure: did you mean measure?"),
        ({"attempts": 0}, "hard.init_args.attempts=0: must be a whole number from 1"),
        ({"keep_solved_at_most": -1}, "keep_solved_at_most=-1: must be a whole number from 0"),
        ({"keep_solved_at_most": 16}, "keep_solved_at_most=16: keeps every problem with attempts=16; set 0 to 15"),
        ({"every_n_steps": 1.5}, "every_n_steps=1.5: must be a whole number from 0"),
        ({"stages": ["mat"]}, 'stages=["mat"]: unknown mat; did you mean math?'),
        ({"stages": "math"}, "stages=math: must be a list, such as [math]"),
        ({"mode": "known"}, "mode=known: no solve rates are known; set callbacks.hard.init_args.rates=… or use"),
        ({"mode": "known", "rates": "no.parquet"}, "rates=no.parquet: no such file"),
        ({"stages": None}, "stages=null: must be a list"),
        ({"rates": 5}, "rates=5: must be the path of a Parquet file"),
        ({"rates": "some.parquet"}, "rates=some.parquet: mode=measure finds its own solve rates; use mode=known"),
        ({"mode": "levels"}, "mode=levels: needs callbacks.hard.init_args.levels, such as [3, 8]"),
        ({"levels": [5, 3]}, "levels=[5, 3]: must be the lowest and the highest level"),
        ({"mode": "rollouts", "levels": [3, 5]}, "levels=[3, 5]: mode=rollouts leaves nothing out before an epoch is"),
    ],
)
def test_what_cannot_work_is_refused_before_a_run(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        check(tmp_path, **arguments)
    assert str(caught.value).startswith("callbacks.hard.init_args.")
    assert "\n" not in str(caught.value)


def test_what_can_work_is_not_refused(tmp_path: Path) -> None:
    check(tmp_path)
    check(tmp_path, stages=["math"])
    check(tmp_path, mode="known", others=[HardPromptRefilter(stages=["math"])])
    switch = StageSwitch([{"name": "a", "ends": {"steps": 1}}, {"name": "b", "ends": {"steps": 1}}])
    check(tmp_path, stages=["b"], others=[switch])
    check(tmp_path, mode="known", stages=["b"], others=[switch, HardPromptRefilter(stages=["a"])])
    with pytest.raises(UserError, match="no solve rates are known: other refilters find them only in later stages"):
        check(tmp_path, mode="known", stages=["a"], others=[switch, HardPromptRefilter(stages=["b"])])
    with pytest.raises(UserError, match=r"unknown c; valid: a, b$"):
        check(tmp_path, stages=["c"], others=[switch])


def test_the_file_to_include_is_the_papers_filter(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "include=callback/hard_prompt_refilter")
    refilter = HardPromptRefilter(**config.callbacks["hard_prompts"].init_args)
    refilter.check(config, [refilter])
    settings = refilter.settings
    assert (settings.mode, settings.attempts, settings.keep_solved_at_most) == ("measure", 16, 6)
