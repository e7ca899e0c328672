"""Prompts to judged rollouts: responses are verified while others are still being generated."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from acereason.errors import UserError
from acereason.problems.problem import Problem
from acereason.problems.prompts import prompt_text
from acereason.rewards.verifier import Verdict
from acereason.rollout.engine import Engine, Generation, Request, Sampling
from acereason.rollout.rollout import Rollout

Submit = Callable[[Problem, str], "Future[Verdict]"]


@dataclass(frozen=True)
class Prompt:
    """A problem as the policy sees it, as text and as tokens."""

    problem: Problem
    text: str
    ids: tuple[int, ...]


def make_prompt(problem: Problem, tokenizer: Any) -> Prompt:
    """The prompt of a problem; a chat template writes its own special tokens, a bare text gets the tokenizer's."""
    text = prompt_text(problem, tokenizer)
    return Prompt(problem, text, tuple(tokenizer.encode(text, add_special_tokens=not tokenizer.chat_template)))


def check_lengths(prompts: Sequence[Prompt], max_response_tokens: int, context: int) -> None:
    """Makes sure that every prompt and a longest response fit into the context together.

    Raises:
        UserError: they do not; the longest prompt is named.
    """
    longest = max(prompts, key=lambda prompt: len(prompt.ids))
    if len(longest.ids) + max_response_tokens > context:
        raise UserError(
            f"responses of {max_response_tokens} tokens after the prompt of problem '{longest.problem.id}' "
            f"({len(longest.ids)} tokens) do not fit into the context of {context} tokens: lower "
            "curriculum.max_response_tokens or evaluation.max_response_tokens"
        )


@dataclass(frozen=True)
class Collected:
    """Judged rollouts, a list a prompt, and the wall time of each phase.

    Attributes:
        groups: as many lists as prompts, each with its samples in order.
        generate_seconds: until the last response was finished.
        verify_exposed_seconds: from then until the last verdict, verification that generation did not hide.
    """

    groups: list[list[Rollout]]
    generate_seconds: float
    verify_exposed_seconds: float


def collect(
    engine: Engine,
    submit: Submit,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    samples: int,
    sampling: Sampling,
    seed_of: Callable[[Problem, int], int],
) -> Collected:
    """Samples `samples` responses to each prompt and has them judged as they finish.

    Args:
        engine: generates.
        submit: hands a response to the verifiers; called in the middle of generation, so it must not block.
        tokenizer: decodes responses for the verifiers.
        prompts: what to answer.
        samples: responses a prompt.
        sampling: how to sample.
        seed_of: the seed of a problem's n-th response.
    """
    started = time.perf_counter()
    requests = [
        Request(index * samples + sample, prompt.ids, seed_of(prompt.problem, sample))
        for index, prompt in enumerate(prompts)
        for sample in range(samples)
    ]
    finished: dict[int, tuple[Generation, str, Future[Verdict]]] = {}
    for generation in engine.generate(requests, sampling):
        problem = prompts[generation.request_id // samples].problem
        response = tokenizer.decode(generation.token_ids, skip_special_tokens=True)
        finished[generation.request_id] = (generation, response, submit(problem, response))
    generated = time.perf_counter()
    groups: list[list[Rollout]] = [[] for _ in prompts]
    for request in requests:
        prompt = prompts[request.id // samples]
        generation, response, verdict = finished[request.id]
        groups[request.id // samples].append(
            Rollout(
                prompt.problem, request.id % samples, prompt.ids, prompt.text, generation, response, verdict.result()
            )
        )
    return Collected(groups, generated - started, time.perf_counter() - generated)
