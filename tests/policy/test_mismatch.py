"""How far engine and policy are apart: the figures by hand, and when the first steps of a run end it."""

import math
from pathlib import Path

import pytest
import torch
from tiny_runs import fit, starts_with_a, tiny_config, transformers_engine

from acereason.config.compose import compose
from acereason.config.schema import Correction, GRPOConfig
from acereason.errors import UserError
from acereason.policy.mismatch import CHECKED_STEPS, GapCheck, Mismatch, total


def apart(gap: float, tokens: int = 10) -> Mismatch:
    return Mismatch(tokens, gap_sum=gap * tokens)


def check_of(*overrides: str) -> GapCheck:
    return GapCheck(compose(["recipe=laptop_math", "run.name=x", *overrides]))


def passes(check: GapCheck, mismatch: Mismatch, step: int = 0, temperature: float = 1.0, top_p: float = 1.0) -> bool:
    try:
        check(mismatch, step, temperature, top_p)
    except UserError:
        return False
    return True


def test_the_figures_of_two_micro_batches_by_hand() -> None:
    # Ratios 2, 1/2 and 4 with bounds up to 3, compared as they are; then 1 and 1.
    log_ratios, config = torch.tensor([2.0, 0.5, 4.0]).log(), GRPOConfig(correction=Correction.token_cap)
    config.correction_high = 3.0
    parts = [Mismatch.of(logs, logs.exp(), config) for logs in (log_ratios, torch.zeros(2))]
    metrics = total(parts).metrics(config.correction)
    assert metrics == {
        "rollout/logprob_gap_mean": pytest.approx(4 * math.log(2) / 5),  # (1 + 1 + 2) ln 2 over five tokens
        "rollout/logprob_gap_max": pytest.approx(2 * math.log(2)),
        "rollout/ratio_mean": pytest.approx(8.5 / 5),
        "rollout/ratio_min": 0.5,
        "rollout/ratio_max": pytest.approx(4.0),
        "rollout/ratio_capped": 0.2,
    }
    assert total(parts[::-1]) == total([*parts, Mismatch()]) == total(parts)
    masked = set(total(parts).metrics(Correction.sequence_mask)) - set(metrics)
    assert masked == {"rollout/ratio_masked", "rollout/sequence_ratio_min", "rollout/sequence_ratio_max"}
    assert set(total(parts).metrics(Correction.none)) == set(metrics) - {"rollout/ratio_capped"}
    assert Mismatch().metrics(Correction.token_cap) == {}


@pytest.mark.parametrize(
    ("types", "bound"),
    [(("float32", "float32"), 1e-4), (("float16", "float32"), 0.02), (("bfloat16", "float16"), 0.15)],
)
def test_the_coarser_type_sets_the_bound(types: tuple[str, str], bound: float) -> None:
    check = check_of(f"engine.dtype={types[0]}", f"model.compute_dtype={types[1]}")
    assert passes(check, apart(0.99 * bound)) and not passes(check, apart(1.01 * bound))
    assert passes(check, apart(1.9 * bound), temperature=0.5)  # log-probs of logits that are twice as large
    assert passes(check, apart(9.0), top_p=0.95)  # those of the engine are of a smaller set of tokens


def test_a_bound_of_ones_own_or_none() -> None:
    check = check_of("rollout.max_gap=0.3")
    assert passes(check, apart(0.29)) and not passes(check, apart(0.31))
    assert not passes(check, apart(0.31), temperature=0.5)
    assert not passes(check, apart(math.nan))
    assert passes(check_of("rollout.max_gap=.inf"), apart(1e9))


def test_the_first_steps_that_computed_tokens_are_checked() -> None:
    check = check_of()
    for step in range(CHECKED_STEPS + 2):
        assert passes(check, apart(0.0, tokens=10 if step % 2 == 0 else 0), step)
    assert not passes(check, apart(1.0), 4)  # the third with tokens, whose second update fails
    assert passes(check, apart(1.0), 6)


def test_an_engine_with_other_weights_ends_the_run_before_it_learns_from_them(tmp_path: Path) -> None:
    engine, updates = transformers_engine(), []
    engine.sync = lambda weights: updates.append(sum(float(w.double().sum()) for _, w in weights))  # type: ignore[method-assign]
    config = tiny_config(tmp_path, "trainer.max_steps=3")
    with pytest.raises(UserError) as caught:
        fit(config, engine=engine)
    said = str(caught.value)
    assert said.startswith("rollout.max_gap=0: engine and policy differ by ") and "\n" not in said
    for part in ("in step 2, more than 0.0001 (float32)", "model.path=models/laptop", "rollout.max_gap=.inf"):
        assert part in said
    assert len(updates) == 2


def test_a_step_without_computed_tokens_measures_nothing(tmp_path: Path) -> None:
    rewards = iter([1.0] * 8 + [0.0] * 8)  # all right, then by chance
    run = fit(
        tiny_config(tmp_path, "grpo.correction=sequence_mask"),
        judge=lambda problem, response: next(rewards) or starts_with_a(problem, response),
    )
    first, second = run.recorder.metrics
    assert not any(name.startswith("rollout/") for name in first)
    assert second["rollout/logprob_gap_max"] <= 1e-4
    assert second["rollout/ratio_masked"] == 0
    assert 0.99 < second["rollout/sequence_ratio_min"] <= second["rollout/sequence_ratio_max"] < 1.01
