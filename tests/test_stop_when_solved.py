"""The example callback ends a run early, once enough steps in a row are solved."""

from pathlib import Path

import pytest
from tiny_runs import Fitted, fit, tiny_config, tokenizer

from acereason.engines.engine import Request
from acereason.engines.scripted_engine import ScriptedEngine
from acereason.problems.problem import Problem
from callbacks.stop_when_solved import StopWhenSolved


def run(root: Path, rewards: list[float], **arguments: float) -> Fitted:
    """Do a run in which every response of step i earns rewards[i]; the callback comes from the settings."""
    calls: list[Request] = []

    def script(request: Request) -> list[int]:
        calls.append(request)
        return tokenizer().encode("7")

    def judge(problem: Problem, response: str) -> float:
        return rewards[(len(calls) - 1) // 8]

    config = tiny_config(
        root,
        f"trainer.max_steps={len(rewards)}",
        "callbacks.stop.class_path=callbacks.stop_when_solved.StopWhenSolved",
        *(f"callbacks.stop.init_args.{name}={value}" for name, value in arguments.items()),
    )
    return fit(config, engine=ScriptedEngine(script), judge=judge)


def test_it_stops_after_enough_solved_steps_in_a_row(tmp_path: Path) -> None:
    finished = run(tmp_path, [1, 0, 1, 1, 1, 0, 0, 0], patience=3)
    assert finished.recorder.of("reward/mean") == [1, 0, 1, 1, 1]
    assert finished.policy.curriculum.step == 5


def test_a_run_that_is_not_solved_goes_on_to_its_end(tmp_path: Path) -> None:
    assert run(tmp_path, [1, 1, 0, 1, 1, 0], patience=3).policy.curriculum.step == 6


def test_a_run_that_is_stopped_is_saved_and_evaluated_where_it_stopped(tmp_path: Path) -> None:
    config = tiny_config(
        tmp_path,
        "trainer.max_steps=9",
        "callbacks.stop.class_path=callbacks.stop_when_solved.StopWhenSolved",
        "callbacks.stop.init_args.patience=2",
    )
    engine = ScriptedEngine(lambda request: tokenizer().encode("a"))
    finished = fit(config, engine=engine, whole=True)
    assert [path.name for path in (finished.folder / "checkpoints").iterdir()] == ["step-000002"]
    assert list(finished.evaluation.results) == [0, 2]


def test_its_count_is_saved_so_that_a_resumed_run_stops_at_the_same_step(tmp_path: Path) -> None:
    overrides = [
        "callbacks.stop.class_path=callbacks.stop_when_solved.StopWhenSolved",
        "callbacks.stop.init_args.patience=3",
    ]

    def engine() -> ScriptedEngine:
        return ScriptedEngine(lambda request: tokenizer().encode("a"))

    fit(tiny_config(tmp_path, *overrides, "trainer.max_steps=2"), engine=engine(), whole=True)
    resumed = fit(tiny_config(tmp_path, *overrides, "trainer.max_steps=9", "ckpt=last"), engine=engine(), whole=True)
    assert resumed.policy.curriculum.step == 3


def test_the_state_is_the_count() -> None:
    stop = StopWhenSolved(reward=0.5, patience=4)
    stop.solved_steps = 3
    other = StopWhenSolved(reward=0.5, patience=4)
    other.load_state_dict(stop.state_dict())
    assert other.solved_steps == 3


@pytest.mark.parametrize(("reward", "steps"), [(0.5, 2), (1.0, 4)])
def test_reward_is_the_level_that_has_to_be_reached(tmp_path: Path, reward: float, steps: int) -> None:
    finished = run(tmp_path, [0.5] * 4, reward=reward, patience=2)
    assert finished.policy.curriculum.step == steps
