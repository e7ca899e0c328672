"""Whole steps in 16 bits: they run, learn what float32 learns but for rounding, and keep float32 weights."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from tiny_runs import Fitted, fit, tiny_config

from acereason.config.schema import DType
from acereason.policy.loss_scale import LossScale

BFLOAT16 = ("model.compute_dtype=bfloat16", "engine.dtype=bfloat16")
FLOAT16 = ("model.compute_dtype=float16", "engine.dtype=float16")
LONGER = ("curriculum.max_response_tokens=16", "curriculum.temperature=1")
EPS = torch.finfo(torch.bfloat16).eps


def run(root: Path, *overrides: str) -> Fitted:
    return fit(tiny_config(root, *LONGER, *overrides))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    return run(tmp_path_factory.mktemp("plain"), *BFLOAT16)


def test_engine_and_policy_in_bfloat16_differ_by_its_rounding(plain: Fitted) -> None:
    assert len(plain.recorder.batches) == 2
    for gap in plain.recorder.of("rollout/logprob_gap_mean"):
        assert 0 < gap < 4 * EPS


def test_weights_and_gradients_stay_float32(plain: Fitted) -> None:
    assert {tensor.dtype for tensor in plain.weights().values()} == {torch.float32}
    state = plain.trainer.optimizers[0].state.values()
    assert {tensor.dtype for moments in state for tensor in moments.values()} == {torch.float32}


def test_checkpointing_recomputes_the_same_numbers(plain: Fitted, tmp_path: Path) -> None:
    checkpointed = run(tmp_path, *BFLOAT16, "model.activation_checkpointing=true")
    for name in ("policy/grad_norm", "policy/loss", "rollout/logprob_gap_max"):
        assert checkpointed.recorder.of(name) == plain.recorder.of(name)
    theirs = plain.weights()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in checkpointed.weights().items())


def test_a_step_in_half_the_bits_goes_where_one_in_float32_goes(tmp_path: Path) -> None:
    """The same rollouts, from a float32 engine; only the arithmetic of the update differs."""
    steps = []
    for name, overrides in (("float32", ()), ("bfloat16", BFLOAT16[:1]), ("float16", FLOAT16[:1])):
        before = run(tmp_path / f"{name}-0", *overrides, "curriculum.learning_rate=0", "trainer.max_steps=1").weights()
        after = run(tmp_path / name, *overrides, "trainer.max_steps=1").weights()
        steps.append(torch.cat([(after[key] - before[key]).flatten() for key in before]))
    similarity = [torch.nn.functional.cosine_similarity(steps[0], step, dim=0) for step in steps[1:]]
    assert similarity[0] > 0.9
    assert similarity[1] > max(similarity[0], 0.99)  # 10 bits of mantissa instead of 7


class LargeScale(Callback):
    """Begins with a loss scale at which every gradient overflows."""

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        module.loss_scale.value = 2.0**40


def test_gradients_that_overflow_in_float16_are_computed_again_with_a_smaller_scale(tmp_path: Path) -> None:
    plain = run(tmp_path / "plain", *FLOAT16)
    assert plain.recorder.of("policy/loss_scale") == [2**16, 2**16]
    assert max(plain.recorder.of("rollout/logprob_gap_mean")) < 4 * torch.finfo(torch.float16).eps
    words = [*LONGER, *FLOAT16, "checkpoint.every_n_steps=1"]
    lowered = fit(tiny_config(tmp_path / "lowered", *words), callbacks=[LargeScale()], whole=True)
    for scale in lowered.recorder.of("policy/loss_scale"):
        assert 2**16 <= scale < 2**40 and math.log2(scale) % 2 == 0  # a fourth each time
    assert lowered.recorder.of("policy/skipped_updates") == [0, 0]
    assert lowered.recorder.of("policy/grad_norm") == pytest.approx(plain.recorder.of("policy/grad_norm"), rel=1e-3)
    first = lowered.folder / "checkpoints" / "step-000001"
    resumed = fit(tiny_config(tmp_path / "resumed", *words, f"ckpt={first}"))
    assert resumed.recorder.of("policy/loss_scale") == lowered.recorder.of("policy/loss_scale")[1:]
    theirs = lowered.weights()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in resumed.weights().items())


def test_a_loss_scale_grows_after_fifty_updates_and_is_saved() -> None:
    scale = LossScale(DType.float16)
    for _ in range(49):
        scale.count()
    saved = scale.state_dict()
    scale.count()
    assert (scale.value, scale.steady) == (2**17, 0)
    restored = LossScale(DType.float16)
    restored.load_state_dict(saved)
    restored.count()
    assert restored.state_dict() == scale.state_dict()
    assert [scale.lower() for _ in range(10)] == [True] * 9 + [False] and scale.value == 1
    off = LossScale(DType.bfloat16)
    off.count()
    assert not off.lower() and off.state_dict() == {"value": 1, "steady": 0}
