"""The monitor tells noise from collapse, acts once, and steers the temperature to a target without swinging."""

import inspect
import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from stepping import Walk, curriculum, from_settings, settings
from tiny_runs import fit, rollout, rollout_batch, tiny_config

from acereason.curricula.entropy import NEVER, spread
from acereason.curricula.user_callbacks import user_callbacks
from acereason.errors import UserError
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum
from callbacks.entropy_monitor import EntropyMonitor

PATH = "callbacks.entropy_monitor.EntropyMonitor"
ENTROPY = "policy/entropy"
FALL = [0.4, 0.4, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.1, 0.1, 0.1]


@pytest.fixture(autouse=True)
def every_warning() -> Iterator[list[warnings.WarningMessage]]:
    """All warnings of a test, repeated ones as well."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def monitor(**arguments: Any) -> EntropyMonitor:
    """Return a monitor with small windows, and without the forecast unless asked for."""
    return EntropyMonitor(**{"baseline_steps": 2, "window": 3, "horizon": 0, "cooldown": 3, **arguments})


def walk(entropies: list[float], **arguments: Any) -> Walk:
    return Walk(monitor(**arguments), curriculum()).steps(ENTROPY, entropies)


def of(walk: Walk, name: str) -> list[float]:
    return [metrics[f"entropy/{name}"] for metrics in walk.metrics]


def test_the_ratio_is_that_of_the_running_mean_to_the_first_steps() -> None:
    """The baseline is (0.4 + 0.2) / 2 = 0.3 from the second step on."""
    done = walk([0.4, 0.2, 0.3, 0.1, 0.2], collapse=0.01)
    assert of(done, "ratio") == pytest.approx([1, 1, 1, 0.2 / 0.3, 0.2 / 0.3])


def test_the_slope_is_a_share_a_step_and_says_when_the_collapse_comes() -> None:
    """Half as much each step from a baseline of 0.8: after 3 more of them than at 0.4 it is at a sixteenth."""
    done = walk([0.8, 0.8, 0.8, 0.4, 0.2, 0.1], collapse=1 / 16)
    assert of(done, "slope")[2:] == pytest.approx([0, -math.log(2) / 2, -math.log(2), -math.log(2)])
    assert of(done, "steps_to_collapse")[2] == NEVER
    assert of(done, "steps_to_collapse")[4:] == pytest.approx([2, 1])


def test_metrics_are_those_that_others_may_name() -> None:
    assert set(EntropyMonitor.logs) == set(walk([0.4]).metrics[0]) - {ENTROPY, "response/truncated"}


def test_a_collapse_warns_once_and_shows_in_the_metrics(every_warning: list[warnings.WarningMessage]) -> None:
    """Below 0.18, which is 0.45 × 0.4: the means of 3 are .35 .3 .25 .2 .15 … from the fifth step on."""
    done = walk(FALL, collapse=0.45)
    assert of(done, "alarm") == [0] * 8 + [1] * 4
    [warning] = every_warning
    assert str(warning.message) == (
        "callbacks.entropy_monitor: entropy collapse after 9 steps: 0.150 nats a token, 0.37 of the baseline; "
        "0.45 is past at -29.3% a step (action=warn)"  # 0.2, 0.15, 0.1: half as much in 2 steps
    )
    assert done.curriculum.history == []
    assert not done.trainer.should_stop


def test_other_ranks_do_not_warn(every_warning: list[warnings.WarningMessage]) -> None:
    done = Walk(monitor(collapse=0.5), curriculum())
    done.trainer.is_global_zero = False
    done.steps(ENTROPY, FALL)
    assert of(done, "alarm")[-1] == 1
    assert every_warning == []


def test_an_alarm_that_ends_and_comes_back_warns_again(every_warning: list[warnings.WarningMessage]) -> None:
    """From the third step the means are .4 .3 .2 .1 .2 .3 .4 .3 .2 .1; below .16 it begins, above .25 it ends."""
    done = walk([0.4] * 3 + [0.1] * 3 + [0.4] * 3 + [0.1] * 3, collapse=0.4)
    assert of(done, "alarm") == [0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1]
    assert len(every_warning) == 2


def test_it_sees_a_collapse_coming(every_warning: list[warnings.WarningMessage]) -> None:
    """5% less each step: the mean of 10 is below 0.5, half-way to 0.25, when the last is 0.95^19."""
    values = [1.0] * 10 + [0.95**step for step in range(1, 40)]
    done = Walk(EntropyMonitor(collapse=0.25, horizon=20), curriculum()).steps(ENTROPY, values)
    first = of(done, "alarm").index(1.0)
    assert values[first] == pytest.approx(0.95**19)
    assert of(done, "ratio")[first - 1 : first + 1] == pytest.approx([0.5058, 0.4805], abs=1e-4)
    assert of(done, "steps_to_collapse")[first] == pytest.approx(math.log(0.25) / math.log(0.95) - 19)  # 8
    [warning] = every_warning
    assert "0.48 of the baseline; 0.25 is 8 steps away at -5.0% a step" in str(warning.message)


def test_it_stops_the_run_and_says_why(every_warning: list[warnings.WarningMessage]) -> None:
    done = walk(FALL[:8], action="stop", collapse=0.45)
    assert not done.trainer.should_stop
    done.steps(ENTROPY, FALL[8:9])
    assert done.trainer.should_stop
    assert "entropy collapse after 9 steps" in str(every_warning[0].message)


def test_an_explosion_is_an_alarm_too(every_warning: list[warnings.WarningMessage]) -> None:
    """From the third step the means are .1 .17 .3 .47; 2.5 × 0.1 is past at the fifth."""
    done = walk([0.1, 0.1, 0.1, 0.3, 0.5, 0.6], action="raise_temperature", explosion=2.5)
    assert of(done, "alarm") == [0, 0, 0, 0, 1, 1]
    assert "entropy explosion after 5 steps" in str(every_warning[0].message)
    assert done.curriculum.history == []
    assert walk([0.1, 0.1, 0.1, 0.9, 0.9], action="stop", explosion=3).trainer.should_stop


def test_it_samples_hotter_in_several_changes_until_the_collapse_is_over() -> None:
    """From the sixth step the mean is 0.1; each change waits for 3 steps, and 1.2 is the end."""
    done = walk([0.4] * 3 + [0.1] * 12, action="raise_temperature", collapse=0.4, factor=1.1)
    assert done.of("temperature") == pytest.approx([1.0] * 6 + [1.1] * 3 + [1.2] * 6)
    assert [(change.step, change.why) for change in done.curriculum.history] == [
        (6, "entropy 0.100: collapse"),
        (9, "entropy 0.100: collapse"),
    ]
    done.steps(ENTROPY, [0.4] * 5)
    assert done.curriculum.temperature == pytest.approx(1.2)


def test_a_temperature_above_the_range_stays() -> None:
    done = Walk(monitor(action="raise_temperature", collapse=0.5), curriculum(temperature=1.5))
    assert done.steps(ENTROPY, [0.4] * 3 + [0.1] * 6).curriculum.history == []


@pytest.mark.parametrize("where", ["before", "after"])
def test_no_trend_is_drawn_across_a_change_of_the_temperature(where: str) -> None:
    """From 0.4 to 0.25 with the temperature, at once and on purpose; callbacks may come in any order."""

    def colder(curriculum: Curriculum) -> None:
        if curriculum.step == 3:
            curriculum.change("sampling", "", temperature=0.6)

    done = Walk(monitor(collapse=0.5), curriculum(), **{where: colder})
    done.steps(ENTROPY, [0.4, 0.4, 0.4, 0.25, 0.25, 0.25])
    assert of(done, "slope") == pytest.approx([0] * 6)
    assert of(done, "ratio") == pytest.approx([1, 1, 1, 0.625, 0.625, 0.625])


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize(("baseline", "ratio"), [("stage", 1.0), ("run", 0.25)])
def test_the_baseline_is_that_of_the_stage_or_of_the_run(baseline: str, ratio: float, where: str) -> None:
    def switch(curriculum: Curriculum) -> None:
        if curriculum.step == 3:
            curriculum.change("stages", "", stage="code")

    done = Walk(monitor(baseline=baseline), curriculum(), **{where: switch})
    assert of(done.steps(ENTROPY, [0.4] * 3 + [0.1] * 3), "ratio") == pytest.approx([1] * 3 + [ratio] * 3)


def test_nothing_breaks_without_any_entropy() -> None:
    done = walk([0.0] * 6, collapse=0.5)
    assert of(done, "ratio") == [1] * 6
    assert of(done, "alarm") == [0] * 6


class Policy:
    """Softmaxes of fixed logits, from undecided positions to certain ones; `sharper` is what training does to them."""

    def __init__(self, sharper: float = 0.0) -> None:
        generator = torch.Generator().manual_seed(0)
        self.logits = torch.randn(100, 20, generator=generator) * torch.linspace(1, 25, 100).unsqueeze(1)
        self.sharper, self.generator, self.rollout = sharper, generator, rollout()

    def step(self, walk: Walk) -> float:
        """Sample 1,800 tokens at the curriculum's temperature; return their entropy."""
        self.logits *= 1 + self.sharper
        logprobs = (self.logits / walk.curriculum.temperature).log_softmax(-1)
        tokens = logprobs.exp().multinomial(18, replacement=True, generator=self.generator)
        sampled = logprobs.gather(1, tokens).flatten()
        generation = replace(self.rollout.generation, logprobs=tuple(sampled.tolist()))
        batch = rollout_batch([[replace(self.rollout, generation=generation)]])
        walk.step(batch, policy__entropy=-sampled.mean().item())
        return -sampled.mean().item()


