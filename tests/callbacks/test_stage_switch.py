"""Stages: what each sets, how each ends, and what happens at a switch."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from safetensors.torch import load_file
from tiny_runs import Fitted, Then, fit, tiny_config

from acereason.config.schema import Config
from acereason.curricula.stages import filled, read_stages
from acereason.curricula.user_callbacks import user_callbacks
from acereason.errors import UserError
from callbacks.stage_switch import StageSwitch

SETTING = "callbacks.stages.init_args.stages"
SWITCH = "callbacks.stages.class_path=callbacks.stage_switch.StageSwitch"


def config(root: Path, stages: str, *overrides: str) -> Config:
    return tiny_config(root, SWITCH, f"{SETTING}={stages}", "trainer.max_steps=20", *overrides)


def run(root: Path, stages: str, *overrides: str, **arguments: Any) -> Fitted:
    return fit(config(root, stages, *overrides), **arguments)


def changes(run: Fitted) -> list[tuple[int, str, Any]]:
    return [(change.step, change.what, change.after) for change in run.policy.curriculum.history]


def test_stages_follow_each_other_and_the_last_ones_end_is_that_of_the_run(tmp_path: Path) -> None:
    stages = (
        "[{name: short, max_response_tokens: 1, ends: {steps: 2}},"
        " {name: long, max_response_tokens: 2, temperature: 0.5, learning_rate: 0.002, prompts_per_step: 4,"
        " rollouts_per_prompt: 2, top_p: 0.9, ends: {steps: 3}}]"
    )
    done = run(tmp_path, stages)
    assert done.policy.curriculum.step == 5
    assert [len(batch.rollouts[0].generation.token_ids) for batch in done.recorder.batches] == [1, 1, 2, 2, 2]
    assert [(len(batch.groups), len(batch.groups[0])) for batch in done.recorder.batches] == [(2, 4)] * 2 + [(4, 2)] * 3
    assert [batch.temperature for batch in done.recorder.batches] == [1.0, 1.0, 0.5, 0.5, 0.5]
    assert done.recorder.learning_rates == pytest.approx([0.001] * 2 + [0.002] * 3)
    assert done.recorder.of("curriculum/top_p") == pytest.approx([1.0] * 2 + [0.9] * 3)
    assert changes(done)[:3] == [(0, "stage", "short"), (0, "max_response_tokens", 1), (0, "pool", "8 problems")]
    assert changes(done)[3:5] == [(2, "stage", "long"), (2, "max_response_tokens", 2)]
    assert {change.who for change in done.policy.curriculum.history} == {"stages"}
    assert done.policy.curriculum.history[3].why == "short ends after 2 steps"


def test_epochs_are_those_of_the_stages_own_problems(tmp_path: Path) -> None:
    # 4 of the 8 problems have level 2: at 2 prompts a step an epoch of them takes 2 steps.
    done = run(tmp_path, "[{name: easy, levels: [2, 2], ends: {epochs: 2}}, {name: all, ends: {epochs: 1}}]")
    assert done.policy.curriculum.step == 4 + 4
    assert {r.problem.level for batch in done.recorder.batches[:4] for r in batch.rollouts} == {2}
    assert [batch.ends_epoch for batch in done.recorder.batches] == [False, True] * 2 + [False, False, False, True]
    assert [batch.epoch for batch in done.recorder.batches] == [0, 0, 1, 1, 0, 0, 0, 0]


def test_a_plateau_of_a_metric_ends_a_stage(tmp_path: Path) -> None:
    stages = "[{name: a, ends: {plateau: {metric: reward/mean, patience: 3}, steps: 9}}, {name: b, ends: {steps: 1}}]"
    done = run(tmp_path, stages, judge=lambda *_: 0.0)
    assert changes(done)[-1] == (4, "stage", "b")  # the first value is the best one, then three without a rise
    assert "reward/mean has not risen by more than 0 for 3 steps" in done.policy.curriculum.history[-1].why


def test_a_switch_evaluates_exports_saves_and_leaves_the_last_steps_to_the_end(tmp_path: Path) -> None:
    done = run(tmp_path, "[{name: a, ends: {steps: 2}}, {name: b, ends: {steps: 1}}]", whole=True)
    assert list(done.evaluation.results) == [0, 2, 3]
    assert sorted(path.name for path in (done.folder / "checkpoints").iterdir()) == ["step-000002", "step-000003"]
    assert [path.name for path in (done.folder / "stages").iterdir()] == ["a"]
    weights = load_file(done.folder / "stages" / "a" / "model.safetensors")
    assert not all(torch.equal(weights[name], tensor) for name, tensor in done.weights().items() if name in weights)
    lines = [json.loads(line) for line in (done.folder / "curriculum.jsonl").read_text().splitlines()]
    assert [(line["step"], line["what"], line["after"]) for line in lines] == changes(done)


def test_all_evaluations_have_the_limit_of_the_longest_stage(tmp_path: Path) -> None:
    stages = (
        "[{name: a, max_response_tokens: 1, ends: {steps: 1}}, {name: b, max_response_tokens: 5, ends: {steps: 1}}]"
    )
    done = run(tmp_path, stages, whole=True)
    lengths = {step: result.metrics()["eval/length_mean"] for step, result in done.evaluation.results.items()}
    assert lengths.keys() == {0, 1, 2}
    assert all(1 < length <= 5 for length in lengths.values())


@pytest.mark.parametrize("reset", [True, False])
def test_a_stage_begins_with_a_fresh_optimizer_unless_told_otherwise(tmp_path: Path, reset: bool) -> None:
    seen: list[tuple[int, float, float]] = []

    def look(trainer: Trainer, module: Any) -> None:
        state = next(iter(trainer.optimizers[0].state.values()))
        seen.append((module.curriculum.step, float(state["step"]), float(state["exp_avg_sq"].full_tensor().sum())))

    stages = "[{name: a, ends: {steps: 2}}, {name: b, ends: {steps: 1}}]"
    run(tmp_path, stages, f"callbacks.stages.init_args.reset_optimizer={reset}".lower(), callbacks=[Then(look)])
    assert [(step, count) for step, count, _ in seen] == [(1, 1), (2, 2), (3, 1 if reset else 3)]


def test_the_warm_up_of_a_stage_begins_with_it(tmp_path: Path) -> None:
    stages = "[{name: a, ends: {steps: 2}}, {name: b, warmup_steps: 4, ends: {steps: 3}}]"
    assert run(tmp_path, stages).recorder.learning_rates == pytest.approx([1e-3, 1e-3, 2.5e-4, 5e-4, 7.5e-4])


def test_a_run_resumes_in_the_middle_of_a_stage_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    stages = (
        "[{name: a, warmup_steps: 3, ends: {epochs: 1}},"
        " {name: b, temperature: 0.7, ends: {plateau: {metric: reward/mean, patience: 2, window: 2}}}]"
    )
    whole = run(tmp_path / "whole", stages, judge=lambda *_: 0.5, whole=True)
    for steps in (2, 5, 20):
        ckpt = "ckpt=auto" if steps > 2 else "ckpt="
        settings = config(tmp_path / "parts", stages, f"trainer.max_steps={steps}", ckpt)
        part = fit(settings, judge=lambda *_: 0.5, whole=True)
    assert part.policy.curriculum == whole.policy.curriculum
    assert part.folder.joinpath("curriculum.jsonl").read_text() == whole.folder.joinpath("curriculum.jsonl").read_text()
    assert all(torch.equal(tensor, whole.weights()[name]) for name, tensor in part.weights().items())


@pytest.mark.parametrize(
    ("stages", "history"),
    [
        # A third stage for a run that was over.
        (
            "[{name: a, ends: {steps: 2}}, {name: b, ends: {steps: 3}}, {name: c, ends: {steps: 1}}]",
            [(2, "b"), (5, "c")],
        ),
        # A stage that is over by the new settings.
        (
            "[{name: a, ends: {steps: 2}}, {name: b, ends: {steps: 1}}, {name: c, ends: {steps: 1}}]",
            [(2, "b"), (5, "c")],
        ),
        # One more before the stage in which it was saved.
        (
            "[{name: a, ends: {steps: 2}}, {name: x, ends: {steps: 1}}, {name: b, ends: {steps: 4}}, "
            "{name: c, ends: {steps: 1}}]",
            [(2, "b"), (6, "c")],
        ),
    ],
)
def test_a_run_resumes_with_another_list_of_stages(tmp_path: Path, stages: str, history: list[Any]) -> None:
    run(tmp_path, "[{name: a, ends: {steps: 2}}, {name: b, ends: {steps: 3}}]", whole=True)
    done = run(tmp_path, stages, "ckpt=last", "ckpt_changes=true", whole=True)
    assert [(step, name) for step, what, name in changes(done) if what == "stage"][1:] == history
    assert done.policy.curriculum.step == history[-1][0] + 1


def test_a_changed_value_of_a_stage_holds_at_once_when_a_run_resumes(tmp_path: Path) -> None:
    run(tmp_path, "[{name: a, temperature: 0.9, ends: {steps: 4}}]", "trainer.max_steps=2", whole=True)
    stages = "[{name: a, temperature: 0.8, levels: [2, 2], ends: {steps: 4}}]"
    done = run(tmp_path, stages, "ckpt=last", "ckpt_changes=true", whole=True)
    assert changes(done)[-2:] == [(2, "temperature", 0.8), (2, "pool", "4 problems")]
    assert (done.policy.curriculum.stage_since, done.policy.curriculum.step) == (0, 4)


def test_a_run_whose_stage_is_gone_does_not_resume(tmp_path: Path) -> None:
    run(tmp_path, "[{name: a, ends: {steps: 4}}]", "trainer.max_steps=2", whole=True)
    with pytest.raises(UserError, match="saved in stage a, which is not among x, y; keep its name"):
        run(
            tmp_path,
            "[{name: x, ends: {steps: 4}}, {name: y, ends: {steps: 4}}]",
            *("ckpt=last", "ckpt_changes=true"),
            whole=True,
        )


def test_what_a_stage_leaves_out_stays_as_it_was(tmp_path: Path) -> None:
    stages = read_stages(
        [
            {"name": "a", "max_response_tokens": 7, "ends": {"steps": 1}},
            {"name": "b", "temperature": 0.5, "levels": [2, 3], "ends": {"epochs": 2}},
            {"name": "c", "ends": {"steps": 1}},
        ],
        "stages",
    )
    a, b, c = filled(stages, tiny_config(tmp_path))
    assert (a.max_response_tokens, b.max_response_tokens, c.max_response_tokens) == (7, 7, 7)
    assert (a.temperature, b.temperature, c.temperature) == (1.0, 0.5, 0.5)
    assert (a.prompts_per_step, a.domain, a.learning_rate) == (2, "math", 1e-3)
    assert (a.levels, b.levels, c.levels) == (None, (2, 3), None)
    assert (str(a.ends), str(b.ends)) == ("1 steps", "2 epochs")


BAD = {
    "[]": f"{SETTING}=[]: needs a list of at least one stage",
    "7": f"{SETTING}=7: needs a list of at least one stage",
    "[{name: a}]": f"{SETTING}[0].ends=null: expected a mapping with steps, epochs, plateau",
    "[{name: a, ends: {}}]": f"{SETTING}[0].ends={{}}: say when the stage ends: steps, epochs or plateau",
    "[{name: a, ends: {steps: 0}}]": f"{SETTING}[0].ends.steps=0: must be a whole number from 1",
    "[{name: a, ends: {step: 3}}]": f"{SETTING}[0].ends.step=3: no such setting; did you mean steps?",
    "[{ends: {steps: 1}}]": f"{SETTING}[0].name=null: a stage needs a name",
    "[{name: a, ends: {steps: 1}}, {name: a, ends: {steps: 1}}]": f"{SETTING}[1].name=a: an earlier stage has this",
    "[{name: a, domain: maths, ends: {steps: 1}}]": f"{SETTING}[0].domain=maths: did you mean math?",
    "[{name: a, domain: code, ends: {steps: 1}}]": f"{SETTING}[0].domain=code: not the domain of any source",
    "[{name: a, source: problem, ends: {steps: 1}}]": f"{SETTING}[0].source=problem: did you mean problems?",
    "[{name: a, levels: [3, 2], ends: {steps: 1}}]": f"{SETTING}[0].levels=[3, 2]: must be the lowest and the highest",
    "[{name: a, temperature: 0, ends: {steps: 1}}]": f"{SETTING}[0].temperature=0: must be a number above 0",
    "[{name: a, length: 9, ends: {steps: 1}}]": f"{SETTING}[0].length=9: no such setting; valid: name",
    "[{name: a, max_response_tokens: 4096, ends: {steps: 1}}]": "callbacks.stages: max_response_tokens=4096: ",
    "[{name: a, rollouts_per_prompt: 1, ends: {steps: 1}}]": f"{SETTING}[0].rollouts_per_prompt=1: must be "
    "a whole number from 2 (GRPO compares the responses of a group)",
    "[{name: a, ends: {plateau: {metric: reward, patience: 1}}}]": f"{SETTING}[0].ends.plateau.metric=reward: no such",
    "[{name: a, ends: {plateau: {metric: reward/mean}}}]": f"{SETTING}[0].ends.plateau",
    "[{name: a, source: [x], ends: {steps: 1}}]": f'{SETTING}[0].source=["x"]: must be the name of a source',
    "[{name: ../a, ends: {steps: 1}}]": f"{SETTING}[0].name=../a: must be usable as the name of a folder",
    "[{name: .., ends: {steps: 1}}]": f"{SETTING}[0].name=..: must be usable as the name of a folder",
}


@pytest.mark.parametrize("stages", BAD)
def test_a_bad_list_of_stages_is_one_clear_line(tmp_path: Path, stages: str) -> None:
    with pytest.raises(UserError) as caught:
        user_callbacks(config(tmp_path, stages))
    assert str(caught.value).startswith(BAD[stages])
    assert "\n" not in str(caught.value)


def test_a_second_list_of_stages_is_refused(tmp_path: Path) -> None:
    mine = "callbacks.mine.class_path=callbacks.stage_switch.StageSwitch"
    stages = "[{name: a, ends: {steps: 1}}]"
    with pytest.raises(UserError) as caught:
        user_callbacks(config(tmp_path, stages, mine, f"callbacks.mine.init_args.stages={stages}"))
    turned_off = "callbacks.stages already leads the run through stages; callbacks.stages=null turns it off"
    assert str(caught.value) == f"callbacks.mine.init_args.stages: {turned_off}"


def test_whether_the_optimizer_is_reset_is_true_or_false(tmp_path: Path) -> None:
    setting = "callbacks.stages.init_args.reset_optimizer"
    with pytest.raises(UserError, match=rf"{setting}=no: "):
        user_callbacks(config(tmp_path, "[{name: a, ends: {steps: 1}}]", f"{setting}='no'"))


def test_a_stage_with_fewer_problems_than_a_step_is_refused_before_the_first_step(tmp_path: Path) -> None:
    stages = "[{name: a, ends: {steps: 1}}, {name: b, prompts_per_step: 10, ends: {steps: 1}}]"
    with pytest.raises(UserError, match=r"stages\[1\]: stage b has 8 problems, fewer than the 10 of a step"):
        run(tmp_path, stages)


def test_a_stage_without_problems_is_refused_before_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"stages\[1\]: stage b has no math problem \(source any, levels \[8, 9\]\)"):
        run(tmp_path, "[{name: a, ends: {steps: 1}}, {name: b, levels: [8, 9], ends: {steps: 1}}]")


def test_a_batch_that_is_no_multiple_of_the_updates_is_refused(tmp_path: Path) -> None:
    stages = "[{name: a, prompts_per_step: 3, ends: {steps: 1}}]"
    with pytest.raises(UserError, match=r"stages\[0\]\.prompts_per_step=3: must be a multiple of the 2 updates"):
        user_callbacks(config(tmp_path, stages, "grpo.updates_per_batch=2"))


def test_its_messages_name_it_as_the_settings_do() -> None:
    alone = StageSwitch([{"name": "a", "ends": {"steps": 1}}])
    assert alone.setting("stages") == "callbacks.stage_switch.init_args.stages"
