"""The queue of work: every number goes to one engine, on demand or in equal shares."""

from collections.abc import Callable

import torch

from acereason.distributed.collectives import exchange, gather, share
from acereason.engines.queue import EngineRanks, WorkQueue


class Counters:
    """The counters of a `torch.distributed.Store`, for engines in one process."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}

    def add(self, key: str, amount: int) -> int:
        self.values[key] = self.values.get(key, 0) + amount
        return self.values[key]

    def delete_key(self, key: str) -> bool:
        return self.values.pop(key, None) is not None


def engine(number: int, of: int) -> EngineRanks:
    ranks = EngineRanks()
    ranks.engine, ranks.engines = number, of
    return ranks


def queues(store: Counters, engines: int = 3) -> list[WorkQueue]:
    return [WorkQueue(engine(number, engines), store) for number in range(engines)]


def test_the_engine_that_asks_gets_the_next_number_and_none_is_given_twice() -> None:
    first, second, _ = (queue.numbers(4, 0) for queue in queues(Counters()))
    assert [next(first), next(second), next(first), next(first)] == [0, 1, 2, 3]
    assert list(first) == list(second) == []


def test_every_engine_has_its_hand_whichever_is_first_and_the_rest_is_drawn() -> None:
    first, second, third = (queue.numbers(9, 2) for queue in queues(Counters()))
    assert [next(third), next(third), next(third)] == [4, 5, 6]
    assert [next(first), next(first), next(first)] == [0, 1, 7]
    assert list(second) == [2, 3, 8]
    assert list(first) == list(third) == []


def test_every_job_starts_from_0_and_old_counters_are_deleted() -> None:
    store = Counters()
    [queue] = queues(store, engines=1)
    assert [list(queue.numbers(n, 1)) for n in (2, 3, 2)] == [[0, 1], [0, 1, 2], [0, 1]]
    assert len(store.values) == 1


def test_hands_of_an_even_share_leave_nothing_to_draw() -> None:
    store = Counters()
    assert [list(queue.numbers(7, 3)) for queue in queues(store)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [list(queue.numbers(1, 1)) for queue in queues(store)] == [[0], [], []]
    assert store.values == {}


def test_shares_cover_everything_once() -> None:
    assert [list(share(5, rank, 3)) for rank in range(3)] == [[0], [1, 2], [3, 4]]
    assert [list(share(1, rank, 2)) for rank in range(2)] == [[], [0]]


def test_alone_everything_stays_where_it_is() -> None:
    assert gather("x") == ["x"]
    assert exchange([{"a": 1}]) == [{"a": 1}]
    ranks = EngineRanks()
    assert (ranks.engine, ranks.engines, ranks.leads) == (0, 1, True)
    assert ranks.agreed(7) == 7
    assert ranks.summed(torch.tensor([2.0])).tolist() == [2.0]


def test_one_rank_asks_its_flag_at_every_step() -> None:
    answers = iter([False, True])
    flag: Callable[[], bool] = lambda: next(answers)  # noqa: E731
    ranks = EngineRanks()
    assert [ranks.poll(flag), ranks.poll(flag)] == [False, True]


def test_one_engine_without_a_store_takes_all_beyond_its_hand() -> None:
    queue = WorkQueue(engine(0, 1), None)
    assert [list(queue.numbers(n, 2)) for n in (5, 3)] == [[0, 1, 2, 3, 4], [0, 1, 2]]
