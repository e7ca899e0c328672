"""A policy in host memory: FSDP2's offloading computes the same numbers, and runs resume with and without it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fresh_process import fresh_environment
from tiny_runs import Fitted, fit, tiny_config
from torch.distributed.fsdp import CPUOffloadPolicy

from acereason.config.compose import compose
from acereason.distributed.allocator import limit_pinned_memory

OFFLOADED = "model.cpu_offload=true"


def run(root: Path, *overrides: str, whole: bool = False) -> Fitted:
    common = ("model.compute_dtype=bfloat16", "grpo.kl_coefficient=0.01", "checkpoint.every_n_steps=1")
    return fit(tiny_config(root, *common, "checkpoint.export_stages=false", *overrides), whole=whole)


def same(ours: Fitted, theirs: Fitted) -> bool:
    expected = theirs.weights()
    return all(torch.equal(tensor, expected[name]) for name, tensor in ours.weights().items())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    return run(tmp_path_factory.mktemp("plain"))


def test_offloading_changes_no_number(plain: Fitted, tmp_path: Path) -> None:
    offloaded = run(tmp_path, OFFLOADED)
    for model in (offloaded.policy.model, offloaded.policy.reference):
        assert model is not None
        assert isinstance(model._get_fsdp_state()._fsdp_param_group.offload_policy, CPUOffloadPolicy)
    for name in ("policy/grad_norm", "policy/loss", "policy/kl", "rollout/logprob_gap_max"):
        assert offloaded.recorder.of(name) == plain.recorder.of(name)
    assert same(offloaded, plain)


def test_a_run_resumes_with_and_without_offloading(plain: Fitted, tmp_path: Path) -> None:
    run(tmp_path, OFFLOADED, "trainer.max_steps=1", whole=True)
    assert same(run(tmp_path, "ckpt=last", whole=True), plain)
    again = run(tmp_path, OFFLOADED, f"ckpt={tmp_path}/tiny/checkpoints/step-000001", "run.name=again", whole=True)
    assert same(again, plain)


def test_offloaded_weights_stay_where_they_are_when_the_module_moves(plain: Fitted, tmp_path: Path) -> None:
    """Lightning moves its module to the GPU; here a type stands in for a device that this machine lacks."""
    model = run(tmp_path, OFFLOADED, "trainer.max_steps=0").policy.model
    assert model is not None
    assert {p.dtype for p in model.to(torch.float64).parameters()} == {torch.float32}


@pytest.mark.parametrize("given", ["PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"])
def test_large_pinned_buffers_are_exact_if_weights_are_offloaded(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTORCH_CUDA_ALLOC_CONF", raising=False)
    monkeypatch.delenv("PYTORCH_ALLOC_CONF", raising=False)
    monkeypatch.setenv(given, "expandable_segments:True")
    limit_pinned_memory(compose([]))
    assert os.environ[given] == "expandable_segments:True"
    limit_pinned_memory(compose([OFFLOADED]))
    # torch reads it when it first allocates.
    code = "import torch; print(torch._C._accelerator_getAllocatorSettings())"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=fresh_environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "expandable_segments:True,pinned_max_cached_size_mb:16"
