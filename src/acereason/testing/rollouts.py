"""Rollouts for rehearsals of callbacks: a function makes them up, nothing is sampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, cast

import torch

from acereason import grpo
from acereason.config.schema import Config
from acereason.distributed.collectives import rank_and_world, share
from acereason.engines.engine import Generation
from acereason.engines.prompt import Prompt
from acereason.engines.rollout import Rollout
from acereason.engines.shared import SharedEngines
from acereason.errors import UserError
from acereason.evaluation.attempts import ProblemScores
from acereason.evaluation.evaluate import HeldOutResults
from acereason.problems.loaders import load_sources
from acereason.problems.problem import Problem
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum
from acereason.rollout.data import RolloutDataModule
from acereason.verifiers.verifier import Verdict

SECONDS = {"sync": 1.0, "generate": 2.0, "verify_exposed": 0.0}


@dataclass(frozen=True)
class SampleRequest:
    """A response that a script is to make up.

    Attributes:
        step, steps: number of rollout steps done before it, and of all steps of the rehearsal.
        prompt, prompts: number of its prompt in the step, from 0, and of all prompts of the step.
        sample, samples: number of the response to its prompt, from 0, and of all responses to it.
        problem: that it responds to.
        max_response_tokens, temperature: of the curriculum.
    """

    step: int
    steps: int
    prompt: int
    prompts: int
    sample: int
    samples: int
    problem: Problem
    max_response_tokens: int
    temperature: float


@dataclass(frozen=True)
class ScriptedResponse:
    """A response that a script has made up.

    Attributes:
        reward: 1 or 0.
        tokens: its length before it is cut off at the curriculum's limit.
        entropy: minus the log-prob of each token, nats; sums of multiples of 1/64 are exact.
    """

    reward: float = 0.0
    tokens: int = 8
    entropy: float = 0.5


Script = Callable[[SampleRequest], ScriptedResponse]


def uneven(request: SampleRequest) -> ScriptedResponse:
    """Respond as a policy that learns may, but unevenly: a rank that looks only at its own rollouts decides wrongly.

    The first half of the prompts, those of the first of two ranks, is solved, cut off and uncertain more often than the
    rest: rewards there rise from 0 to 1, elsewhere to a half and later, so that every threshold between 0 and 1 lies
    between the ranks at some step. After 60% of the steps, rewards stop rising. The entropy falls from 1 to 1/16.
    """
    progress = min(1.0, (request.step + 1) / (0.6 * request.steps))
    is_first = request.prompt < request.prompts / 2
    solved = min(1.0, 1.5 * progress) if is_first else max(0.0, 1.5 * progress - 1)
    cut_off = progress if is_first else 0.0
    quantile = (request.sample + 0.5) / request.samples
    longest = request.max_response_tokens
    entropy = max(1.0, round(64 * 16 ** (-request.step / request.steps))) / 64
    return ScriptedResponse(
        float(quantile < solved),
        2 * longest if quantile < cut_off else max(1, longest // 2 - request.sample),
        2 * entropy if is_first else entropy,
    )


class NoEngines:
    """The engines of a rehearsal, which has none: refuses whatever is asked of it."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        refuse(name)


def refuse(name: str) -> NoReturn:
    """Refuse to use an engine."""
    raise UserError(f"engines.{name}: a rehearsal has no engine; callbacks that generate need a run")


class ScriptedData(RolloutDataModule):
    """The data module of a rehearsal: problems and draws are real, responses are made up by a script.

    Args:
        config: settings.
        curriculum: shared with the module.
        script: makes up each response.
        longest_response: as for `RolloutDataModule`.
    """

    def __init__(self, config: Config, curriculum: Curriculum, script: Script, longest_response: int) -> None:
        sources, held_out = load_sources(config)
        super().__init__(config, curriculum, sources, held_out, longest_response=longest_response)
        self.script = script
        everything = [*self.problems.values(), *held_out]
        self.prompts = {p.id: Prompt(p, p.question, tuple(p.question.encode())) for p in everything}
        curriculum.hold_at_most(config.engine.max_model_len or longest_response)

    @property
    def engines(self) -> SharedEngines:
        """Stand-in that refuses; see `NoEngines`."""
        return cast(SharedEngines, NoEngines())

    def setup(self, stage: str) -> None:
        """Do nothing: there is no engine and no verifier."""

    def sync_engine(self) -> None:
        """Refuse: there is no engine."""
        refuse("sync")

    def make_batch(self, step: int) -> RolloutBatch:
        """Return this rank's share of the step's rollouts."""
        ids, epoch, ends_epoch = self._choose(step)
        rank, world = rank_and_world()
        groups = self._groups([self.problems[problem_id] for problem_id in ids])
        lengths = [[len(rollout.generation.token_ids) for rollout in group] for group in groups]
        self.lengths |= {i: sum(each) / len(each) for i, each in zip(ids, lengths, strict=True)}
        mine = share(len(ids), rank, world)
        rewards = torch.tensor([[rollout.verdict.reward for rollout in groups[number]] for number in mine])
        return RolloutBatch(
            step=step,
            groups=[groups[number] for number in mine],
            rewards=rewards,
            advantages=grpo.advantages(rewards, self.config.grpo.advantage),
            temperature=self.curriculum.temperature,
            seconds=dict(SECONDS),
            first=mine.start,
            total_groups=len(ids),
            epoch=epoch,
            ends_epoch=ends_epoch,
            pool_size=len(self.pool_ids()),
        )

    def validate(self) -> HeldOutResults | None:
        """Return what the script makes of the held-out problems, on every rank of all of them."""
        domains = dict.fromkeys(problem.domain for problem in self.held_out)
        asked = [[problem for problem in self.held_out if problem.domain == domain] for domain in domains]
        scores = [ProblemScores.of_rollouts(group) for problems in asked for group in self._groups(problems)]
        return HeldOutResults.of(scores) if scores else None

    def _groups(self, problems: list[Problem]) -> list[list[Rollout]]:
        samples = self.curriculum.rollouts_per_prompt
        return [
            [self._rollout(problem, number, len(problems), sample) for sample in range(samples)]
            for number, problem in enumerate(problems)
        ]

    def _rollout(self, problem: Problem, number: int, prompts: int, sample: int) -> Rollout:
        curriculum, prompt = self.curriculum, self.prompts[problem.id]
        steps, longest = self.config.trainer.max_steps, curriculum.max_response_tokens
        size = (number, prompts, sample, curriculum.rollouts_per_prompt)
        request = SampleRequest(curriculum.step, steps, *size, problem, longest, curriculum.temperature)
        response = self.script(request)
        tokens = min(response.tokens, longest)
        generation = Generation(sample, (0,) * tokens, (-response.entropy,) * tokens, response.tokens > longest)
        verdict = Verdict(response.reward, "", "correct" if response.reward else "wrong", 0.0)
        return Rollout(problem, sample, prompt.ids, prompt.text, generation, "", verdict)
