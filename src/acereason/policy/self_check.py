"""A check at the start of a run that the policy computes what `transformers` does."""

from __future__ import annotations

import torch

from acereason.config.model_families import refusal
from acereason.config.schema import DType
from acereason.policy.model import PolicyModel
from acereason.policy.packing import ResponseTokens, pack

LARGEST_GAP = {DType.float32: 1e-3, DType.bfloat16: 0.25, DType.float16: 0.05}
"""Mean difference of log-probs, nats, by the type of the arithmetic; `transformers` rounds its logits to that type."""
SHAPES = ((0, 5, 7), (0, 5, 3), (1, 2, 4))
"""Group, prompt tokens and response tokens of each response that is compared."""


@torch.no_grad()
def check_exact(model: PolicyModel, device: torch.device, dtype: DType) -> None:
    """Compare the log-probs of one short packed row with those of each response alone, by `transformers` itself.

    Finds whatever a model does that packing or the chunked head would leave out. A few forward passes of some tokens,
    on all ranks together.

    Args:
        model: loaded, sharded or not.
        device: that it computes on.
        dtype: that it computes in.

    Raises:
        UserError: they differ by more than rounding explains.
    """
    responses = _responses(model.language_model.config.vocab_size)
    packed, _ = model(pack(responses).to(device), 1.0)
    rows = [(torch.tensor(r.prompt_ids + r.response_ids, device=device), len(r.prompt_ids)) for r in responses]
    alone = torch.cat([model.plain_logprobs(ids, prompt_tokens) for ids, prompt_tokens in rows])
    model.release()
    gap, largest = (packed - alone).abs().mean().item(), LARGEST_GAP[dtype]
    if not gap <= largest:
        family = model.language_model.config.model_type
        off = f"packed log-probs are {gap:.2g} nats off transformers' own"
        raise refusal(model.folder, family, f"{off}, more than the {largest:g} that {dtype.value} explains")


def _responses(vocabulary: int) -> list[ResponseTokens]:
    """Return responses of tokens from all over the vocabulary, the same on every rank."""
    rows = []
    for index, (group, prompt, response) in enumerate(SHAPES):
        prompt_ids = tuple((31 * group + 7 * place + 5) * 1009 % vocabulary for place in range(prompt))
        response_ids = tuple((17 * index + 11 * place + 3) * 2003 % vocabulary for place in range(response))
        rows.append(ResponseTokens(index, group, prompt_ids, response_ids))
    return rows
