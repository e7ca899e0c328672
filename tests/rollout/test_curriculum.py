"""The curriculum starts from the settings, records every change, is plain data, and is restored in place."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import tiny_config

from acereason.errors import UserError
from acereason.rollout.curriculum import CHANGEABLE, Change, Curriculum


def fresh(root: Path) -> Curriculum:
    overrides = ["curriculum.temperature=0.8", "curriculum.top_p=0.9", "curriculum.stage=first"]
    return Curriculum.from_config(tiny_config(root, *overrides, "optimizer.warmup_steps=3"))


def changed(root: Path) -> Curriculum:
    curriculum = fresh(root)
    for _ in range(17):
        curriculum.advance()
    curriculum.change("someone", "a reason", pool=["p1", "p2"], solve_rates={"p1": 0.25}, stage="second")
    return curriculum


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
        warmup_steps=3,
        step=0,
        pool=None,
        solve_rates={},
        stage_since=0,
        pool_since=0,
        history=[],
    )


def test_a_change_takes_effect_and_is_recorded(tmp_path: Path) -> None:
    curriculum = fresh(tmp_path)
    curriculum.advance()
    changes = curriculum.change("length", "truncated 0.4", max_response_tokens=4, temperature=0.8)
    assert curriculum.max_response_tokens == 4
    assert changes == curriculum.history == [Change(1, "max_response_tokens", 2, 4, "length", "truncated 0.4")]


def test_lists_are_recorded_by_their_size(tmp_path: Path) -> None:
    assert [(change.what, change.before, change.after) for change in changed(tmp_path).history] == [
        ("pool", "all problems", "2 problems"),
        ("solve_rates", "0 problems", "1 problems"),
        ("stage", "first", "second"),
    ]


def test_stages_and_epochs_are_counted_from_their_beginning(tmp_path: Path) -> None:
    curriculum = fresh(tmp_path)
    for _ in range(5):
        curriculum.advance()
    curriculum.change("a", "b", temperature=0.5)
    assert (curriculum.stage_since, curriculum.pool_since) == (0, 0)
    curriculum.change("a", "b", prompts_per_step=4)
    assert (curriculum.stage_since, curriculum.pool_since) == (0, 5)
    curriculum.advance()
    curriculum.change("a", "b", stage="first")
    assert (curriculum.stage_since, curriculum.pool_since) == (6, 6)


def test_another_domain_takes_all_its_problems_unless_a_pool_is_given(tmp_path: Path) -> None:
    curriculum = changed(tmp_path)
    curriculum.change("a", "b", domain="code")
    assert curriculum.pool is None
    curriculum.change("a", "b", domain="math", pool=["p3"])
    assert curriculum.pool == ["p3"]


def test_nothing_changes_without_a_record(tmp_path: Path) -> None:
    curriculum = fresh(tmp_path)
    for name in (*CHANGEABLE, "step", "history"):
        with pytest.raises(AttributeError, match=rf"curriculum\.{name} cannot be assigned to: use curriculum\.change"):
            setattr(curriculum, name, 1)
    assert curriculum == fresh(tmp_path)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"temprature": 1.0}, "curriculum.temprature=1.0 (by me): no such value of the curriculum; did you mean temp"),
        ({"temperature": 0}, "curriculum.temperature=0 (by me): must be a number above 0"),
        ({"temperature": float("nan")}, "curriculum.temperature=NaN (by me): must be a finite number above 0"),
        ({"top_p": 1.5}, "curriculum.top_p=1.5 (by me): must be a number above 0 and at most 1"),
        ({"max_response_tokens": 2.5}, "curriculum.max_response_tokens=2.5 (by me): must be a whole number from 1"),
        ({"rollouts_per_prompt": True}, "curriculum.rollouts_per_prompt=true (by me): must be a whole number from 2"),
        ({"warmup_steps": -1}, "curriculum.warmup_steps=-1 (by me): must be a whole number from 0"),
        ({"learning_rate": -1e-6}, "curriculum.learning_rate=-1e-06 (by me): must be a number from 0"),
        ({"domain": "maths"}, "curriculum.domain=maths (by me): did you mean math?"),
        ({"pool": []}, "curriculum.pool=[] (by me): must be a list of ids, not empty, or None"),
        ({"stage": ""}, "curriculum.stage= (by me): must be text, and not empty"),
        ({"solve_rates": [1]}, "curriculum.solve_rates=[1] (by me): must be a mapping from ids to shares"),
        ({"step": 3}, "curriculum.step=3 (by me): no such value of the curriculum"),
    ],
)
def test_an_impossible_value_is_refused_and_nothing_changes(tmp_path: Path, values: dict[str, Any], said: str) -> None:
    curriculum = fresh(tmp_path)
    with pytest.raises(UserError) as caught:
        curriculum.change("me", "why not", **{"top_p": 0.5, **values})
    assert str(caught.value).startswith(said)
    assert curriculum == fresh(tmp_path)


def test_responses_longer_than_the_engine_holds_are_refused(tmp_path: Path) -> None:
    curriculum = fresh(tmp_path)
    curriculum.hold_at_most(64)
    curriculum.change("me", "it fits", max_response_tokens=64)
    with pytest.raises(UserError, match=r"=65 \(by me\): the engine was started for .* at most 64 tokens; set engine"):
        curriculum.change("me", "too long", max_response_tokens=65)


def test_its_state_is_plain_data_with_every_field(tmp_path: Path) -> None:
    state = changed(tmp_path).state_dict()
    assert set(state) == {field.name for field in fields(Curriculum)} - {"longest_response"}
    assert json.loads(json.dumps(state)) == state


def test_loading_a_state_changes_the_shared_object_in_place(tmp_path: Path) -> None:
    saved, curriculum = changed(tmp_path), fresh(tmp_path)
    held_elsewhere = curriculum
    curriculum.load_state_dict(json.loads(json.dumps(saved.state_dict())))
    assert held_elsewhere == saved
    assert held_elsewhere.step == 17
    assert held_elsewhere.history[0] == Change(17, "pool", "all problems", "2 problems", "someone", "a reason")


def test_a_state_is_a_copy_that_later_steps_do_not_reach(tmp_path: Path) -> None:
    curriculum = changed(tmp_path)
    state = curriculum.state_dict()
    curriculum.change("a", "b", pool=["p3"], solve_rates={})
    assert (state["pool"], state["solve_rates"], len(state["history"])) == (["p1", "p2"], {"p1": 0.25}, 3)


def test_two_runs_share_nothing(tmp_path: Path) -> None:
    changed(tmp_path)
    assert fresh(tmp_path).solve_rates == {}
    assert fresh(tmp_path).history == []
