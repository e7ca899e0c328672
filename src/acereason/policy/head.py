"""Log-probs and entropies of tokens, forward and backward, with the logits of one chunk at a time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BLOCK = 2**24
"""Largest number of elements of the temporaries beside a chunk's logits."""


def _logits(hidden: Tensor, weight: Tensor) -> Tensor:
    """Return float32 `[chunk, vocabulary]` logits, never rounded to a narrower type.

    Products are added up in float32 whatever the type of the factors; a result in bfloat16 would throw 16 bits away.
    """
    if hidden.dtype not in (torch.bfloat16, torch.float16):
        return (hidden @ weight.t()).float()
    if hidden.is_cuda:
        return torch.mm(hidden, weight.t(), out_dtype=torch.float32)
    logits, wide = hidden.new_empty(len(hidden), len(weight), dtype=torch.float32), hidden.float()
    size = max(1, BLOCK // weight.shape[1])
    for first in range(0, len(weight), size):  # no such product on the CPU: a block of the head at a time is widened
        logits[:, first : first + size] = wide @ weight[first : first + size].float().t()
    return logits


def _chunk_log_softmax(hidden: Tensor, weight: Tensor, temperature: float, softcap: float | None) -> Tensor:
    """Return float32 `[chunk, vocabulary]` log-probs."""
    logits = _logits(hidden, weight)
    if softcap is not None:
        logits.div_(softcap).tanh_().mul_(softcap)
    for rows in logits.split(max(1, BLOCK // len(weight))):  # logsumexp copies its input
        rows.div_(temperature).sub_(torch.logsumexp(rows, dim=-1, keepdim=True))
    return logits


def _cap_slope(hidden: Tensor, weight: Tensor, softcap: float) -> Tensor:
    """Return float32 `[chunk, vocabulary]`, the derivative 1 - tanh² of softly capped logits by the bare ones."""
    return (hidden @ weight.t()).float().div_(softcap).tanh_().square_().neg_().add_(1)


def _entropies(log_p: Tensor) -> Tensor:
    """Return `[chunk]` entropies of `[chunk, vocabulary]` log-probs."""
    rows = log_p.split(max(1, BLOCK // log_p.shape[1]))
    return torch.cat([-(block.exp() * block).sum(-1) for block in rows])


def _logits_gradient_(log_p: Tensor, scale: Tensor, entropy_scale: Tensor | None, entropies: Tensor) -> Tensor:
    """Turn `[chunk, vocabulary]` log-probs into the gradient of logits / T, without the targets' own part.

    d logprob / d logits = (onehot - p) / T and d entropy / d logits = -p (log p + entropy) / T.
    """
    if entropy_scale is None:
        return log_p.exp_().mul_(-scale)
    size = max(1, BLOCK // log_p.shape[1])
    for rows in range(0, len(log_p), size):
        part = slice(rows, rows + size)
        inner = log_p[part] + entropies[part]
        log_p[part].exp_().mul_(inner.mul_(entropy_scale[part]).add_(scale[part]).neg_())
    return log_p


def _add_product_(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add `left @ right` to `total`, a block of rows at a time: the product may be of another type than the total."""
    size = max(1, BLOCK // total.shape[1])
    for rows in range(0, len(total), size):
        total[rows : rows + size] += left[rows : rows + size] @ right


class _ChunkedHead(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        temperature: float,
        chunk: int,
        entropy: bool,
        softcap: float | None,
    ) -> tuple[Tensor, Tensor]:
        logprobs = hidden.new_empty(len(hidden), dtype=torch.float32)
        entropies = hidden.new_zeros(len(hidden), dtype=torch.float32)
        for rows in range(0, len(hidden), chunk):
            part = slice(rows, rows + chunk)
            log_p = _chunk_log_softmax(hidden[part], weight, temperature, softcap)
            logprobs[part] = log_p.gather(1, targets[part, None])[:, 0]
            if entropy:
                entropies[part] = _entropies(log_p)
            del log_p  # before the next chunk is computed
        ctx.save_for_backward(hidden, weight, targets, entropies)
        ctx.temperature, ctx.chunk, ctx.entropy, ctx.softcap = temperature, chunk, entropy, softcap
        return logprobs, entropies

    @staticmethod
    def backward(ctx: Any, grad_logprobs: Tensor, grad_entropies: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, targets, entropies = ctx.saved_tensors
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        for rows in range(0, len(hidden), ctx.chunk):
            part = slice(rows, rows + ctx.chunk)
            log_p = _chunk_log_softmax(hidden[part], weight, ctx.temperature, ctx.softcap)
            scale = grad_logprobs[part, None]
            entropy_scale = grad_entropies[part, None] if ctx.entropy else None
            grad = _logits_gradient_(log_p, scale, entropy_scale, entropies[part, None])
            grad.scatter_add_(1, targets[part, None], scale)
            if ctx.softcap is not None:
                grad.mul_(_cap_slope(hidden[part], weight, ctx.softcap))
            grad = grad.div_(ctx.temperature).to(weight.dtype)
            del log_p
            grad_hidden[part] = grad @ weight
            if grad_weight is not None:
                _add_product_(grad_weight, grad.t(), hidden[part])
            del grad
        return grad_hidden, None if grad_weight is None else grad_weight.to(weight.dtype), None, None, None, None, None


def chunked_logprobs(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    temperature: float,
    chunk: int,
    entropy: bool = False,
    softcap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute log-probs of `targets` and entropies under softmax(hidden · weightᵀ / temperature).

    Args:
        hidden: `[tokens, width]`.
        weight: `[vocabulary, width]`, the head.
        targets: `[tokens]`.
        temperature: the sampling temperature.
        chunk: number of tokens whose logits exist at the same time.
        entropy: whether to compute entropies; otherwise they are zeros.
        softcap: bound that logits approach smoothly before they are divided by the temperature; None if none.

    Returns:
        `[tokens]` float32 log-probs and `[tokens]` float32 entropies, in nats.
    """
    logprobs, entropies = _ChunkedHead.apply(hidden, weight, targets, temperature, chunk, entropy, softcap)
    return logprobs, entropies
