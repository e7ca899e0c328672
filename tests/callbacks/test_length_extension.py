"""Longer responses by schedule, at a plateau, or when many are cut off; never shorter ones."""

from pathlib import Path
from typing import Any

import pytest
from stepping import Walk, curriculum, from_settings, settings
from tiny_runs import fit, tiny_config, tokenizer

from acereason.curricula.callback import CurriculumCallback
from acereason.curricula.user_callbacks import user_callbacks
from acereason.engines.scripted_engine import ScriptedEngine
from acereason.errors import UserError
from acereason.rollout.curriculum import Curriculum
from callbacks.length_extension import LengthExtension

PATH = "callbacks.length_extension.LengthExtension"
STAGES = "callbacks.stages.class_path=callbacks.stage_switch.StageSwitch"
TWO_STAGES = (
    STAGES,
    "callbacks.stages.init_args.stages=[{name: first, ends: {steps: 3}}, {name: second, ends: {steps: 9}}]",
)


def walk(steps: int = 0, **arguments: Any) -> Walk:
    return Walk(LengthExtension(**arguments), curriculum()).steps("reward/mean", [0.5] * steps)


def test_every_n_steps_means_steps_at_one_length() -> None:
    done = walk(9, lengths=[8, 16, 32], every_n_steps=3)
    assert done.of("max_response_tokens") == [8, 8, 8, 16, 16, 16, 32, 32, 32]


def test_the_history_says_who_and_why() -> None:
    [change] = walk(4, lengths=[8, 16], every_n_steps=3).curriculum.history
    assert (change.step, change.what, change.before, change.after) == (3, "max_response_tokens", 8, 16)
    assert (change.who, change.why) == ("length_extension", "3 steps at this length")


def test_a_length_at_or_below_the_present_one_is_skipped() -> None:
    done = Walk(LengthExtension([4, 8, 10, 64], every_n_steps=1), curriculum(max_response_tokens=9))
    done.steps("reward/mean", [0.5] * 4)
    assert done.of("max_response_tokens") == [9, 10, 64, 64]


def test_explicit_steps_are_those_of_the_run() -> None:
    done = walk(7, lengths=[8, 16, 32], at_steps=[2, 5])
    assert done.of("max_response_tokens") == [8, 8, 16, 16, 16, 32, 32]


def test_a_plateau_extends_and_starts_again_at_the_new_length() -> None:
    plateau = {"metric": "reward/mean", "patience": 2, "min_gain": 0.05, "window": 1}
    done = walk(lengths=[8, 16, 32], plateau=plateau)
    #                                  best  rise   +2  extends | best           extends |
    done.steps("reward/mean", [0.30, 0.40, 0.42, 0.41, 0.20, 0.22, 0.23, 0.50])
    assert done.of("max_response_tokens") == [8, 8, 8, 8, 16, 16, 16, 32]
    assert done.curriculum.history[0].why == "reward/mean has not risen by more than 0.05 for 2 steps, best 0.4"


def test_a_plateau_of_an_evaluation_looks_at_the_last_one() -> None:
    done = walk(lengths=[8, 16], plateau={"metric": "eval/pass@1", "patience": 2})
    for value in (0.5, 0.5, 0.6, 0.6, 0.6):
        done.trainer.callback_metrics["eval/pass@1"] = value
        done.step()
    assert done.of("max_response_tokens") == [8, 8, 8, 8, 8]
    assert done.curriculum.max_response_tokens == 16


def test_many_truncated_responses_count_only_in_a_row() -> None:
    done = walk(lengths=[8, 16, 32], truncated_above=0.1, patience=2)
    done.steps("response/truncated", [0.2, 0.1, 0.2, 0.2, 0.2, 0.0, 0.2, 0.2, 0.0])
    assert done.of("max_response_tokens") == [8, 8, 8, 8, 16, 16, 16, 16, 32]
    assert done.curriculum.history[0].why == "more than 10% truncated 2 steps in a row"


def test_whichever_comes_first_extends_and_all_start_again() -> None:
    done = walk(lengths=[8, 16, 32], every_n_steps=4, truncated_above=0.1, patience=2)
    done.steps("response/truncated", [0.2, 0.2, 0.2, 0.0, 0.0, 0.0, 0.0])
    assert done.of("max_response_tokens") == [8, 8, 16, 16, 16, 16, 32]  # after 2 steps truncated, then after 4


def test_it_acts_only_in_its_stages_and_counts_from_their_beginning() -> None:
    def switch(curriculum: Curriculum) -> None:
        if curriculum.step in (3, 7):
            curriculum.change("stages", "", stage={3: "second", 7: "third"}[curriculum.step])

    arguments: dict[str, Any] = {"lengths": [8, 16, 32], "at_steps": [2], "stages": ["second"]}
    for where in ("before", "after"):
        done = Walk(LengthExtension(**arguments), curriculum(), **{where: switch}).steps("reward/mean", [0.5] * 9)
        assert done.of("max_response_tokens") == [8, 8, 8, 8, 8, 16, 16, 16, 16]