@pytest.mark.parametrize(("target", "start"), [(0.3, 0.4), (0.3, 1.2), (0.5, 0.4)])
def test_the_temperature_goes_to_the_target_and_stays_there(target: float, start: float) -> None:
    arguments = {"target": target, "cooldown": 5, "window": 5, "min_temperature": 0.1, "max_temperature": 9.0}
    policy, done = Policy(), Walk(EntropyMonitor(**arguments), curriculum(temperature=start))
    entropies = [policy.step(done) for _ in range(200)]
    changes = [change.after > change.before for change in done.curriculum.history]
    assert len(changes) >= 3
    assert len(set(changes)) == 1  # all in one direction: it never went past the target by more than the tolerance
    assert sum(entropies[-50:]) / 50 == pytest.approx(target, rel=0.12)
    assert sum(change.step > 150 for change in done.curriculum.history) <= 2  # of 10 that there could be


def test_it_holds_the_target_while_training_sharpens_the_policy() -> None:
    """Logits that grow by 0.3% a step take most of the entropy in 200 steps; the temperature grows with them."""

    def mean_of_the_last(arguments: dict[str, Any]) -> float:
        policy, done = Policy(sharper=0.003), Walk(EntropyMonitor(max_temperature=9.0, **arguments), curriculum())
        return sum([policy.step(done) for _ in range(200)][-50:]) / 50

    start = Policy().step(Walk(EntropyMonitor(), curriculum()))
    assert mean_of_the_last({}) < 0.65 * start
    assert mean_of_the_last({"target": start, "cooldown": 5}) == pytest.approx(start, rel=0.15)


