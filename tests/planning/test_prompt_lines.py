"""What `validate_only` shows of the prompts."""

import json
from pathlib import Path

import pytest

from acereason.config.compose import compose
from acereason.errors import UserError
from acereason.planning.prompt_lines import prompt_lines

LAPTOP = ("recipe=laptop_math", "run.name=here", "model.path=models/laptop")
TASK = "Please reason step by step, and put your final answer within \\boxed{}."


def lines(*words: str) -> list[str]:
    return prompt_lines(compose([*LAPTOP, *words]))


def test_the_first_prompt_of_each_domain_is_shown_with_what_is_judged():
    shown = lines("recipe=laptop")
    assert shown[0] == "thinking     required: the prompt opens a think block"
    heads = [line.partition(", ")[0] for line in shown if line.startswith("prompt ")]
    assert heads == ["prompt       of the first math problem", "prompt       of the first code problem"]
    assert any(line.endswith("\\boxed{}.<｜Assistant｜><think>") for line in shown)


def test_a_row_of_a_file_is_put_as_the_settings_say(tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text(json.dumps({"question": "1+1?", "answer": "2"}) + "\n")
    (tmp_path / "examples.jsonl").write_text(json.dumps({"question": "2+2?", "response": "Four."}) + "\n")
    shown = lines(
        f"problems.path={tmp_path / 'rows.jsonl'}",
        f"prompts.examples={tmp_path / 'examples.jsonl'}",
        *("prompts.template=plain", "prompts.system=Hi.", "prompts.instructions.math='Q: {question}'"),
    )
    assert shown[0] == "thinking     optional: neither prompt nor chat template has a think block"
    assert shown[2:] == [f"  │{line}" for line in (" Hi.", " ", " Q: 2+2?", " Four.", " ", " Q: 1+1?", " ")]


def test_a_setting_that_does_not_fit_is_told():
    assert lines("rewards.thinking=optional")[1].startswith("warning: rewards.thinking is optional, but the prompt")


def test_a_long_prompt_loses_its_middle(tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text(json.dumps({"question": "x" * 9000 + "?", "answer": "2"}) + "\n")
    shown = "\n".join(lines(f"problems.path={tmp_path / 'rows.jsonl'}"))
    assert " characters …" in shown
    assert len(shown) < 4500
    assert TASK in shown


def test_what_is_not_here_is_said():
    assert lines("model.path=someone/unheard-of") == [
        "prompts      not shown: the tokenizer of someone/unheard-of is not on this machine"
    ]
    assert lines("problems.path=hub:someone/unheard-of") == [
        "prompts      not shown: no source of problems is on this machine"
    ]


def test_a_template_that_leaves_a_message_out_is_refused(tmp_path: Path):
    (tmp_path / "own.jinja").write_text("{{ messages[-1].content }}")
    with pytest.raises(UserError, match=r"prompts\.system: the chat template leaves it out"):
        lines(f"prompts.template={tmp_path / 'own.jinja'}", "prompts.system=Hi.")
