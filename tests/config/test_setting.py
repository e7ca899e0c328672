"""Rules of settings: what bounds contain and how they read, and which settings decide the numbers of a run."""

import math
from dataclasses import dataclass

import pytest

from acereason.config.checks import check_settings, entries, problem_with
from acereason.config.schema import CallbackConfig, Config, CurriculumConfig, ProblemsConfig
from acereason.config.setting import Bounds, group, setting
from acereason.errors import UserError

INF = math.inf


@pytest.mark.parametrize(
    ("bounds", "words", "inside", "outside"),
    [
        (Bounds(ge=1), "from 1", [1, 2, 1e300], [0, 0.999, INF, math.nan]),
        (Bounds(gt=0), "above 0", [1e-300], [0, -1, INF, math.nan]),
        (Bounds(ge=0, le=1), "from 0 to 1", [0, 0.5, 1], [-1e-9, 1.001, math.nan]),
        (Bounds(ge=0, lt=1), "from 0 to below 1", [0, 0.999], [1, -1]),
        (Bounds(gt=0, le=1), "above 0 and at most 1", [1e-9, 1], [0, 1.001]),
        (Bounds(gt=0, lt=1), "above 0 and below 1", [0.5], [0, 1]),
        (Bounds(ge=0, le=INF), "from 0", [0, INF], [-1, math.nan]),
        (Bounds(gt=-INF), "", [-1e300, 0, 1e300], [-INF, INF, math.nan]),
        (Bounds(gt=-INF, lt=5), "below 5", [4, -1e300], [5, -INF]),
        (Bounds(ge=0, le=65535), "from 0 to 65535", [65535], [65536]),
    ],
)
def test_bounds(bounds: Bounds, words: str, inside: list[float], outside: list[float]) -> None:
    assert bounds.words == words
    assert all(map(bounds.contain, inside))
    assert not any(map(bounds.contain, outside))


@pytest.mark.parametrize("ends", [{}, {"le": 1}, {"ge": 0, "gt": 0}, {"ge": 0, "le": 1, "lt": 1}])
def test_half_a_declaration_is_refused(ends: dict[str, float]) -> None:
    with pytest.raises(TypeError, match="bounds need one of ge and gt, and at most one of le and lt"):
        Bounds(**ends)


@dataclass
class Inner:
    width: int = setting(4, ge=1, multiple_of=("height", "depth"))
    layers: list[str] = setting(["a"], choices=("a", "b"))


@dataclass
class Outer:
    height: int = setting(2, ge=0)
    depth: int = setting(0, ge=0, divides=("inner.width",))
    inner: Inner = group(Inner, width=6)


@pytest.mark.parametrize(
    ("outer", "message"),
    [
        (Outer(height=4), "inner.width=6: must be a multiple of height × depth = 4"),
        (Outer(depth=4), "depth=4: must be a divisor of inner.width = 6"),
        (Outer(inner=Inner(layers=["a", "c"])), 'inner.layers=["a", "c"]: there is no c; valid: a, b'),
        (Outer(inner=Inner(width=0)), "inner.width=0: must be a whole number from 1"),
    ],
)
def test_a_broken_rule_is_named(outer: Outer, message: str) -> None:
    with pytest.raises(UserError) as caught:
        check_settings(outer)
    assert str(caught.value) == message


def test_rules_that_hold_say_nothing_and_0_stands_for_a_default() -> None:
    check_settings(Outer())
    check_settings(Outer(height=0, depth=3))
    check_settings(Inner(width=5))  # alone, there is nothing that it must be a multiple of


def test_lists_are_not_shared() -> None:
    first, second = Inner(), Inner()
    first.layers.append("b")
    assert second.layers == ["a"]


def test_a_value_is_judged_by_the_rule_of_its_field() -> None:
    assert problem_with(CurriculumConfig, "top_p", 0.5) == ""
    assert problem_with(CurriculumConfig, "top_p", 0) == "must be a number above 0 and at most 1"
    assert problem_with(CurriculumConfig, "top_p", "${seed}") == "must be a number above 0 and at most 1"
    assert problem_with(CurriculumConfig, "prompts_per_step", 2.5) == "must be a whole number from 1"
    assert problem_with(CurriculumConfig, "prompts_per_step", True) == "must be a whole number from 1"
    assert problem_with(CurriculumConfig, "stage", 3) == "must be text, and not empty"


PROBLEMS = {
    *("path", "domain", "question", "answer", "id", "level", "split", "limit", "skip_empty", "held_out", "count"),
    *("levels", "seed", "false_negatives", "false_positives"),
}
DECIDING = {
    *("seed", "model.compute_dtype", "engine.name", "engine.dtype"),
    *("model.lora.rank", "model.lora.alpha", "model.lora.by_root", "model.lora.targets"),
    *(f"problems.{name}" for name in PROBLEMS),
    *(f"more_problems.x.{name}" for name in PROBLEMS),
    *("prompts.template", "prompts.system", "prompts.instructions.math", "prompts.instructions.code"),
    *("prompts.examples", "prompts.chat_template_kwargs"),
    *("curriculum.stage", "curriculum.max_response_tokens", "curriculum.prompts_per_step"),
    *("curriculum.rollouts_per_prompt", "curriculum.temperature", "curriculum.top_p", "curriculum.learning_rate"),
    *("grpo.advantage", "grpo.normalisation", "grpo.updates_per_batch", "grpo.clip_low", "grpo.clip_high"),
    *("grpo.kl_coefficient", "grpo.entropy_coefficient", "grpo.mask_truncated", "grpo.correction"),
    *("grpo.correction_low", "grpo.correction_high"),
    *("optimizer.beta1", "optimizer.beta2", "optimizer.eps", "optimizer.weight_decay", "optimizer.warmup_steps"),
    *("optimizer.max_grad_norm", "optimizer.fused"),
    *("rewards.timeout_seconds", "rewards.memory_mib", "rewards.thinking", "rewards.shuffle"),
    *("sandbox.time_limit_seconds", "sandbox.total_time_limit_seconds", "sandbox.memory_mib", "sandbox.output_mib"),
    *("sandbox.tmp_mib", "sandbox.processes", "sandbox.packages"),
    *("evaluation.samples_per_problem", "evaluation.temperature", "evaluation.top_p"),
    *("evaluation.max_response_tokens", "callbacks.y.class_path", "callbacks.y.init_args"),
}


def test_the_settings_that_decide_the_numbers_of_a_run_are_these() -> None:
    config = Config(more_problems={"x": ProblemsConfig()}, callbacks={"y": CallbackConfig("a.B", {"z": 1})})
    found = [entry.key for entry in entries(config) if entry.decides]
    assert len(found) == len(set(found))
    assert set(found) == DECIDING | {"model.path"}  # a folder's path decides nothing: see training/checkpoint_files.py
