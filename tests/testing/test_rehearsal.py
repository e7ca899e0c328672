"""Rehearsals find callbacks that decide from their own rank or forget at a resume, and no others."""

import os
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from lightning.pytorch import Callback

from acereason.curricula.callback import CurriculumCallback
from acereason.distributed.collectives import gather
from acereason.errors import UserError
from acereason.testing.rehearsal import SampleRequest, ScriptedResponse, assert_ranks_agree, assert_resumes, rehearse
from callbacks.entropy_monitor import EntropyMonitor
from callbacks.hard_prompt_refilter import HardPromptRefilter
from callbacks.length_extension import LengthExtension
from callbacks.sampling_schedule import SamplingSchedule
from callbacks.stage_switch import StageSwitch
from callbacks.stop_when_solved import StopWhenSolved

Decide = Callable[[Any, Any, Any], object]


class Decides(Callback):
    """A callback that calls a function after every step."""

    def __init__(self, decide: Decide) -> None:
        self.decide = decide

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.decide(trainer, module, batch)


def colder(module: Any, when: object, why: str = "a test") -> None:
    if when:
        module.curriculum.change("mine", why, temperature=0.5)


def stages() -> StageSwitch:
    plateau = {"metric": "reward/mean", "patience": 2, "window": 2}
    return StageSwitch(
        stages=[
            {"name": "short", "max_response_tokens": 32, "ends": {"steps": 5}},
            {"name": "easy", "levels": [2, 5], "learning_rate": 1e-5, "ends": {"plateau": plateau, "steps": 9}},
            {"name": "all", "rollouts_per_prompt": 8, "ends": {"epochs": 1}},
        ]
    )


def entropy() -> EntropyMonitor:
    return EntropyMonitor(target=0.3, baseline_steps=2, window=3, cooldown=2)


def refilter() -> HardPromptRefilter:
    return HardPromptRefilter(mode="rollouts")


def plateau_and_length() -> LengthExtension:
    plateau = {"metric": "eval/pass@1", "patience": 3}
    return LengthExtension(lengths=[64, 96, 128], every_n_steps=9, truncated_above=0.2, patience=2, plateau=plateau)


def schedule() -> SamplingSchedule:
    return SamplingSchedule([{"at": 0, "temperature": 0.6}, {"at": 1, "temperature": 0.8, "rollouts_per_prompt": 8}])


OURS = {
    "stages": (stages, "stage"),
    "length": (plateau_and_length, "max_response_tokens"),
    "schedule": (schedule, "rollouts_per_prompt"),
    "entropy": (entropy, "temperature"),
    "refilter": (refilter, "pool"),
    "all": (lambda: [stages(), plateau_and_length(), schedule(), entropy(), refilter()], "pool"),
}


@pytest.mark.parametrize("name", OURS)
@pytest.mark.filterwarnings("ignore:callbacks.entropy")
def test_our_callbacks_pass_both_and_do_something_meanwhile(name: str) -> None:
    make, what = OURS[name]
    assert what in {change.what for change in rehearse(make).curriculum.history}
    assert_ranks_agree(make)
    assert_resumes(make)


def test_the_callback_that_stops_passes_both_and_stops() -> None:
    run = rehearse(lambda: StopWhenSolved(reward=0.6, patience=2))
    assert run.trainer.should_stop and run.curriculum.step == 9
    assert_ranks_agree(lambda: StopWhenSolved(reward=0.6, patience=2))
    assert_resumes(lambda: StopWhenSolved(reward=0.6, patience=2))


SAME_ON_ALL = {
    "callback_metrics": lambda t, m, b: colder(m, t.callback_metrics["reward/mean"] > 0.5),
    "metrics": lambda t, m, b: colder(m, m.metrics["policy/entropy"] < 0.5),
    "gather": lambda t, m, b: colder(m, sum(gather(b.rewards.sum().item())) > 8),
    "epoch": lambda t, m, b: colder(m, b.epoch and b.ends_epoch),
    "evaluation": lambda t, m, b: colder(m, t.callback_metrics["eval/pass@1"] > 0.4),
    "added metrics": lambda t, m, b: m.metrics.update({"mine/twice": 2 * m.metrics["reward/mean"]}),
    "logged by rank 0": lambda t, m, b: t.is_global_zero and print("fine"),
}


