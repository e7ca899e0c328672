"""A judged response, and the seed that it is sampled with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from acereason.engines.engine import Generation
from acereason.problems.problem import Problem
from acereason.seeds import derived_seed
from acereason.verifiers.verifier import Verdict


@dataclass(frozen=True)
class Rollout:
    """A prompt, a response to it, and what the response is worth.

    Attributes:
        problem: what was asked.
        sample: number of the response among those to the same prompt.
        prompt_ids, prompt: the prompt as tokens and as text.
        generation: the engine's tokens and log-probs; the loss uses these tokens, never the text tokenised again.
        response: the response as text, for the verifier and the reader.
        verdict: the verifier's judgement.
    """

    problem: Problem
    sample: int
    prompt_ids: tuple[int, ...]
    prompt: str
    generation: Generation
    response: str
    verdict: Verdict


def rollout_seed(seed: int, step: int, problem_id: str, sample: int) -> int:
    """63 bits from a hash of the run's seed, the rollout step, the problem and the sample's number."""
    return derived_seed(seed, step, problem_id, sample)


def response_row(rollout: Rollout) -> dict[str, Any]:
    """Return the row of a rollout in a table of responses, by the columns of `tables.RESPONSES`."""
    problem, verdict, truncated = rollout.problem, rollout.verdict, rollout.generation.truncated
    return {
        "problem": problem.id,
        "domain": problem.domain,
        "level": problem.level,
        "sample": rollout.sample,
        "prompt": rollout.prompt,
        "response": rollout.response,
        "tokens": len(rollout.generation.token_ids),
        "finish_reason": "length" if truncated else "stop",
        "truncated": truncated,
        "gold": problem.answer,
        "extracted": verdict.extracted,
        "reward": verdict.reward,
        "reason": verdict.reason,
        "seconds": verdict.seconds,
    }
