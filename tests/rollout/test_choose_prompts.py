"""The number of a step alone decides what it draws, and with which seeds."""

import pytest

from acereason.engines.rollout import rollout_seed
from acereason.rollout.draw import choose_prompts

IDS = [f"p{i}" for i in range(12)]


def epoch(ids: list[str], count: int, number: int, seed: int = 0) -> list[str]:
    steps = len(ids) // count
    return [
        i for step in range(number * steps, (number + 1) * steps) for i in choose_prompts(ids, seed, step, count)[0]
    ]


@pytest.mark.parametrize("count", [1, 3, 4, 12])
@pytest.mark.parametrize("number", [0, 1, 5])
def test_an_epoch_draws_every_problem_once(count: int, number: int) -> None:
    assert sorted(epoch(IDS, count, number)) == sorted(IDS)


def test_problems_left_over_by_the_last_step_wait_for_the_next_epoch() -> None:
    drawn = epoch(IDS, 5, 0)
    assert len(drawn) == len(set(drawn)) == 10
    assert {i for number in range(20) for i in epoch(IDS, 5, number)} == set(IDS)


def test_epochs_and_seeds_differ_in_order() -> None:
    orders = {tuple(epoch(IDS, 3, number, seed)) for number in range(4) for seed in range(4)}
    assert len(orders) == 16


def test_the_draw_depends_on_the_set_of_problems_and_not_on_their_order() -> None:
    assert choose_prompts(IDS, 0, 7, 4) == choose_prompts(IDS[::-1], 0, 7, 4)
    assert choose_prompts(IDS, 0, 7, 4) == choose_prompts(IDS, 0, 7, 4)


def test_a_known_draw_so_that_old_runs_stay_reproducible() -> None:
    assert choose_prompts(IDS, 0, 1, 4)[0] == ["p9", "p6", "p7", "p2"]


def test_seeds_are_distinct_over_run_step_problem_and_sample() -> None:
    seeds = [
        rollout_seed(seed, step, problem, sample)
        for seed in range(3)
        for step in range(-1, 20)
        for problem in IDS
        for sample in range(8)
    ]
    assert len(set(seeds)) == len(seeds) == 3 * 21 * 12 * 8
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62


def test_a_known_seed_so_that_old_runs_stay_reproducible() -> None:
    assert rollout_seed(0, 3, "p7", 2) == 5952184703580158711
