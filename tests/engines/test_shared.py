"""Engines that share a phase: a fair order, everything home, and one word for all ranks when it is cut short."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import JudgeHere, alone, prompts

from acereason.engines.collect import SamplingJob
from acereason.engines.engine import Request, Sampling
from acereason.engines.scripted_engine import ScriptedEngine
from acereason.engines.shared import draw_order
from acereason.errors import StopRequested


def test_the_longest_begin_first_and_are_dealt_out_to_engines_that_fill_up_in_one_go() -> None:
    expected = [10.0, 80.0, 20.0, 70.0, 30.0, 60.0, 40.0, 50.0]
    order = draw_order(expected, engines=2, hand=2)
    assert [expected[number] for number in order] == [80, 60, 70, 50, 40, 30, 20, 10]


def test_where_nothing_is_known_the_responses_to_a_prompt_are_spread_over_engines() -> None:
    order = draw_order([inf] * 64, engines=4, hand=16)
    for engine in range(4):
        prompts_met = {number // 16 for number in order[16 * engine : 16 * (engine + 1)]}
        assert prompts_met == {0, 1, 2, 3}


@given(st.lists(st.sampled_from([1.0, 2.0, inf]), max_size=30), st.integers(1, 4), st.integers(1, 9))
def test_every_response_waits_once(expected: list[float], engines: int, hand: int) -> None:
    order = draw_order(expected, engines, hand)
    assert sorted(order) == list(range(len(expected)))
    assert order == draw_order(expected, engines, hand)


def job() -> SamplingJob:
    return SamplingJob(prompts(3), 2, Sampling(8), lambda problem, sample: sample)


def test_groups_come_home_in_order_with_their_mean_lengths() -> None:
    def script(request: Request) -> list[int]:
        return [5] * (1 + request.id)

    home = alone(ScriptedEngine(script), JudgeHere(lambda p, r: 1.0).submit).collect(job())
    assert [[r.problem.id for r in group] for group in home.groups] == [[p.problem.id] * 2 for p in prompts(3)]
    assert [[len(r.generation.token_ids) for r in group] for group in home.groups] == [[1, 2], [3, 4], [5, 6]]
    assert (home.first, home.lengths, home.idle) == (0, [1.5, 3.5, 5.5], 0.0)
    assert set(home.seconds) == {"generate", "verify_exposed"}


def test_a_stop_ends_the_phase_for_all() -> None:
    answered: list[str] = []
    engines = alone(ScriptedEngine(lambda r: [5]), JudgeHere(lambda p, r: answered.append(r) or 0.0).submit)
    engines.stop_requested = lambda: len(answered) == 4
    with pytest.raises(StopRequested):
        engines.collect(job())
    assert len(answered) == 4