def test_one_change_of_the_temperature_is_bounded_and_on_record() -> None:
    done = Walk(monitor(target=0.3, cooldown=2), curriculum())
    done.steps(ENTROPY, [0.1] * 4)  # tokens of log-prob -1 each have no variance: the largest step
    changes = [(c.step, c.before, c.after, c.who, c.why) for c in done.curriculum.history]
    assert changes == [
        (2, 1.0, 1.05, "entropy_monitor", "entropy 0.100: target 0.3"),
        (4, 1.05, 1.1025, "entropy_monitor", "entropy 0.100: target 0.3"),
    ]


@pytest.mark.parametrize(("entropy", "end"), [(0.1, 1.2), (0.9, 0.6)])
def test_the_temperature_stays_in_its_range(entropy: float, end: float) -> None:
    done = Walk(monitor(target=0.3, cooldown=1), curriculum()).steps(ENTROPY, [entropy] * 20)
    assert done.curriculum.temperature == end


def test_within_the_tolerance_it_leaves_the_temperature_alone() -> None:
    assert walk([0.28, 0.32] * 6, target=0.3, tolerance=0.1).curriculum.history == []


def test_it_waits_after_what_others_change() -> None:
    def colder(curriculum: Curriculum) -> None:
        if curriculum.step == 3:
            curriculum.change("sampling", "", temperature=0.8)

    done = Walk(monitor(target=0.3), curriculum(), before=colder).steps(ENTROPY, [0.1] * 6)
    assert [change.step for change in done.curriculum.history] == [3, 6]


