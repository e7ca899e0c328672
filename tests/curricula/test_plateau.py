"""A plateau is where a running mean has stopped rising; its metric has to be one that the run measures."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch import Callback
from tiny_runs import fit, tiny_config

from acereason.config.schema import Config, DomainName, ProblemsConfig
from acereason.curricula.callback import CurriculumCallback
from acereason.curricula.plateau import Plateau, check_metric, measured, metrics_of
from acereason.errors import UserError
from acereason.rollout.metrics import EVALUATED_AT


def decisions(plateau: Plateau, values: list[float]) -> list[bool]:
    return [plateau.update(value, (plateau.seen or 0) + 1) for value in values]


def test_it_is_flat_after_enough_updates_without_a_rise() -> None:
    plateau = Plateau("reward/mean", patience=3)
    assert decisions(plateau, [0.5, 0.6, 0.6, 0.5, 0.6]) == [False, False, False, False, True]


def test_it_stays_flat_until_a_rise() -> None:
    plateau = Plateau("reward/mean", patience=1)
    assert decisions(plateau, [0.5, 0.5, 0.4, 0.6, 0.6]) == [False, True, True, False, True]


def test_a_rise_has_to_be_above_the_gain() -> None:
    plateau = Plateau("reward/mean", patience=2, min_gain=0.25)
    assert decisions(plateau, [0.5, 0.75, 0.75]) == [False, False, True]  # 0.75 is 0.25 above and not more
    assert decisions(Plateau("reward/mean", patience=2, min_gain=0.25), [0.5, 0.75, 0.76]) == [False] * 3


def test_small_rises_add_up_to_one() -> None:
    """0.1 a step with a gain of 0.25: every third step is a rise on the best."""
    plateau = Plateau("reward/mean", patience=3, min_gain=0.25)
    assert not any(decisions(plateau, [step / 10 for step in range(30)]))


def test_a_running_mean_waits_for_its_window_and_evens_out_noise() -> None:
    plateau = Plateau("reward/mean", patience=2, window=4)
    # Means from the fourth on: 1, 1, 1 of [0, 2, 0, 2, 0, 2]
    assert decisions(plateau, [0, 2, 0, 2, 0, 2]) == [False, False, False, False, False, True]
    assert plateau.best == 1


def test_what_it_has_seen_already_counts_once() -> None:
    plateau = Plateau("eval/pass@1", patience=2)
    seen = [plateau.update(0.5, step) for step in (0, 0, 0, 4, 4, 4, 8, 8)]
    assert seen == [False] * 6 + [True] * 2
    assert str(plateau).startswith("eval/pass@1 has not risen by more than 0 for 2 evaluations")


def test_reset_forgets_all() -> None:
    plateau = Plateau("reward/mean", patience=1, window=2)
    decisions(plateau, [0.9, 0.9, 0.9])
    plateau.reset()
    assert plateau.state_dict() == {"recent": [], "best": None, "stale": 0, "seen": None}
    assert decisions(plateau, [0.1, 0.1, 0.1]) == [False, False, True]


@pytest.mark.parametrize("cut", range(9))
def test_its_state_is_its_whole_memory(cut: int) -> None:
    values = [0.1, 0.3, 0.2, 0.2, 0.4, 0.3, 0.3, 0.2]
    whole = decisions(Plateau("reward/mean", 2, 0.05, 2), values)
    first, second = Plateau("reward/mean", 2, 0.05, 2), Plateau("reward/mean", 2, 0.05, 2)
    before = decisions(first, values[:cut])
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert before + decisions(second, values[cut:]) == whole
    assert True in whole and False in whole


def test_a_state_is_a_copy() -> None:
    plateau = Plateau("reward/mean", patience=2, window=3)
    plateau.update(0.5, 1)
    state = plateau.state_dict()
    plateau.update(0.6, 2)
    assert state["recent"] == [0.5]


def test_it_is_read_from_the_settings() -> None:
    given = {"metric": "reward/mean", "patience": 20, "min_gain": 0.01, "window": 5}
    assert Plateau.read(given, "x") == Plateau("reward/mean", 20, 0.01, 5)
    assert Plateau.read({"metric": "eval/pass@1", "patience": 3}, "x") == Plateau("eval/pass@1", 3, 0.0, 1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (7, "x=7: expected a mapping with metric, patience, min_gain, window"),
        ({"patience": 2}, 'x={"patience": 2}: needs metric; set x.metric=…'),
        ({"metric": "reward/mean"}, 'x={"metric": "reward/mean"}: needs patience; set x.patience=…'),
        ({"metric": "reward/mean", "patienc": 2}, "x.patienc=2: no such setting; did you mean patience?"),
        ({"metric": 3, "patience": 2}, "x.metric=3: must be a metric's name, such as reward/mean"),
        ({"metric": "a", "patience": 0}, "x.patience=0: must be a whole number from 1"),
        ({"metric": "a", "patience": True}, "x.patience=true: must be a whole number from 1"),
        ({"metric": "a", "patience": 2, "window": 0}, "x.window=0: must be a whole number from 1"),
        ({"metric": "a", "patience": 2, "min_gain": -0.1}, "x.min_gain=-0.1: must be a number from 0"),
        ({"metric": "a", "patience": 2, "min_gain": "much"}, "x.min_gain=much: must be a number from 0"),
    ],
)
def test_what_cannot_be_read_is_refused(value: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        Plateau.read(value, "x")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "overrides",
    [
        ["grpo.correction=token_cap"],
        [
            *("grpo.updates_per_batch=2", "grpo.kl_coefficient=0.01", "grpo.clip_low=0.1"),
            *("grpo.correction=sequence_mask", "model.compute_dtype=float16"),
        ],
    ],
)
def test_the_known_metrics_are_those_that_a_run_has(tmp_path: Path, overrides: list[str]) -> None:
    """A metric that is new or gone belongs in `STEP_METRICS`. One more step than needed: the last one evaluates."""
    config = tiny_config(tmp_path, "trainer.max_steps=1", "evaluation.samples_per_problem=1", *overrides)
    finished = fit(config, whole=True)
    evaluated = finished.evaluation.metrics
    logged = {name for name in finished.recorder.metrics[-1] if name not in ("throughput/mfu", EVALUATED_AT)}
    assert set(metrics_of(config)) == logged | set(evaluated)


def test_evaluations_of_two_domains_have_metrics_of_each(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    config.more_problems = {"code": ProblemsConfig(domain=DomainName.code)}
    names = metrics_of(config)
    assert {"eval/pass@1", "eval/math_pass@1", "eval/code_pass@1", "eval/code_length_mean"} <= set(names)
    assert "eval/length_mean" not in names


def test_a_metric_that_is_evaluated_only_at_switches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x=eval/pass@1: with evaluation.every_n_steps=0, it is not measured"):
        check_metric("eval/pass@1", "x", tiny_config(tmp_path, "evaluation.every_n_steps=0"), [])


def test_without_held_out_problems_there_are_no_metrics_of_an_evaluation(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "problems.held_out=0")
    with pytest.raises(UserError, match=r"x=eval/pass@1: no such metric in this run"):
        check_metric("eval/pass@1", "x", config, [])
    check_metric("reward/mean", "x", config, [])


class Loud(CurriculumCallback):
    logs = ("loud/level",)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return tiny_config(tmp_path)


def test_what_a_callback_logs_may_be_named(config: Config) -> None:
    check_metric("loud/level", "x", config, [Callback(), Loud()])
    with pytest.raises(UserError, match=r"x=loud/levl: no such metric in this run; did you mean loud/level\?"):
        check_metric("loud/levl", "x", config, [Loud()])


def test_what_a_callback_logs_is_there_for_those_that_come_after_it(config: Config) -> None:
    loud, reader = Loud(), Callback()
    check_metric("loud/level", "x", config, [loud, reader], reader)
    with pytest.raises(
        UserError, match=r"x=loud/level: logged by callbacks\.loud, which must come before this callback"
    ):
        check_metric("loud/level", "x", config, [reader, loud], reader)


def test_the_value_is_that_of_the_step_before_that_of_the_last_evaluation() -> None:
    module = SimpleNamespace(metrics={"reward/mean": 0.5}, curriculum=SimpleNamespace(step=7))
    trainer: Any = SimpleNamespace(callback_metrics={"reward/mean": 0.4, "eval/pass@1": 0.3})
    assert measured("reward/mean", "x", trainer, module) == (0.5, 7)
    assert measured("eval/pass@1", "x", trainer, module) == (0.3, 7)
    trainer.callback_metrics["evaluated_at"] = 4
    assert measured("eval/pass@1", "x", trainer, module) == (0.3, 4)
    assert measured("reward/mean", "x", trainer, module) == (0.5, 7)
    with pytest.raises(UserError, match=r"x=a/b: missing after 7 steps; a callback that logs it must come before"):
        measured("a/b", "x", trainer, module)
