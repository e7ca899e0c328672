"""Packing without padding: a group's prompt once, then its responses, all in one row of tokens.

The responses of a group share their prompt, so it is computed once. Each response token attends only to the prompt and
to its own response, exactly as if prompt and response had a row of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

PROMPT = -1


@dataclass(frozen=True)
class ResponseTokens:
    """A response to pack: its prompt's tokens, its own tokens, its number in the batch and its group."""

    index: int
    group: int
    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]


@dataclass(frozen=True)
class PackedBatch:
    """A micro-batch as one row of tokens.

    Attributes:
        input_ids: `[tokens]`.
        positions: `[tokens]`, from 0 in each prompt, continued in each of its responses.
        segments: `[tokens]`, number of the packed group that a token belongs to.
        responses: `[tokens]`, number of the response within the micro-batch, -1 on prompts.
        predictors: `[response tokens]`, index in the row of the token that predicts each response token.
        targets: `[response tokens]`, the response tokens.
        sequence_ids: `[response tokens]`, number of the response within the micro-batch.
        indices: `[responses]`, number of each response in the whole batch.
    """

    input_ids: Tensor
    positions: Tensor
    segments: Tensor
    responses: Tensor
    predictors: Tensor
    targets: Tensor
    sequence_ids: Tensor
    indices: Tensor

    def to(self, device: torch.device) -> PackedBatch:
        """Return the same micro-batch on a device."""
        return PackedBatch(**{f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)})


def pack(sequences: Sequence[ResponseTokens]) -> PackedBatch:
    """Pack responses into one row of tokens; neighbours of the same group share one copy of their prompt."""
    ids: list[int] = []
    positions: list[int] = []
    segments: list[int] = []
    responses: list[int] = []
    predictors: list[int] = []
    targets: list[int] = []
    sequence_ids: list[int] = []
    group, segment, prompt_end = None, -1, 0
    for number, sequence in enumerate(sequences):
        if sequence.group != group:
            group, segment = sequence.group, segment + 1
            prompt = sequence.prompt_ids
            ids += prompt
            positions += range(len(prompt))
            segments += [segment] * len(prompt)
            responses += [PROMPT] * len(prompt)
            prompt_end = len(ids) - 1
        length, start = len(sequence.response_ids), len(ids)
        ids += sequence.response_ids
        positions += range(len(sequence.prompt_ids), len(sequence.prompt_ids) + length)
        segments += [segment] * length
        responses += [number] * length
        predictors += [prompt_end, *range(start, start + length - 1)]
        targets += sequence.response_ids
        sequence_ids += [number] * length
    columns = (ids, positions, segments, responses, predictors, targets, sequence_ids, [s.index for s in sequences])
    return PackedBatch(*(torch.tensor(column, dtype=torch.long) for column in columns))
