"""Generation by `transformers`, for machines where vLLM cannot run: slower, with the same contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache

from acereason.config.schema import EngineConfig
from acereason.engines.engine import Generation, Request, Sampling, never


class TransformersEngine:
    """An engine that samples batches with its own copy of the model; each request has a generator with its seed.

    Prompts of the same length share a batch, so that no row is padded and its tokens do not depend on the other rows.
    """

    def __init__(self, model_path: str, config: EngineConfig, device: torch.device) -> None:
        dtype = getattr(torch, config.dtype.value)
        self.model = AutoModelForCausalLM.from_pretrained(model_path, dtype=dtype).to(device).eval()
        self.device = device
        self.max_num_seqs = config.max_num_seqs
        end = self.model.generation_config.eos_token_id
        self._end_ids = set(end if isinstance(end, list) else [end])

    def generate(
        self,
        requests: Iterable[Request],
        sampling: Sampling,
        concurrency: int | None = None,
        should_stop: Callable[[], bool] = never,
    ) -> Iterator[Generation]:
        """See `Engine.generate`."""
        waiting = iter(requests)
        while drawn := list(islice(waiting, concurrency)):
            by_length: dict[int, list[Request]] = {}
            for request in drawn:
                by_length.setdefault(len(request.prompt_ids), []).append(request)
            for same_length in by_length.values():
                for first in range(0, len(same_length), self.max_num_seqs):
                    batch = same_length[first : first + self.max_num_seqs]
                    yield from self._generate_batch(batch, sampling, should_stop)
            if should_stop():
                return

    @torch.no_grad()
    def _generate_batch(
        self, requests: list[Request], sampling: Sampling, should_stop: Callable[[], bool]
    ) -> Iterator[Generation]:
        generators = [torch.Generator().manual_seed(request.seed) for request in requests]
        tokens: list[list[int]] = [[] for _ in requests]
        logprobs: list[list[float]] = [[] for _ in requests]
        running = list(range(len(requests)))
        cache = DynamicCache(config=self.model.config)
        inputs = torch.tensor([request.prompt_ids for request in requests], device=self.device)
        while running and not should_stop():
            logits = self.model(input_ids=inputs, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
            log_p = sampling_logprobs(logits[:, -1].float().cpu(), sampling)
            drawn = [_draw(row, generators[index]) for row, index in zip(log_p, running, strict=True)]
            still = []
            for row, (index, token) in enumerate(zip(running, drawn, strict=True)):
                tokens[index].append(token)
                logprobs[index].append(log_p[row, token].item())
                ended = token in self._end_ids and not sampling.ignore_eos
                if ended or len(tokens[index]) == sampling.max_tokens:
                    yield Generation(requests[index].id, tuple(tokens[index]), tuple(logprobs[index]), not ended)
                else:
                    still.append(row)
            if len(still) < len(running):
                cache.batch_select_indices(torch.tensor(still, dtype=torch.long, device=self.device))
            running = [running[row] for row in still]
            inputs = torch.tensor([[tokens[index][-1]] for index in running], device=self.device)

    @torch.no_grad()
    def sync(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """See `Engine.sync`."""
        parameters = dict(self.model.named_parameters())
        for name, tensor in weights:
            parameters[name].copy_(tensor)

    def sleep(self) -> None:
        """See `Engine.sleep`; this engine keeps its memory."""

    def close(self) -> None:
        """See `Engine.close`."""
        del self.model


def sampling_logprobs(logits: Tensor, sampling: Sampling) -> Tensor:
    """Return `[rows, vocabulary]` log-probs after temperature and nucleus; greedy has all mass on the best token."""
    if sampling.temperature == 0:
        best = logits.argmax(-1, keepdim=True)
        return torch.full_like(logits, -torch.inf).scatter_(1, best, 0.0)
    log_p = torch.log_softmax(logits / sampling.temperature, -1)
    if sampling.top_p < 1:
        ordered, order = log_p.sort(descending=True)
        outside = ordered.exp().cumsum(-1) - ordered.exp() >= sampling.top_p
        log_p = log_p.masked_fill(outside.scatter(1, order, outside), -torch.inf)
        log_p = torch.log_softmax(log_p, -1)
    return log_p


def _draw(log_p: Tensor, generator: torch.Generator) -> int:
    noise = torch.empty_like(log_p).exponential_(generator=generator)
    return int((log_p - noise.log()).argmax())
