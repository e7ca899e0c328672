"""The plan shows each stage with what it takes over from the one before."""

import re
from pathlib import Path

from tiny_runs import tiny_config

from acereason.run.plan import plan_lines
from acereason.run.user_callbacks import user_callbacks

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


def test_a_stage_has_what_the_one_before_had_unless_it_says_otherwise(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, *STAGED)
    lines = plan_lines(config, user_callbacks(config))
    place = next(number for number, line in enumerate(lines) if line.startswith("stages"))
    rows = [re.split(r"  +", line.removeprefix("stages").strip()) for line in lines[place : place + 4]]
    assert rows == [
        ["name", "problems", "tokens", "batch", "temp.", "lr", "tokens a step", "ends after"],
        ["short", "math", "2", "2 × 4", "1", "0.001", "16", "40 steps"],
        ["hard", "math of problems, levels 3 to 5", "6", "2 × 8", "1", "0.001", "96", "2 epochs"],
        ["code", "code", "6", "2 × 8", "0.6", "5e-06", "96", "9 steps"],
    ]
    assert "callbacks    other: StopWhenSolved(reward=0.9)" in lines
    assert "             code: laptop (code), 128 held out" in lines
