"""An instruct model with a chat template of Qwen2.5's form, which writes no `</think>`: does it earn rewards?"""

import json
import math
import shutil
import warnings
from pathlib import Path

import pytest
from tiny_runs import MODEL, Recorder, problems, tiny_config

from acereason.config.schema import Config
from acereason.distributed.environment import claim_alone
from acereason.policy.module import PolicyModule
from acereason.rollout.curriculum import Curriculum
from acereason.rollout.data import RolloutDataModule
from acereason.training.build import build_trainer, quiet
from acereason.training.held_out import HeldOutEvaluation

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
RENAMED = {
    "<｜User｜>": "<|im_start|>user\n",
    "<｜Assistant｜>": "<|im_end|>\n",
    "<think>\n": "<|im_start|>assistant\n",
    "</think>\n": "So: ",
}
"""Tokens of the laptop policy with other texts: its weights are now those of a model that does not think aloud."""


@pytest.fixture(scope="module")
def instruct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "instruct"
    shutil.copytree(MODEL, folder)
    (folder / "chat_template.jinja").write_text(CHATML)
    for path in (folder / "tokenizer.json", folder / "tokenizer_config.json"):
        text = path.read_text("utf-8")
        for before, after in RENAMED.items():
            text = text.replace(json.dumps(before, ensure_ascii=False), json.dumps(after))
        path.write_text(text, "utf-8")
    return folder


def train(config: Config) -> tuple[Recorder, list[str]]:
    """Train with a real engine and the real verifier; return what was recorded, and the warnings."""
    quiet()
    claim_alone()
    recorder = Recorder()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        trainer = build_trainer(config, HeldOutEvaluation(0), recorder)
        curriculum = Curriculum.from_config(config)
        data = RolloutDataModule(config, curriculum, {"problems": problems(8)}, [])
        trainer.fit(PolicyModule(config, curriculum), data)
    ours = ("rewards.thinking is ", "no response of ")
    return recorder, [str(each.message) for each in caught if str(each.message).startswith(ours)]


def words(model: Path, thinking: str) -> list[str]:
    return [f"model.path={model}", f"rewards.thinking={thinking}", "curriculum.max_response_tokens=64"]


@pytest.mark.parametrize("thinking", ["optional", "auto"])
def test_rewards_flow_where_thinking_is_optional(instruct, tmp_path, thinking):
    many = ["trainer.max_steps=1", "curriculum.prompts_per_step=8", "curriculum.rollouts_per_prompt=8"]
    recorder, told = train(tiny_config(tmp_path, *words(instruct, thinking), *many))
    [batch], [rollout, *_] = recorder.batches, recorder.batches[0].rollouts
    assert rollout.prompt.startswith("<|im_start|>user\nStart at ")
    assert rollout.prompt.endswith("\\boxed{}.<|im_end|>\n<|im_start|>assistant\n")
    assert "</think>" not in "".join(each.response for each in batch.rollouts)
    assert recorder.of("reward/mean")[0] > 0.05
    assert recorder.of("policy/grad_norm")[0] > 0
    assert recorder.of("reward/no_think_end") == [0.0]
    assert told == []


def test_where_it_is_required_a_warning_and_an_alarm_say_why_there_are_none(instruct, tmp_path):
    recorder, told = train(tiny_config(tmp_path, *words(instruct, "required"), "trainer.max_steps=4"))
    assert recorder.of("reward/mean") == [0.0] * 4
    assert recorder.of("reward/no_think_end") == [1.0] * 4
    start, *alarms = told
    assert start.startswith("rewards.thinking is required, but neither chat template nor vocabulary has </think>")
    assert [alarm.partition(" can ")[0] for alarm in alarms] == [
        *("no response of the first step", "no response of the first 2 steps", "no response of the first 3 steps")
    ]
    assert all("100% did not end their thoughts; " in alarm for alarm in alarms)
    assert all(alarm.endswith("set rewards.thinking=optional") for alarm in alarms)
    assert all(math.isfinite(norm) for norm in recorder.of("policy/grad_norm"))


def test_responses_that_are_cut_off_before_their_answer_raise_the_alarm(instruct, tmp_path):
    unanswered = words(instruct, "optional")[:2]
    recorder, told = train(tiny_config(tmp_path, *unanswered, "trainer.max_steps=1"))
    assert recorder.of("reward/no_answer") == [1.0]
    [alarm] = told
    assert "0% did not end their thoughts, the others gave no answer" in alarm
    assert alarm.endswith("raise curriculum.max_response_tokens, or look at the responses")
