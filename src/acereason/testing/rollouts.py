"""Rollouts that nobody sampled: a function says what each response is worth, for rehearsals of callbacks."""

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
class Asked:
    """Which response a script is to make up.

    Attributes:
        step, steps: rollout steps done before it, and those of the whole rehearsal.
        place, places: number of its prompt among those of the step, from 0, and how many those are.
        sample, samples: number of the response among those to the prompt, from 0, and how many those are.
        problem: what is asked.
        max_response_tokens, temperature: of the curriculum.
    """

    step: int
    steps: int
    place: int
    places: int
    sample: int
    samples: int
    problem: Problem
    max_response_tokens: int
    temperature: float


@dataclass(frozen=True)
class Answer:
    """A response made up.

    Attributes:
        reward: 1 or 0.
        tokens: its length before it is cut off at the curriculum's limit.
        entropy: minus the log-prob of each token, nats; sums are exact where it is a multiple of 1/64.
    """

    reward: float = 0.0
    tokens: int = 8
    entropy: float = 0.5


Script = Callable[[Asked], Answer]


def uneven(asked: Asked) -> Answer:
    """What a policy that learns may do, but unevenly: a rank that looks at its own rollouts alone goes wrong.

    The first half of the prompts, those of the first of two ranks, is solved, cut off and uncertain more often than the
    rest: rewards there rise from 0 to 1, elsewhere to a half and later, so that every threshold between 0 and 1 lies
    between the ranks at some step. After 60% of the steps, rewards rise no more. The entropy falls from 1 to 1/16.
    """
    progress = min(1.0, (asked.step + 1) / (0.6 * asked.steps))
    is_first = asked.place < asked.places / 2
    solved = min(1.0, 1.5 * progress) if is_first else max(0.0, 1.5 * progress - 1)
    cut_off = progress if is_first else 0.0
    quantile = (asked.sample + 0.5) / asked.samples
    longest = asked.max_response_tokens
    entropy = max(1.0, round(64 * 16 ** (-asked.step / asked.steps))) / 64
    return Answer(
        float(quantile < solved),
        2 * longest if quantile < cut_off else max(1, longest // 2 - asked.sample),
        2 * entropy if is_first else entropy,
    )


class NoEngine:
    """Stands where engines are, and says that there are none."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UserError(f"engines.{name}: a rehearsal has no engine; callbacks that generate need a run")


class ScriptedData(RolloutDataModule):
    """The data module of a rehearsal: problems and what is drawn from them are real, responses follow a script.

    Args:
        config: settings.
        curriculum: shared with the module.
        script: what each response is.
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
        """What says that there are none; see `NoEngine`."""
        return cast(SharedEngines, NoEngine())

    def setup(self, stage: str) -> None:
        """Nothing: there is no engine and no verifier."""

    def sync_engine(self) -> None:
        """Refuses; see `NoEngine`."""
        _ = self.engines.engine

    def make_batch(self, step: int) -> RolloutBatch:
        """This rank's share of the step's rollouts."""
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
            [self._rollout(problem, place, len(problems), sample) for sample in range(samples)]
            for place, problem in enumerate(problems)
        ]

    def _rollout(self, problem: Problem, place: int, places: int, sample: int) -> Rollout:
        curriculum, prompt = self.curriculum, self.prompts[problem.id]
        steps, longest = self.config.trainer.max_steps, curriculum.max_response_tokens
        size = (place, places, sample, curriculum.rollouts_per_prompt)
        answer = self.script(Asked(curriculum.step, steps, *size, problem, longest, curriculum.temperature))
        tokens = min(answer.tokens, longest)
        generation = Generation(sample, (0,) * tokens, (-answer.entropy,) * tokens, answer.tokens > longest)
        verdict = Verdict(answer.reward, "", "correct" if answer.reward else "wrong", 0.0)
        return Rollout(problem, sample, prompt.ids, prompt.text, generation, "", verdict)
