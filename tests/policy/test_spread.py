"""Responses are spread over ranks and micro-batches so that ranks wait little for each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, Gemma3TextConfig

from acereason.policy.cost import TOKENS_ALONE, Cost
from acereason.policy.spread import MicroBatch, Size, micro_batches
from perf.training.lockstep import LIMIT, Costs, by_tokens, cost_of, draw

QUADRATIC = Cost(100, ((None, 1),))


def tokens(batch: MicroBatch, sizes: list[Size]) -> int:
    """Tokens of a micro-batch: its responses, and each group's prompt once."""
    prompts = {sizes[number][0]: sizes[number][1] for number in batch}
    return sum(prompts.values()) + sum(sizes[number][2] for number in batch)


groups = st.lists(
    st.tuples(st.integers(0, 9), st.lists(st.integers(1, 60), min_size=1, max_size=5)), min_size=0, max_size=6
)


@settings(max_examples=60)
@given(groups, st.integers(1, 5), st.integers(20, 90), st.sampled_from([TOKENS_ALONE, QUADRATIC]))
def test_every_response_once_within_the_limit_and_equally_many_on_all_ranks(
    drawn: list[tuple[int, list[int]]], ranks: int, limit: int, cost: Cost
) -> None:
    sizes = [(group, prompt, length) for group, (prompt, lengths) in enumerate(drawn) for length in lengths]
    plan = micro_batches(sizes, ranks, limit, cost)
    assert len(plan) == ranks
    assert len({len(batches) for batches in plan}) == 1
    batches = [batch for batches in plan for batch in batches]
    assert sorted(number for batch in batches for number in batch) == list(range(len(sizes)))
    assert all(batch == sorted(batch) for batch in batches)  # so neighbours of one group share their prompt
    assert all(len(batch) <= 1 or tokens(batch, sizes) <= limit for batch in batches)
    assert plan == micro_batches(sizes, ranks, limit, cost)


def test_two_ranks_share_by_cost_and_not_by_number() -> None:
    assert micro_batches([(0, 0, 60), (1, 0, 20), (2, 0, 20), (3, 0, 20)], 2, 100, TOKENS_ALONE) == [[[0]], [[1, 2, 3]]]


def test_a_prompt_is_computed_once_where_sharing_saves_more_than_balance() -> None:
    # Together on each rank: 100 + 10 + 10. With one response of each group on each rank: 100 + 10 + 100 + 10.
    sizes = [(0, 100, 10), (0, 100, 10), (1, 100, 10), (1, 100, 10)]
    assert micro_batches(sizes, 2, 300, TOKENS_ALONE) == [[[0, 1]], [[2, 3]]]


def test_micro_batches_of_one_time_cost_the_same_and_the_first_ones_most() -> None:
    # Two of 60 tokens and four of 30 on two ranks, 60 tokens each: equal in tokens, but 60² > 2 · 30².
    sizes = [(number, 0, length) for number, length in enumerate([30, 60, 30, 30, 60, 30])]
    assert micro_batches(sizes, 2, 60, QUADRATIC) == [[[1], [0, 2]], [[4], [3, 5]]]


def test_a_response_longer_than_the_limit_is_a_micro_batch_of_its_own() -> None:
    assert micro_batches([(0, 5, 7), (0, 5, 50), (0, 5, 8)], 1, 20, TOKENS_ALONE) == [[[1], [0, 2]]]


def test_few_responses_leave_empty_micro_batches() -> None:
    assert micro_batches([(0, 5, 7)], 3, 100, TOKENS_ALONE) == [[[0]], [[]], [[]]]
    assert micro_batches([], 2, 100, TOKENS_ALONE) == [[[]], [[]]]


def test_attention_costs_a_query_each_token_that_it_sees() -> None:
    assert Cost(10, ((None, 2),)).of_first(np.array([0, 1, 4])).tolist() == [0, 10 + 2, 40 + 2 * (1 + 2 + 3 + 4)]
    assert Cost(10, ((2, 1),)).of_first(np.array([4])).tolist() == [40 + 1 + 2 + 2 + 2]


def test_the_cost_follows_from_the_shape_of_the_model() -> None:
    # 7,070,619,136 weights without the embedding; queries 3,584 wide: a token costs as much as seeing 35,229 others.
    cost = cost_of("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B")
    assert cost == Cost(7_070_619_136 // (2 * 3584), ((None, 28),))
    assert cost.token // 28 == 35_229
    shape = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2, "num_key_value_heads": 1}
    windows = Gemma3TextConfig(**shape, head_dim=4, vocab_size=16, num_hidden_layers=6, sliding_window=32)
    assert dict(Cost.of(AutoModelForCausalLM.from_config(windows)).layers) == {32: 5, None: 1}


@pytest.mark.parametrize(("ranks", "least", "before"), [(128, 0.88, 0.6), (8, 0.95, 0.8)])
def test_2048_responses_of_a_7b_policy_keep_ranks_busy(ranks: int, least: float, before: float) -> None:
    cost = cost_of("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B")
    sizes = draw(2048, 9_000, 0)
    costs = Costs(sizes, cost)
    assert costs.figures(micro_batches(sizes, ranks, LIMIT, cost))[0] >= least
    assert costs.figures(by_tokens(sizes, ranks, LIMIT))[0] <= before
