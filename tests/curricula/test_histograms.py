"""Solve rates in words."""

from acereason.curricula.hard_prompts import histogram


def test_a_histogram_in_words() -> None:
    rates = [0, 0, 1 / 16, 2 / 16, 5 / 16, 6 / 16, 7 / 16, 14 / 16, 15 / 16, 1]
    assert histogram(rates, 16) == "solved 0: 2, 1-2: 2, 5-6: 2, 7-8: 1, 13-14: 1, 15: 1, 16: 1 (of 16)"
    assert histogram([0.25, 0.5, 0.5, 1], 4) == "solved 1: 1, 2: 2, 4: 1 (of 4)"
    assert histogram([0, 1], 1) == "solved 0: 1, 1: 1 (of 1)"
    assert histogram([31 / 64, 33 / 64], 64) == "solved 25-32: 1, 33-40: 1 (of 64)"
    assert histogram([], 16) == "no problems"
