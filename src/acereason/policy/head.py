"""Log-probs and entropies of tokens without the logits of more than one chunk, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def _chunk_log_softmax(hidden: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """float32 `[chunk, vocabulary]` log-probs."""
    logits = (hidden @ weight.t()).float()
    return logits.div_(temperature).sub_(torch.logsumexp(logits, dim=-1, keepdim=True))


class _ChunkedHead(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, temperature: float, chunk: int, entropy: bool
    ) -> tuple[Tensor, Tensor]:
        logprobs = hidden.new_empty(len(hidden), dtype=torch.float32)
        entropies = hidden.new_zeros(len(hidden), dtype=torch.float32)
        for rows in range(0, len(hidden), chunk):
            part = slice(rows, rows + chunk)
            log_p = _chunk_log_softmax(hidden[part], weight, temperature)
            logprobs[part] = log_p.gather(1, targets[part, None])[:, 0]
            if entropy:
                entropies[part] = -(log_p.exp() * log_p).sum(-1)
        ctx.save_for_backward(hidden, weight, targets, entropies)
        ctx.temperature, ctx.chunk, ctx.entropy = temperature, chunk, entropy
        return logprobs, entropies

    @staticmethod
    def backward(ctx: Any, grad_logprobs: Tensor, grad_entropies: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, targets, entropies = ctx.saved_tensors
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros_like(weight, dtype=torch.float32)
        for rows in range(0, len(hidden), ctx.chunk):
            part = slice(rows, rows + ctx.chunk)
            log_p = _chunk_log_softmax(hidden[part], weight, ctx.temperature)
            p = log_p.exp()
            # d logprob / d logits = (onehot - p) / T and d entropy / d logits = -p (log p + entropy) / T
            scale = grad_logprobs[part, None]
            if ctx.entropy:
                grad = p.mul_(-(scale + grad_entropies[part, None] * (log_p + entropies[part, None])))
            else:
                grad = p.mul_(-scale)
            grad.scatter_add_(1, targets[part, None], scale)
            grad = grad.div_(ctx.temperature).to(weight.dtype)
            grad_hidden[part] = grad @ weight
            grad_weight += grad.t() @ hidden[part]
        return grad_hidden, grad_weight.to(weight.dtype), None, None, None, None


def chunked_logprobs(
    hidden: Tensor, weight: Tensor, targets: Tensor, temperature: float, chunk: int, entropy: bool = False
) -> tuple[Tensor, Tensor]:
    """Log-probs of `targets` and entropies under softmax(hidden · weightᵀ / temperature).

    Args:
        hidden: `[tokens, width]`.
        weight: `[vocabulary, width]`, the head.
        targets: `[tokens]`.
        temperature: the sampling temperature.
        chunk: tokens whose logits exist at the same time.
        entropy: compute entropies; otherwise they are zeros.

    Returns:
        `[tokens]` float32 log-probs and `[tokens]` float32 entropies, in nats.
    """
    logprobs, entropies = _ChunkedHead.apply(hidden, weight, targets, temperature, chunk, entropy)
    return logprobs, entropies
