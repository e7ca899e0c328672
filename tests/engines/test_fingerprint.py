"""Sums of weights tell whether an engine has them, in whatever layout."""

import re

import pytest
import torch
from torch import Tensor

from acereason.engines.fingerprint import UNKNOWN, EngineSum, Fingerprint, WeightMismatchError

HEAD = "lm_head.weight"
TIED = {HEAD: "model.embed_tokens.weight"}
WEIGHTS = {
    "model.embed_tokens.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
    "model.layers.0.q_proj.weight": torch.tensor([5.0, -1.0]),
    "model.layers.0.k_proj.weight": torch.tensor([0.5]),
    "model.norm.weight": torch.tensor([1.0, 1.0]),
}


def engine_name(name: str) -> str:
    return re.sub(r"\b[qk]_proj", "qkv_proj", name)


def watched(weights: dict[str, Tensor] = WEIGHTS, dtype: torch.dtype = torch.float32) -> Fingerprint:
    fingerprint = Fingerprint(engine_name)
    passed = dict(fingerprint.watch(weights.items(), dtype))
    assert all(passed[name].dtype == dtype and torch.equal(passed[name], weights[name].to(dtype)) for name in weights)
    return fingerprint


def engine(**changes: EngineSum) -> dict[str, EngineSum]:
    found = {"embed_tokens": 10.0, "layers.0.qkv_proj": 4.5, "norm": 2.0}
    sums = {f"model.{name}.weight": EngineSum(value, 1, 0.0) for name, value in found.items()}
    return sums | {HEAD: EngineSum(10.0, 1, 0.0)} | changes


def test_fused_tensors_and_a_tied_head_add_up_to_what_was_sent() -> None:
    assert watched().check(engine(), torch.clone, TIED) == 4


def test_a_weight_that_a_sleeping_engine_dropped_must_be_sent() -> None:
    more = engine(**{"model.layers.0.scale": EngineSum(1.0, 1, 0.0)})
    assert watched().check(more, torch.clone, TIED) == 4
    with pytest.raises(WeightMismatchError, match=r"model\.layers\.0\.scale is not among the policy's weights, .*keep"):
        watched().check(more, torch.clone, TIED, dropped=True)
    assert watched().check(engine(), torch.clone, TIED, dropped=True) == 4


def test_what_differs_is_named() -> None:
    stale = engine(**{"model.layers.0.qkv_proj.weight": EngineSum(4.5001, 1, 0.0)})
    with pytest.raises(WeightMismatchError, match=r"model.layers.0.qkv_proj.weight adds up to 4.5001, .* 4.5"):
        watched().check(stale, torch.clone, TIED)


def test_a_stale_copy_of_the_tied_head_is_found() -> None:
    with pytest.raises(WeightMismatchError, match=r"lm_head"):
        watched().check(engine(**{HEAD: EngineSum(9.0, 1, 0.0)}), torch.clone, TIED)


def test_a_weight_that_the_engine_does_not_have_is_named() -> None:
    sums = engine()
    del sums["model.norm.weight"]
    with pytest.raises(WeightMismatchError, match=r"the engine has no weight model.norm.weight"):
        watched().check(sums, torch.clone, TIED)


def test_what_cannot_be_added_up_is_left_out() -> None:
    assert watched().check(engine(**{"model.layers.0.qkv_proj.weight": UNKNOWN}), torch.clone, TIED) == 3


def test_nan_is_a_mismatch() -> None:
    with pytest.raises(WeightMismatchError):
        watched().check(engine(**{"model.norm.weight": EngineSum(float("nan"), 1, 0.0)}), torch.clone, TIED)


def test_parts_on_two_ranks_are_added_and_copies_are_not() -> None:
    here = {"lm_head": (4.0, 1), "model.embed_tokens": (4.0, 1), "model.layers.0.qkv_proj": (2.0, 1)}
    here["model.norm"] = (2.0, 2)
    sums = {f"{name}.weight": EngineSum(value, copies, 0.0) for name, (value, copies) in here.items()}
    others = torch.tensor([6.0, 6.0, 2.5, 1.0], dtype=torch.float64)  # in the order of names; half of the norm's
    assert watched().check(sums, lambda values: values + others, TIED) == 4


def test_what_a_kernel_computed_may_differ_by_its_rounding() -> None:
    weights = {"model.norm.weight": torch.full((1000,), 0.1)}
    near, far = 100.0 + 5e-6, 100.0 + 1e-3
    watched(weights).check({"model.norm.weight": EngineSum(near, 1, 1.2e-7)}, torch.clone, {})
    with pytest.raises(WeightMismatchError):
        watched(weights).check({"model.norm.weight": EngineSum(far, 1, 1.2e-7)}, torch.clone, {})


def test_sums_are_those_of_the_type_the_engine_computes_in() -> None:
    weights = {"model.norm.weight": torch.full((4,), 0.1)}
    rounded = float(torch.tensor(0.1).bfloat16())
    fingerprint = watched(weights, torch.bfloat16)
    assert fingerprint.check({"model.norm.weight": EngineSum(4 * rounded, 1, 0.0)}, torch.clone, {}) == 1