@pytest.mark.parametrize("name", SAME_ON_ALL)
def test_a_callback_that_uses_what_all_ranks_have_passes(name: str) -> None:
    assert_ranks_agree(lambda: Decides(SAME_ON_ALL[name]))


ONLY_HERE = {
    "rewards": (lambda t, m, b: colder(m, b.rewards.mean() > 0.5), "curriculum.temperature"),
    "any threshold": (lambda t, m, b: colder(m, b.rewards.mean() > 0.97), "curriculum.temperature"),
    "truncated": (lambda t, m, b: colder(m, any(r.generation.truncated for r in b.rollouts)), "curriculum.temperature"),
    "global_rank": (lambda t, m, b: colder(m, t.global_rank == 1), "curriculum.temperature"),
    "world_size": (lambda t, m, b: colder(m, t.world_size == 2), "curriculum.temperature"),
    "first rank": (lambda t, m, b: colder(m, gather(b.rewards.mean().item())[0] > 0.5), "curriculum.temperature"),
    "reason": (lambda t, m, b: colder(m, True, f"{b.rewards.mean():.2f}"), "curriculum.history"),
    "stop": (lambda t, m, b: setattr(t, "should_stop", t.is_global_zero), "trainer.should_stop"),
    "metrics": (lambda t, m, b: m.metrics.update(mine=b.rewards.mean().item()), "module.metrics['mine']"),
    "reset": (lambda t, m, b: t.is_global_zero and m.reset_optimizer(), "module.reset_optimizer()"),
    "chance": (lambda t, m, b: m.curriculum.change("mine", "", top_p=1 - random.random() / 2), "curriculum.top_p"),
    "process": (lambda t, m, b: colder(m, True, f"in {os.getpid()}"), "curriculum.history"),
    "set order": (lambda t, m, b: m.curriculum.change("mine", "", pool=list(set(t.datamodule.problems))), ".pool"),
}


@pytest.mark.parametrize("name", ONLY_HERE)
def test_a_callback_that_uses_what_only_its_rank_has_is_caught(name: str) -> None:
    decide, what = ONLY_HERE[name]
    with pytest.raises(AssertionError) as caught:
        assert_ranks_agree(lambda: Decides(decide))
    message = str(caught.value)
    assert message.startswith("after ") and f"{what} differs" in message
    assert "acereason.distributed.collectives.gather" in message


class Counts(CurriculumCallback):
    """A callback that lowers the temperature once its count of solved responses is high enough."""

    def __init__(self, saves: bool, of_all: bool) -> None:
        self.saves, self.of_all, self.solved = saves, of_all, 0.0

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        mine = batch.rewards.sum().item()
        self.solved += sum(gather(mine)) if self.of_all else mine
        colder(module, self.of_all and self.solved > 40)

    def state_dict(self) -> dict[str, float]:
        return {"solved": self.solved} if self.saves else {}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.solved = state_dict["solved"]


def test_a_state_that_only_one_rank_has_is_caught_before_anything_follows_from_it() -> None:
    assert_ranks_agree(lambda: Counts(saves=True, of_all=True))
    with pytest.raises(AssertionError, match=r"after 1 step, in on_train_batch_end: state_dict\(\) of Counts/counts"):
        assert_ranks_agree(lambda: Counts(saves=True, of_all=False))


def test_a_callback_that_forgets_at_a_resume_is_caught() -> None:
    assert_resumes(lambda: Counts(saves=True, of_all=True))
    with pytest.raises(AssertionError, match=r"curriculum\.temperature differs") as caught:
        assert_resumes(lambda: Counts(saves=False, of_all=True))
    assert re.search("not interrupted: 0.5\n  when resumed from the checkpoint of step [1-7]: 1.0\n", str(caught.value))
    assert "state_dict() and load_state_dict()" in str(caught.value)


def test_a_callback_that_reads_metrics_which_a_resumed_run_lacks_is_caught() -> None:
    class Early(CurriculumCallback):
        def on_rollouts_start(self, trainer: Any, module: Any) -> None:
            colder(module, module.curriculum.step and module.metrics["reward/mean"] > 0.5)

    with pytest.raises(AssertionError, match=r"checkpoint of step 1: KeyError\('reward/mean'\)"):
        assert_resumes(Early)


