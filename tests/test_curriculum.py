"""The curriculum: starts from the settings, is plain data, and comes back in place."""

import json
from dataclasses import fields
from pathlib import Path

from tiny_runs import tiny_config

from acereason.curriculum import Curriculum


def fresh(root: Path) -> Curriculum:
    overrides = ["curriculum.temperature=0.8", "curriculum.top_p=0.9", "curriculum.stage=first"]
    return Curriculum.from_config(tiny_config(root, *overrides).curriculum, "math")


def test_it_starts_with_the_settings_at_step_0_with_all_problems(tmp_path: Path) -> None:
    assert fresh(tmp_path) == Curriculum(
        stage="first",
        domain="math",
        max_response_tokens=2,
        prompts_per_step=2,
        rollouts_per_prompt=4,
        temperature=0.8,
        top_p=0.9,
        learning_rate=1e-3,
        step=0,
        pool=None,
        solve_rates={},
    )


def test_its_state_is_plain_data_with_every_field(tmp_path: Path) -> None:
    curriculum = fresh(tmp_path)
    curriculum.pool, curriculum.solve_rates["p1"], curriculum.step = ["p1", "p2"], 0.25, 17
    state = curriculum.state_dict()
    assert set(state) == {field.name for field in fields(Curriculum)}
    assert json.loads(json.dumps(state)) == state


def test_loading_a_state_changes_the_object_that_everybody_holds(tmp_path: Path) -> None:
    saved = fresh(tmp_path)
    saved.pool, saved.solve_rates["p1"], saved.step, saved.stage = ["p1", "p2"], 0.25, 17, "second"
    curriculum = fresh(tmp_path)
    held_elsewhere = curriculum
    curriculum.load_state_dict(saved.state_dict())
    assert held_elsewhere == saved
    assert held_elsewhere.step == 17


def test_a_state_is_a_copy_that_later_steps_do_not_reach(tmp_path: Path) -> None:
    curriculum = fresh(tmp_path)
    curriculum.pool = ["p1"]
    state = curriculum.state_dict()
    curriculum.pool.append("p2")
    curriculum.solve_rates["p1"] = 1.0
    assert state["pool"] == ["p1"]
    assert state["solve_rates"] == {}


def test_two_runs_do_not_share_solve_rates(tmp_path: Path) -> None:
    first, second = fresh(tmp_path), fresh(tmp_path)
    first.solve_rates["p1"] = 1.0
    assert second.solve_rates == {}
