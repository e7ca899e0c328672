"""Prompts to judged rollouts on one engine: responses are verified while others are still being generated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from acereason.engines.engine import Engine, Generation, Request, Sampling, never
from acereason.engines.rollout import Rollout
from acereason.errors import UserError
from acereason.problems.problem import Problem
from acereason.problems.prompts import prompt_text
from acereason.verifiers.verifier import Verdict

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
class Phase:
    """What one phase of generation asks of the engines: `samples` responses to each prompt.

    Response n is sample n % samples of prompt n // samples.

    Attributes:
        prompts: what to answer.
        samples: responses a prompt.
        sampling: how to sample.
        seed_of: the seed of a problem's n-th response.
    """

    prompts: Sequence[Prompt]
    samples: int
    sampling: Sampling
    seed_of: Callable[[Problem, int], int]

    def __len__(self) -> int:
        """Responses in all."""
        return len(self.prompts) * self.samples

    def request(self, number: int) -> Request:
        """What an engine is asked for response `number`."""
        prompt = self.prompts[number // self.samples]
        return Request(number, prompt.ids, self.seed_of(prompt.problem, number % self.samples))


@dataclass(frozen=True)
class Collected:
    """Judged rollouts of one engine and the wall time of each part.

    Attributes:
        rollouts: by number of the response, in their order; none when generation was stopped before its end.
        complete: False when it was.
        generate_seconds: until the last response was finished.
        verify_exposed_seconds: from then until the last verdict, verification that generation did not hide.
    """

    rollouts: dict[int, Rollout]
    complete: bool
    generate_seconds: float
    verify_exposed_seconds: float


def collect(
    engine: Engine,
    submit: Submit,
    tokenizer: Any,
    phase: Phase,
    numbers: Iterable[int],
    concurrency: int | None = None,
    should_stop: Callable[[], bool] = never,
) -> Collected:
    """Samples the numbered responses and has them judged as they finish.

    Args:
        engine: generates.
        submit: hands a response to the verifiers; called in the middle of generation, so it must not block.
        tokenizer: decodes responses for the verifiers.
        phase: prompts and sampling.
        numbers: which responses are this engine's; asked for one by one, as there is room.
        concurrency: see `Engine.generate`.
        should_stop: see `Engine.generate`.
    """
    started = time.perf_counter()
    drawn: list[int] = []
    finished: dict[int, tuple[Generation, str, Future[Verdict]]] = {}
    requests = map(phase.request, _noted(numbers, drawn))
    for generation in engine.generate(requests, phase.sampling, concurrency, should_stop):
        problem = phase.prompts[generation.request_id // phase.samples].problem
        response = tokenizer.decode(generation.token_ids, skip_special_tokens=True)
        finished[generation.request_id] = (generation, response, submit(problem, response))
    generated = time.perf_counter()
    complete = len(finished) == len(drawn) and not should_stop()
    rollouts = {number: _rollout(phase, number, *finished[number]) for number in sorted(drawn)} if complete else {}
    return Collected(rollouts, complete, generated - started, time.perf_counter() - generated)


def _noted(numbers: Iterable[int], drawn: list[int]) -> Iterator[int]:
    for number in numbers:
        drawn.append(number)
        yield number


def _rollout(phase: Phase, number: int, generation: Generation, text: str, verdict: Future[Verdict]) -> Rollout:
    prompt, sample = phase.prompts[number // phase.samples], number % phase.samples
    return Rollout(prompt.problem, sample, prompt.ids, prompt.text, generation, text, verdict.result())
