"""Estimates from solve rates: pass@k, and the standard error of a mean over problems."""

from __future__ import annotations

import torch
from torch import Tensor


def pass_at_k(correct: Tensor, samples: int, k: int) -> Tensor:
    """Return the chance that at least one of k responses is correct: 1 - C(n - c, k) / C(n, k), unbiased.

    Taken as a product of k factors between 0 and 1, so nothing overflows; k = 1 is the mean c / n.

    Shapes: correct `[problems]`, the number c of correct responses among n = `samples`; result `[problems]` float64.

    Raises:
        ValueError: k outside 1 to samples, or a count outside 0 to samples.
    """
    if not 1 <= k <= samples:
        raise ValueError(f"pass@k needs k from 1 to the {samples} samples of a problem, not {k}")
    if correct.numel() and not 0 <= int(correct.min()) <= int(correct.max()) <= samples:
        raise ValueError(f"counts of correct responses must lie between 0 and the {samples} samples of a problem")
    drawn = torch.arange(k, dtype=torch.float64, device=correct.device)
    wrong_left = (samples - correct.to(torch.float64).unsqueeze(1) - drawn).clamp(min=0)
    return 1 - (wrong_left / (samples - drawn)).prod(dim=1)


def standard_error(problem_means: Tensor) -> Tensor:
    """Return the standard error of the mean over problems: std / √problems, std Bessel-corrected.

    Responses to the same problem are correlated, so problems are the independent draws, not responses (clustered by
    problem). The result is nan for fewer than two problems, which say nothing about the spread.

    Shapes: problem_means `[problems]`, each the mean over that problem's samples; result `[]`.
    """
    problems = problem_means.numel()
    if problems < 2:
        return torch.full((), float("nan"), dtype=problem_means.dtype, device=problem_means.device)
    result: Tensor = problem_means.std() / problems**0.5
    return result
