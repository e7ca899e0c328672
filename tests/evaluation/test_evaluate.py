"""Evaluation: pass@1 with its standard error, and the same seeds every time."""

import math
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_runs import JudgeHere, alone, prompts, starts_with_a, tokenizer, transformers_engine

from acereason.engines.engine import Engine, Request, Sampling
from acereason.engines.rollout import rollout_seed
from acereason.engines.scripted_engine import ScriptedEngine
from acereason.evaluation.evaluate import EvaluationResult, HeldOutResults, evaluate, evaluation_key
from acereason.tables import RESPONSES


def run(
    engine: Engine,
    *,
    judge: Callable = starts_with_a,
    length: int = 8,
    count: int = 4,
    seed: int = 0,
    table: Path | None = None,
) -> EvaluationResult:
    engines, sampling, key = alone(engine, JudgeHere(judge).submit), Sampling(length, 0.6, 0.95), evaluation_key(seed)
    return evaluate(engines, prompts(8)[:count], sampling, samples=4, key=key, table=table).domains["math"]


def scripted() -> ScriptedEngine:
    """Problems 0 to 3 get 4, 2, 0 and 2 of 4 samples that start with `a`; sample n has n + 1 more letters."""
    right = [4, 2, 0, 2]

    def script(request: Request) -> list[int]:
        problem, sample = divmod(request.id, 4)
        first = "a" if sample < right[problem] else "c"
        return tokenizer().encode(first + "x" * (sample + 1))

    return ScriptedEngine(script)


def test_pass_at_1_is_the_mean_and_its_error_that_of_problems() -> None:
    result = run(scripted())
    assert result.pass_at_1 == pytest.approx(8 / 16)
    # Rates 1, 1/2, 0, 1/2: variance (1/4 + 1/4) / 3, error √(1/6) / √4.
    assert result.standard_error == pytest.approx(math.sqrt(1 / 6) / 2)


def test_lengths_and_truncation_are_counted_over_all_responses() -> None:
    result = run(scripted(), length=4)
    assert result.length_mean == pytest.approx((2 + 3 + 4 + 4) / 4)  # 2, 3, 4 and 5 tokens cut at 4
    assert result.truncated == pytest.approx(1 / 4)


def test_the_scalars_have_the_names_of_the_curves() -> None:
    result = run(scripted())
    assert HeldOutResults({"math": result}).metrics() == {
        "eval/pass@1": result.pass_at_1,
        "eval/pass@1_standard_error": result.standard_error,
        "eval/length_mean": 3.5,
        "eval/truncated": 0.0,
    }


def responses(table: Path) -> list[str]:
    return pq.read_table(table)["response"].to_pylist()


def test_the_same_seed_finds_the_same_and_another_one_does_not(tmp_path: Path) -> None:
    engine, texts = transformers_engine(), []
    for number, seed in enumerate((0, 0, 1)):
        run(engine, length=16, seed=seed, table=tmp_path / f"{number}.parquet")
        texts.append(responses(tmp_path / f"{number}.parquet"))
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_its_seeds_are_those_of_no_training_step() -> None:
    asked: list[Request] = []

    def script(request: Request) -> list[int]:
        asked.append(request)
        return [5]

    run(ScriptedEngine(script))
    ids = [prompt.problem.id for prompt in prompts(8)[:4]]
    seeds = [request.seed for request in sorted(asked, key=lambda request: request.id)]
    assert seeds == [rollout_seed(0, -1, i, n) for i in ids for n in range(4)]
    training = {rollout_seed(0, step, i, n) for step in range(500) for i in ids for n in range(4)}
    assert training.isdisjoint(request.seed for request in asked)


def test_results_keep_ids_and_scores_and_the_table_what_was_sampled(tmp_path: Path) -> None:
    ids = [prompt.problem.id for prompt in prompts(8)[:4]]
    result = run(scripted(), table=tmp_path / "responses.parquet")
    assert [scores.problem for scores in result.problems] == ids
    assert [scores.rewards for scores in result.problems] == [(1, 1, 1, 1), (1, 1, 0, 0), (0, 0, 0, 0), (1, 1, 0, 0)]
    rows = pq.read_table(tmp_path / "responses.parquet").to_pylist()
    assert [(row["problem"], row["sample"]) for row in rows] == [(i, n) for i in ids for n in range(4)]
    assert [row["response"] for row in rows[4:8]] == ["ax", "axx", "cxxx", "cxxxx"]
    assert [row["reward"] for row in rows[4:8]] == [1, 1, 0, 0]
    assert list(rows[0]) == list(RESPONSES)