@pytest.mark.parametrize("where", ["before", "after"])
def test_the_step_that_ends_a_stage_says_nothing_about_the_next(where: str) -> None:
    """A stage switch may stand before or after it in the settings."""

    def switch(curriculum: Curriculum) -> None:
        if curriculum.step == 2:
            curriculum.change("stages", "", stage="second")

    callback = LengthExtension([8, 16], truncated_above=0.5, patience=2)
    done = Walk(callback, curriculum(), **{where: switch}).steps("response/truncated", [0.0, 0.9, 0.9, 0.9, 0.9])
    assert done.of("max_response_tokens") == [8, 8, 8, 8, 16]


@pytest.mark.parametrize("killed_at", range(1, 9))
def test_a_resumed_run_decides_as_the_uninterrupted_one(killed_at: int) -> None:
    arguments: dict[str, Any] = {
        "lengths": [8, 16, 32, 64],
        "every_n_steps": 5,
        "plateau": {"metric": "reward/mean", "patience": 2, "window": 2},
        "truncated_above": 0.1,
        "patience": 2,
    }
    rewards = [0.3, 0.4, 0.4, 0.35, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9]
    truncated = [0.0, 0.0, 0.2, 0.2, 0.0, 0.2, 0.2, 0.2, 0.0, 0.0]

    def continued(walk: Walk, start: int, end: int) -> Walk:
        for step in range(start, end):
            walk.step(reward__mean=rewards[step], response__truncated=truncated[step])
        return walk

    whole = continued(Walk(LengthExtension(**arguments), curriculum()), 0, 10)
    killed = continued(Walk(LengthExtension(**arguments), curriculum()), 0, killed_at)
    resumed = continued(killed.resumed(LengthExtension(**arguments)), killed_at, 10)
    assert resumed.curriculum == whole.curriculum
    assert resumed.callback.state_dict() == whole.callback.state_dict()
    assert len(whole.curriculum.history) >= 2


def test_the_engine_is_made_for_the_last_length(tmp_path: Path) -> None:
    config = settings(tmp_path, "longer", PATH, lengths=[4, 8, 12], every_n_steps=1)
    [callback] = user_callbacks(config)
    assert isinstance(callback, CurriculumCallback)
    assert callback.longest_response(config) == 12


def test_a_length_that_the_model_cannot_hold_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"callbacks\.longer: max_response_tokens=5000: .* 4096 tokens"):
        from_settings(tmp_path, "longer", PATH, lengths=[8, 5000], every_n_steps=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lengths": [8, 8]}, "lengths=[8, 8]: must be whole numbers from 1, each above the one before"),
        ({"lengths": [16, 8]}, "lengths=[16, 8]: must be whole numbers from 1, each above the one before"),
        ({"lengths": []}, "lengths=[]: must be whole numbers from 1, each above the one before"),
        ({"lengths": [0, 8]}, "lengths=[0, 8]: must be whole numbers from 1, each above the one before"),
        ({"lengths": [8.5]}, "lengths=[8.5]: must be whole numbers from 1, each above the one before"),
        ({"lengths": "8K"}, "lengths=8K: must be whole numbers from 1, each above the one before"),
        (
            {"every_n_steps": None},
            "lengths: nothing says when to extend; set every_n_steps, at_steps, plateau or truncated_above",
        ),
        ({"every_n_steps": 0}, "every_n_steps=0: must be a whole number from 1"),
        ({"at_steps": [5, 2]}, "at_steps=[5, 2]: must be whole numbers from 1, each above the one before"),
        ({"truncated_above": 1}, "truncated_above=1: must be a number from 0 to below 1"),
        ({"truncated_above": 0.1, "patience": 0}, "patience=0: must be a whole number from 1"),
        (
            {"plateau": {"metric": "reward/men", "patience": 2}},
            "plateau.metric=reward/men: no such metric in this run; did you mean reward/mean?",
        ),
        ({"plateau": {"metric": "reward/mean"}}, "plateau={'metric': 'reward/mean'}: needs patience"),
        ({"stages": ["sceond"]}, "stages=['sceond']: unknown sceond; did you mean second?"),
        ({"stages": "second"}, "stages=second: must be a list, such as [second]"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    given = {"lengths": [8, 16], "every_n_steps": 5, **arguments}
    with pytest.raises(UserError) as caught:
        from_settings(tmp_path, "longer", PATH, *TWO_STAGES, **given)
    assert str(caught.value).replace('"', "'").startswith(f"callbacks.longer.init_args.{message}")


def test_lengths_that_the_run_begins_above_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none is above curriculum\.max_response_tokens=2, where the run begins"):
        from_settings(tmp_path, "longer", PATH, lengths=[1, 2], every_n_steps=1)


def test_its_file_in_conf_turns_it_on(tmp_path: Path) -> None:
    [callback] = user_callbacks(tiny_config(tmp_path, "include=callback/length_extension"))
    assert isinstance(callback, LengthExtension)
    assert callback.name == "length_extension"


def test_a_real_run_samples_longer_responses_from_the_step_on(tmp_path: Path) -> None:
    """The engine never ends a response by itself: each is as long as the curriculum allows."""
    config = settings(
        tmp_path, "longer", PATH, "trainer.max_steps=5", lengths=[2, 3, 5], truncated_above=0.5, patience=2
    )
    engine = ScriptedEngine(lambda request: tokenizer().encode("7777777"))
    finished = fit(config, engine=engine)
    assert finished.recorder.of("response/length_mean") == [2, 2, 3, 3, 5]
    assert [change.step for change in finished.policy.curriculum.history] == [2, 4]