def test_what_a_callback_raises_on_one_rank_is_in_the_message() -> None:
    def fail(trainer: Any, module: Any, batch: Any) -> None:
        assert trainer.global_rank == 0, "not here"

    with pytest.raises(AssertionError, match=r"rank 1 of 2 did not reach the end(.|\n)*AssertionError: not here"):
        assert_ranks_agree(lambda: Decides(fail))


def test_a_gather_that_only_one_rank_calls_is_in_the_message() -> None:
    with pytest.raises(AssertionError, match="calls gather on some ranks only"):
        assert_ranks_agree(lambda: Decides(lambda trainer, module, batch: trainer.is_global_zero and gather(0)))


def test_ranks_that_wait_for_each_other_do_not_hang_the_test_and_others_take_their_place() -> None:
    def wait(trainer: Any, module: Any, batch: Any) -> None:
        for _ in range(3 if trainer.is_global_zero else 0):
            gather("where is everybody?")

    with pytest.raises(AssertionError, match="calls gather on some ranks only"):
        assert_ranks_agree(lambda: Decides(wait))
    assert_ranks_agree(lambda: StopWhenSolved())


def test_hooks_come_in_the_order_of_a_run() -> None:
    called: list[str] = []

    class Hooks(CurriculumCallback):
        def __getattribute__(self, name: str) -> Any:
            if name.startswith(("on_", "setup", "teardown")) or name in ("check", "state_dict"):
                called.append(name)
            return super().__getattribute__(name)

    rehearse(Hooks, steps=1)
    expected = ["check", "setup", "on_fit_start", "on_train_start", "on_train_epoch_start", "on_rollouts_start"]
    expected += ["on_train_batch_start", "on_train_batch_end", "state_dict", "on_train_epoch_end", "on_train_end"]
    assert [name for name in dict.fromkeys(called) if name in expected] == [
        *expected[:4],
        "state_dict",
        *expected[4:8],
        *expected[9:],
    ]


def test_it_has_the_problems_and_settings_of_a_run() -> None:
    settings = ["more_problems.code.path=laptop", "more_problems.code.domain=code", "more_problems.code.levels=[1,2]"]
    settings += ["more_problems.code.count=8", "more_problems.code.held_out=2", "curriculum.temperature=0.7"]
    run = rehearse(lambda: StageSwitch([{"name": "code", "domain": "code", "ends": {"steps": 2}}]), settings=settings)
    assert run.trainer.should_stop and run.curriculum.step == 2
    assert run.curriculum.temperature == 0.7 and run.module.metrics["curriculum/pool"] == 8
    assert {"eval/math_pass@1", "eval/code_pass@1"} <= run.trainer.callback_metrics.keys()


def test_a_script_says_what_is_solved() -> None:
    def even_steps(request: SampleRequest) -> ScriptedResponse:
        tokens = request.max_response_tokens + request.sample
        return ScriptedResponse(reward=float(request.step % 2 == 0), tokens=tokens, entropy=0.25)

    run = rehearse(lambda: StopWhenSolved(reward=1, patience=2), 6, script=even_steps)
    metrics = run.module.metrics
    assert not run.trainer.should_stop and run.curriculum.step == 6
    assert (metrics["reward/mean"], metrics["response/truncated"], metrics["policy/entropy"]) == (0.0, 0.75, 0.25)


def test_what_needs_the_engine_and_what_refuses_its_settings_says_so() -> None:
    with pytest.raises(UserError, match="a rehearsal has no engine"):
        rehearse(lambda: HardPromptRefilter(mode="measure"))
    with pytest.raises(UserError, match=r"callbacks.entropy_monitor.init_args.action=explode"):
        rehearse(lambda: EntropyMonitor(action="explode"))


def test_a_length_that_it_did_not_announce_is_refused_as_by_the_engine() -> None:
    def longer(trainer: Any, module: Any, batch: Any) -> None:
        module.curriculum.change("mine", "more", max_response_tokens=65)

    with pytest.raises(UserError, match="responses of at most 64 tokens"):
        rehearse(lambda: Decides(longer))
    assert rehearse(lambda: Decides(longer), settings=["engine.max_model_len=128"]).curriculum.max_response_tokens == 65