def test_spread_is_the_variance_of_all_log_probs() -> None:
    groups = [[rollout(logprobs=[-1.0, -2.0, -3.0])], [rollout(response_ids=[5], logprobs=[-4.0])]]
    assert spread(rollout_batch(groups)) == pytest.approx(1.25)


def test_the_spread_of_several_ranks_is_that_of_all_their_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    other = (2, -6.0, 18.0)  # two tokens of -3 each
    monkeypatch.setattr("acereason.curricula.entropy.gather", lambda own: [own, other])
    batch: RolloutBatch = rollout_batch([[rollout(response_ids=[5, 6], logprobs=[-1.0, -1.0])]])
    assert spread(batch) == pytest.approx(1.0)


@pytest.mark.parametrize("killed_at", range(1, 14))
@pytest.mark.parametrize("arguments", [{"action": "raise_temperature", "collapse": 0.5}, {"target": 0.2}])
def test_a_resumed_run_decides_as_the_uninterrupted_one(
    arguments: dict[str, Any], killed_at: int, every_warning: list[warnings.WarningMessage]
) -> None:
    entropies = [*FALL, 0.3, 0.4, 0.4]
    whole = walk(entropies, **arguments)
    told = len(every_warning)
    resumed = walk(entropies[:killed_at], **arguments).resumed(monitor(**arguments))
    resumed.steps(ENTROPY, entropies[killed_at:])
    assert resumed.curriculum == whole.curriculum
    assert resumed.metrics == whole.metrics[killed_at:]
    assert resumed.callback.state_dict() == whole.callback.state_dict()
    assert len(every_warning) == 2 * told  # nothing is told twice
    assert whole.curriculum.history


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"action": "warm"}, "action=warm: did you mean warn?"),
        ({"baseline": "epoch"}, "baseline=epoch: valid: run, stage"),
        ({"baseline_steps": 0}, "baseline_steps=0: must be a whole number from 1"),
        ({"window": 2}, "window=2: must be a whole number from 3"),
        ({"collapse": 1}, "collapse=1: must be a number above 0 and below 1"),
        ({"explosion": 0.5}, "explosion=0.5: must be a number above 1"),
        ({"horizon": -1}, "horizon=-1: must be a whole number from 0"),
        ({"target": 0}, "target=0: must be a number above 0"),
        ({"tolerance": 0}, "tolerance=0: must be a number above 0"),
        ({"factor": 1}, "factor=1: must be a number above 1"),
        ({"cooldown": 0}, "cooldown=0: must be a whole number from 1"),
        ({"min_temperature": 0}, "min_temperature=0: must be a number above 0"),
        ({"max_temperature": 0.5}, "max_temperature=0.5: must be a number from 0.6"),
        (
            {"target": 0.3, "action": "raise_temperature"},
            "action=raise_temperature: target sets the temperature already; use warn or stop",
        ),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        from_settings(tmp_path, "entropy", PATH, **arguments)
    assert str(caught.value) == f"callbacks.entropy.init_args.{message}"


def test_its_file_in_conf_turns_it_on_with_its_defaults(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "include=callback/entropy_monitor")
    [callback] = user_callbacks(config)
    defaults = {name: entry.default for name, entry in inspect.signature(EntropyMonitor).parameters.items()}
    assert isinstance(callback, EntropyMonitor)
    assert config.callbacks["entropy"].init_args == defaults


def test_a_real_run_is_sampled_at_the_temperature_that_it_sets(tmp_path: Path) -> None:
    """The laptop policy is hotter than 0.01 nats: each step is colder than the one before, by at most the factor."""
    arguments = {"target": 0.01, "cooldown": 1, "factor": 1.25}
    finished = fit(settings(tmp_path, "entropy", PATH, "trainer.max_steps=4", **arguments))
    assert [batch.temperature for batch in finished.recorder.batches] == pytest.approx([1.0, 0.8, 0.64, 0.6])
    assert finished.recorder.of(ENTROPY)[-1] > 0
    assert set(EntropyMonitor.logs) <= set(finished.policy.metrics)
