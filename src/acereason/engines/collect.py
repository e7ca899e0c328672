"""Prompts to judged rollouts on one engine: responses are verified while others are still being generated."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from acereason.engines.engine import Engine, Generation, Request, Sampling, never
from acereason.engines.prompt import Prompt
from acereason.engines.rollout import Rollout
from acereason.problems.problem import Problem
from acereason.verifiers.verifier import Verdict

Submit = Callable[[Problem, str], "Future[Verdict]"]
Judged = Callable[[int, Rollout], object]


@dataclass(frozen=True)
class SamplingJob:
    """A number of responses to each of some prompts, for engines to sample.

    Response n is sample n % samples of prompt n // samples.

    Attributes:
        prompts: what to answer.
        samples: responses to each prompt.
        sampling: how to sample.
        seed_of: the seed of a problem's n-th response.
    """

    prompts: Sequence[Prompt]
    samples: int
    sampling: Sampling
    seed_of: Callable[[Problem, int], int]

    def __len__(self) -> int:
        """Return the number of responses."""
        return len(self.prompts) * self.samples

    def prompt(self, number: int) -> Prompt:
        """Return the prompt of response `number`."""
        return self.prompts[number // self.samples]

    def request(self, number: int) -> Request:
        """Return what an engine is asked for response `number`."""
        prompt = self.prompt(number)
        return Request(number, prompt.ids, self.seed_of(prompt.problem, number % self.samples))


@dataclass(frozen=True)
class Collected:
    """Judged rollouts of one engine and the wall time of each part.

    Attributes:
        rollouts: by number of the response, in their order; none when generation was stopped before its end, or when
            somebody else took each as it was judged.
        complete: False when generation was stopped.
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
    job: SamplingJob,
    numbers: Iterable[int],
    concurrency: int | None = None,
    should_stop: Callable[[], bool] = never,
    judged: Judged | None = None,
) -> Collected:
    """Sample the numbered responses and have them judged as they finish.

    Args:
        engine: generates.
        submit: hands a response to the verifiers; called in the middle of generation, so it must not block.
        tokenizer: decodes responses for the verifiers.
        job: prompts and sampling.
        numbers: which responses are this engine's; asked for one by one, as there is room.
        concurrency: see `Engine.generate`.
        should_stop: see `Engine.generate`.
        judged: takes each rollout as soon as its verdict is there, in this thread; then none is kept here.
    """
    started = time.perf_counter()
    drawn: list[int] = []
    waiting: dict[int, tuple[Generation, str, Future[Verdict]]] = {}
    verdicts: deque[int] = deque()  # numbers of responses whose verdict has arrived; the pool's thread appends
    rollouts: dict[int, Rollout] = {}

    def take(number: int) -> None:
        if number in waiting:
            rollout = _rollout(job, number, *waiting.pop(number))
            if judged is None:
                rollouts[number] = rollout
            else:
                judged(number, rollout)

    requests = map(job.request, _noted(numbers, drawn))
    generated = 0
    for generation in engine.generate(requests, job.sampling, concurrency, should_stop):
        number = generation.request_id
        response = tokenizer.decode(generation.token_ids, skip_special_tokens=True)
        verdict = submit(job.prompt(number).problem, response)
        waiting[number] = (generation, response, verdict)
        verdict.add_done_callback(partial(_note, verdicts, number))
        generated += 1
        while verdicts:
            take(verdicts.popleft())
    generate_seconds = time.perf_counter() - started
    complete = generated == len(drawn) and not should_stop()
    for number in [number for number, (_, _, verdict) in waiting.items() if complete or verdict.done()]:
        take(number)
    exposed = time.perf_counter() - started - generate_seconds
    kept = {number: rollouts[number] for number in sorted(rollouts)} if complete else {}
    return Collected(kept, complete, generate_seconds, exposed)


def _noted(numbers: Iterable[int], drawn: list[int]) -> Iterator[int]:
    for number in numbers:
        drawn.append(number)
        yield number


def _note(verdicts: deque[int], number: int, _: Future[Verdict]) -> None:
    verdicts.append(number)


def _rollout(job: SamplingJob, number: int, generation: Generation, text: str, verdict: Future[Verdict]) -> Rollout:
    prompt, sample = job.prompt(number), number % job.samples
    return Rollout(prompt.problem, sample, prompt.ids, prompt.text, generation, text, verdict.result())
