"""Temperature, top-p and rollouts a prompt by epoch or step."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stepping import Walk, curriculum, from_settings, settings
from tiny_runs import fit, rollout, rollout_batch, tiny_config, tokenizer

from acereason.curricula.user_callbacks import user_callbacks
from acereason.engines.scripted_engine import ScriptedEngine
from acereason.errors import UserError
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum
from callbacks.sampling_schedule import SamplingSchedule

PATH = "callbacks.sampling_schedule.SamplingSchedule"
PAPER = [
    {"at": 0, "temperature": 0.6, "rollouts_per_prompt": 8},
    {"at": 1, "temperature": 0.8},
    {"at": 2, "temperature": 1.0, "rollouts_per_prompt": 16},
]


def batch(ends_epoch: bool) -> RolloutBatch:
    return replace(rollout_batch([[rollout()]]), ends_epoch=ends_epoch)


def epochs_of(walk: Walk, length: int, steps: int) -> Walk:
    """Do `steps` rollout steps in epochs of `length`."""
    for number in range(1, steps + 1):
        walk.step(batch(number % length == 0))
    return walk


def test_by_epoch_it_moves_when_an_epoch_is_over() -> None:
    walk = epochs_of(Walk(SamplingSchedule(PAPER), curriculum()), length=2, steps=7)
    assert walk.of("temperature") == [0.6, 0.6, 0.8, 0.8, 1.0, 1.0, 1.0]
    assert walk.of("rollouts_per_prompt") == [8, 8, 8, 8, 16, 16, 16]


def test_by_step_it_moves_at_steps() -> None:
    points = [{"at": 1, "top_p": 0.9}, {"at": 3, "top_p": 0.95, "temperature": 0.5}]
    walk = epochs_of(Walk(SamplingSchedule(points, by="step"), curriculum()), length=9, steps=5)
    assert walk.of("top_p") == [1.0, 0.9, 0.9, 0.95, 0.95]
    assert walk.of("temperature") == [1.0, 1.0, 1.0, 0.5, 0.5]


def test_the_history_says_why() -> None:
    walk = epochs_of(Walk(SamplingSchedule(PAPER), curriculum()), length=2, steps=3)
    changes = [(change.step, change.what, change.after, change.why) for change in walk.curriculum.history]
    assert changes == [
        (0, "temperature", 0.6, "after 0 epochs"),
        (0, "rollouts_per_prompt", 8, "after 0 epochs"),
        (2, "temperature", 0.8, "after 1 epoch"),
    ]


def test_a_point_sets_its_values_once_so_that_others_may_change_them() -> None:
    def hotter(curriculum: Curriculum) -> None:
        if curriculum.step == 2:
            curriculum.change("entropy", "", temperature=0.9)

    points = [{"at": 0, "temperature": 0.6}, {"at": 4, "temperature": 0.7}]
    walk = epochs_of(Walk(SamplingSchedule(points, by="step"), curriculum(), after=hotter), length=9, steps=5)
    assert walk.of("temperature") == [0.6, 0.6, 0.9, 0.9, 0.7]


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("by", ["epoch", "step"])
def test_with_stages_it_counts_from_their_beginning_and_leaves_others_alone(by: str, where: str) -> None:
    """Epochs have 2 steps; the last stage is again one of its own and begins with the first point."""

    def switch(curriculum: Curriculum) -> None:
        if curriculum.step in (2, 6, 8):
            curriculum.change("stages", "", stage={2: "code", 6: "math", 8: "code2"}[curriculum.step], temperature=0.1)

    points = [{"at": 0, "temperature": 0.6}, {"at": 1 if by == "epoch" else 2, "temperature": 0.7}]
    schedule = SamplingSchedule(points, by, stages=["code", "code2"])
    walk = epochs_of(Walk(schedule, curriculum(), **{where: switch}), length=2, steps=11)
    assert walk.of("temperature") == [1.0, 1.0, 0.6, 0.6, 0.7, 0.7, 0.1, 0.1, 0.6, 0.6, 0.7]


def test_the_count_of_epochs_continues_when_the_pool_changes() -> None:
    """The data module counts epochs over the pool; a refilter after each would hold it at 0."""

    def refilter(curriculum: Curriculum) -> None:
        curriculum.change("hard_prompts", "", pool=["p"] * (9 - curriculum.step))

    walk = Walk(SamplingSchedule(PAPER), curriculum(), after=refilter)
    assert epochs_of(walk, length=1, steps=3).of("temperature") == [0.6, 0.8, 1.0]


@pytest.mark.parametrize("killed_at", range(6))
@pytest.mark.parametrize("by", ["epoch", "step"])
def test_a_resumed_run_samples_as_the_uninterrupted_one(by: str, killed_at: int) -> None:
    whole = epochs_of(Walk(SamplingSchedule(PAPER, by), curriculum()), length=2, steps=6)
    killed = epochs_of(Walk(SamplingSchedule(PAPER, by), curriculum()), length=2, steps=killed_at)
    resumed = killed.resumed(SamplingSchedule(PAPER, by))
    for number in range(killed_at + 1, 7):
        resumed.step(batch(number % 2 == 0))
    assert resumed.curriculum == whole.curriculum
    assert killed.of("temperature") + resumed.of("temperature") == whole.of("temperature")


def test_a_run_that_is_killed_in_its_rollouts_changes_nothing_twice() -> None:
    walk = epochs_of(Walk(SamplingSchedule(PAPER), curriculum()), length=2, steps=2)
    walk.callback.on_rollouts_start(walk.trainer, walk.module)  # killed here, and saved
    resumed = walk.resumed(SamplingSchedule(PAPER))
    resumed.callback.on_rollouts_start(resumed.trainer, resumed.module)
    assert [change.step for change in resumed.curriculum.history] == [0, 0, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "epochs"}, "by=epochs: did you mean epoch?"),
        ({"points": []}, "points=[]: needs a list, such as [{at: 0, temperature: 0.6}, {at: 1, temperature: 0.8}]"),
        ({"points": {"at": 0}}, "points={'at': 0}: needs a list"),
        ({"points": [0.6]}, "points[0]=0.6: expected a mapping with at, temperature, top_p, rollouts_per_prompt"),
        (
            {"points": [{"at": 0, "temprature": 1}]},
            "points[0].temprature=1: no such setting; did you mean temperature?",
        ),
        (
            {"points": [{"at": 0}]},
            "points[0]={'at': 0}: needs at, and at least one of temperature, top_p, rollouts_per_prompt",
        ),
        ({"points": [{"temperature": 1, "top_p": 1}]}, "points[0]={'temperature': 1, 'top_p': 1}: needs at"),
        ({"points": [{"at": 0, "temperature": 0}]}, "points[0].temperature=0: must be a number above 0"),
        ({"points": [{"at": 0, "top_p": 1.5}]}, "points[0].top_p=1.5: must be a number above 0 and at most 1"),
        (
            {"points": [{"at": 2, "top_p": 1}, {"at": 1, "top_p": 0.9}]},
            "points[…].at=[2, 1]: must be whole numbers from 0, each above the one before",
        ),
        (
            {"points": [{"at": 0, "rollouts_per_prompt": 1}]},
            "points[0].rollouts_per_prompt=1: must be a whole number from 2 (GRPO compares the responses of a group)",
        ),
        ({"points": PAPER, "stages": ["mth"]}, "stages=['mth']: unknown mth; did you mean math?"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        from_settings(tmp_path, "sampling", PATH, **{"points": PAPER, **arguments})
    assert str(caught.value).replace('"', "'").startswith(f"callbacks.sampling.init_args.{message}")


def test_its_file_in_conf_turns_it_on(tmp_path: Path) -> None:
    [callback] = user_callbacks(tiny_config(tmp_path, "include=callback/sampling_schedule"))
    assert isinstance(callback, SamplingSchedule)
    assert callback.name == "sampling"


def test_a_real_run_follows_it_from_its_first_rollouts_on(tmp_path: Path) -> None:
    """8 problems, 2 a step: an epoch is 4 steps."""
    config = settings(tmp_path, "sampling", PATH, "trainer.max_steps=5", points=PAPER)
    finished = fit(config, engine=ScriptedEngine(lambda request: tokenizer().encode("a")))
    recorder = finished.recorder
    assert recorder.of("curriculum/temperature") == pytest.approx([0.6, 0.6, 0.6, 0.6, 0.8])
    assert [len(batch.groups[0]) for batch in recorder.batches] == [8] * 5
    assert [change.step for change in finished.policy.curriculum.history] == [0, 0, 4]
