"""Whole steps in bfloat16: they run, learn what float32 learns but for rounding, and keep float32 weights."""

from pathlib import Path

import pytest
import torch
from tiny_runs import Fitted, fit, tiny_config

BFLOAT16 = ("model.compute_dtype=bfloat16", "engine.dtype=bfloat16")
EPS = torch.finfo(torch.bfloat16).eps


def run(root: Path, *overrides: str) -> Fitted:
    return fit(tiny_config(root, "curriculum.max_response_tokens=16", "curriculum.temperature=1", *overrides))


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


def test_a_step_in_bfloat16_goes_where_one_in_float32_goes(tmp_path: Path) -> None:
    """The same rollouts, from a float32 engine; only the arithmetic of the update differs."""
    steps = []
    for name, overrides in (("float32", ()), ("bfloat16", BFLOAT16[:1])):
        before = run(tmp_path / f"{name}-0", *overrides, "curriculum.learning_rate=0", "trainer.max_steps=1").weights()
        after = run(tmp_path / name, *overrides, "trainer.max_steps=1").weights()
        steps.append(torch.cat([(after[key] - before[key]).flatten() for key in before]))
    assert torch.nn.functional.cosine_similarity(*steps, dim=0) > 0.9
