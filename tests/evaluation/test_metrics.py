"""Facts about estimates from solve rates, with numbers worked out by hand."""

import math

import pytest
import torch
from torch import Tensor

from acereason.evaluation.metrics import pass_at_k, standard_error


def doubles(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_pass_at_k_by_hand() -> None:
    # n = 4, k = 2, C(4, 2) = 6: c = 0: 1 - 6/6; c = 1: 1 - C(3, 2)/6 = 1/2; c = 2: 1 - 1/6; c = 3, 4: always one right
    result = pass_at_k(torch.tensor([0, 1, 2, 3, 4]), samples=4, k=2)
    torch.testing.assert_close(result, doubles(0, 1 / 2, 5 / 6, 1, 1))
    torch.testing.assert_close(pass_at_k(torch.tensor([0, 3, 8]), samples=8, k=1), doubles(0, 3 / 8, 1))


@pytest.mark.parametrize("k", [1, 2, 16, 64, 127, 128])
def test_pass_at_k_equals_exact_integers_for_128_samples(k: int) -> None:
    exact = [1 - math.comb(128 - c, k) / math.comb(128, k) for c in range(129)]
    torch.testing.assert_close(pass_at_k(torch.arange(129), samples=128, k=k), doubles(*exact), rtol=0, atol=1e-13)


def test_pass_at_k_refuses_what_it_cannot_estimate() -> None:
    for k in (0, 5):
        with pytest.raises(ValueError, match="pass@k needs k from 1 to the 4 samples"):
            pass_at_k(torch.tensor([1]), samples=4, k=k)
    with pytest.raises(ValueError, match="between 0 and the 4 samples"):
        pass_at_k(torch.tensor([5]), samples=4, k=1)
    assert pass_at_k(torch.tensor([], dtype=torch.int64), samples=4, k=1).shape == (0,)


def test_standard_error_counts_problems_not_samples() -> None:
    # Problem means 1, 0, 1, 0: mean 1/2, variance 4 · 0.25 / 3 = 1/3, error √(1/3 / 4) = 0.288675, whether
    # each mean comes from one sample or from a hundred of the same.
    assert standard_error(doubles(1, 0, 1, 0)).item() == pytest.approx(math.sqrt(1 / 12), rel=1e-12)
    assert standard_error(doubles(0.5, 0.5, 0.5)).item() == 0
    assert math.isnan(standard_error(doubles(1)).item())
