"""The plan shows each stage with what it takes over from the one before."""

import re
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback
from tiny_runs import tiny_config

from acereason.curricula.stages import stage_names
from acereason.curricula.user_callbacks import user_callbacks
from acereason.errors import UserError
from acereason.planning.plan import plan_lines

STAGES = """[
    {name: short, ends: {steps: 40}},
    {name: hard, max_response_tokens: 6, rollouts_per_prompt: 8, source: problems, levels: [3, 5], ends: {epochs: 2}},
    {name: code, domain: code, temperature: 0.6, learning_rate: 5.0e-6, ends: {steps: 9}}]"""
STAGED = [
    "callbacks.stages.class_path=callbacks.stage_switch.StageSwitch",
    f"callbacks.stages.init_args.stages={' '.join(STAGES.split())}",
    "callbacks.other.class_path=callbacks.stop_when_solved.StopWhenSolved",
    "callbacks.other.init_args={reward: 0.9}",
    "more_problems.code={path: laptop, domain: code, levels: [1, 3]}",
]


def planned(root: Path, *overrides: str) -> list[str]:
    config = tiny_config(root, *STAGED, *overrides)
    return plan_lines(config, user_callbacks(config))


def rows(lines: list[str]) -> list[list[str]]:
    place = next(number for number, line in enumerate(lines) if line.startswith("stages"))
    return [re.split(r"  +", line.removeprefix("stages").strip()) for line in lines[place : place + 4]]


def test_a_stage_has_what_the_one_before_had_unless_it_says_otherwise(tmp_path: Path) -> None:
    lines = planned(tmp_path, "trainer.max_steps=100")
    assert rows(lines) == [
        ["name", "problems", "tokens", "batch", "temp.", "lr", "tokens a step", "ends after"],
        ["short", "math", "2", "2 × 4", "1", "0.001", "16", "40 steps"],
        ["hard", "math of problems, levels 3 to 5", "6", "2 × 8", "1", "0.001", "96", "2 epochs"],
        ["code", "code", "6", "2 × 8", "0.6", "5e-06", "96", "9 steps"],
    ]
    assert "callbacks    other: StopWhenSolved(reward=0.9)" in lines
    assert "             code: laptop (code), 128 held out" in lines


def test_what_the_last_step_of_the_run_cuts_off_is_said(tmp_path: Path) -> None:
    at_45 = [row[-1] for row in rows(planned(tmp_path, "trainer.max_steps=45"))[1:]]
    assert at_45 == ["40 steps", "2 epochs", "9 steps, or trainer.max_steps=45"]
    at_40 = [row[-1] for row in rows(planned(tmp_path, "trainer.max_steps=40"))[1:]]
    assert at_40 == ["40 steps", *["does not begin: trainer.max_steps=40"] * 2]


class Decay(Callback):
    """One of a user's; `stages` is his own."""

    def __init__(self) -> None:
        self.stages: Any = {"math": 0.6}

    def state_dict(self) -> dict[str, Any]:
        return {}


def test_stages_of_another_kind_are_none(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "callbacks.decay.class_path=test_stage_table.Decay")
    for stages in ({"math": 0.6}, {1, 2}, 3, [], ["math"], None):
        [decay] = user_callbacks(config)
        vars(decay)["stages"] = stages
        assert "2 rollout steps of 2 prompts" in "\n".join(plan_lines(config, [decay]))
        assert stage_names(config, [decay]) == ["math"]


def test_two_plain_callbacks_of_one_class_with_a_state_are_refused(tmp_path: Path) -> None:
    twice = [f"callbacks.{name}.class_path=test_stage_table.Decay" for name in ("one", "two")]
    with pytest.raises(UserError) as caught:
        user_callbacks(tiny_config(tmp_path, *twice))
    assert str(caught.value).startswith("callbacks.two: its state could not be told from that of callbacks.one; derive")
