"""Responses are spread over ranks in runs of neighbours, as evenly as runs can be."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from acereason.policy.spread import Size, spread


def load(sizes: list[Size], owners: list[int], rank: int) -> int:
    """Tokens of a rank: its responses, and each group's prompt once."""
    mine = [size for size, owner in zip(sizes, owners, strict=True) if owner == rank]
    return sum(response for _, _, response in mine) + sum(dict((group, prompt) for group, prompt, _ in mine).values())


def best_largest(sizes: list[Size], ranks: int) -> int:
    """The smallest possible largest load, by trying every way to cut."""
    found = []
    for cuts in combinations(range(1, len(sizes)), min(ranks, len(sizes)) - 1):
        owners = [sum(cut <= index for cut in cuts) for index in range(len(sizes))]
        found.append(max(load(sizes, owners, rank) for rank in range(ranks)))
    return min(found)


def test_two_ranks_share_by_tokens_and_not_by_number() -> None:
    assert spread([(0, 0, 60), (0, 0, 20), (1, 0, 20), (1, 0, 20)], 2) == [0, 1, 1, 1]


def test_a_prompt_counts_once_for_the_neighbours_that_share_it() -> None:
    # Cut between the groups: 100 + 10 + 10 on each rank. Cut inside one, a prompt would be computed twice.
    assert spread([(0, 100, 10), (0, 100, 10), (1, 100, 10), (1, 100, 10)], 2) == [0, 0, 1, 1]


def test_fewer_responses_than_ranks_leave_ranks_without_work() -> None:
    assert spread([(0, 5, 7)], 4) == [0]
    assert spread([], 4) == []


groups = st.lists(
    st.tuples(st.integers(0, 9), st.lists(st.integers(1, 30), min_size=1, max_size=3)), min_size=1, max_size=4
)


@given(groups, st.integers(1, 4))
def test_the_largest_load_is_the_smallest_that_runs_allow(drawn: list[tuple[int, list[int]]], ranks: int) -> None:
    sizes = [(group, prompt, length) for group, (prompt, lengths) in enumerate(drawn) for length in lengths]
    owners = spread(sizes, ranks)
    assert owners == sorted(owners)
    assert owners[0] >= 0 and owners[-1] < ranks
    assert max(load(sizes, owners, rank) for rank in range(ranks)) == best_largest(sizes, ranks)
