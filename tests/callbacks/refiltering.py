"""Tiny runs with a hard-prompt refilter, and what they left."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from lightning.pytorch import Callback, Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import Fitted, problems, prompts, tiny_config, tokenizer

from acereason.config.schema import Config
from acereason.engines.engine import Generation, Request, Sampling
from acereason.engines.scripted_engine import ScriptedEngine
from acereason.errors import StopRequested
from acereason.problems.problem import Problem

IDS = [problem.id for problem in problems(8)]
SOLVED = dict(zip(IDS, [0, 1, 2, 3, 4, 4, 1, 2], strict=True))
"""How many of every four responses are right."""
PROBLEM_OF = {prompt.ids: prompt.problem.id for prompt in prompts(8)}


class Quarters:
    """An engine that solves each problem as often as `SOLVED` says, and from step 2 of a `Clock` on once more.

    It raises `error` at its `stop_after`-th request.
    """

    def __init__(self, stop_after: int | None = None, error: type[BaseException] = StopRequested) -> None:
        self.engine = ScriptedEngine(self.answer)
        self.stop_after, self.error = stop_after, error
        self.asked: list[str] = []
        self.step = 0

    def answer(self, request: Request) -> list[int]:
        problem_id = PROBLEM_OF.get(request.prompt_ids, "")
        self.asked.append(problem_id)
        if len(self.asked) == self.stop_after:
            raise self.error
        solved = SOLVED.get(problem_id, 0) + (self.step >= 2)
        return tokenizer().encode("7" if request.id % 4 < solved else "88")

    def generate(self, requests: Iterable[Request], sampling: Sampling, *rest: Any) -> Iterator[Generation]:
        return self.engine.generate(requests, sampling, *rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


class Clock(Callback):
    """A callback that tells the engine how many steps are done."""

    def __init__(self, engine: Quarters) -> None:
        self.engine = engine

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self.engine.step = module.curriculum.step

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: object) -> None:
        self.engine.step = module.curriculum.step


def is_seven(problem: Problem, response: str) -> float:
    return float(response == "7")


def config_of(root: Path, *overrides: str, **arguments: Any) -> Config:
    """Return the settings of a tiny run with a refilter named `hard`."""
    entries = {"attempts": 4, "keep_solved_at_most": 1, **arguments}
    return tiny_config(
        root,
        "callbacks.hard.class_path=callbacks.hard_prompt_refilter.HardPromptRefilter",
        *(f"callbacks.hard.init_args.{name}={value}" for name, value in entries.items()),
        *overrides,
    )


def drawn(run: Fitted) -> list[set[str]]:
    """Return the problems of each step."""
    return [{group[0].problem.id for group in batch.groups} for batch in run.recorder.batches]


def table(run: Fitted, step: int) -> list[dict[str, Any]]:
    return pq.read_table(run.folder / "solve_rates" / f"step-{step:06d}.parquet").to_pylist()


def histograms(run: Fitted) -> dict[str, list[tuple[int, list[float]]]]:
    """Return step and counts of each histogram in TensorBoard; empty bins, which are only at its ends, are left out."""
    events = EventAccumulator(str(run.folder / "events"), size_guidance={"histograms": 0}).Reload()
    tags = events.Tags()["histograms"]
    return {
        tag.removeprefix("curriculum/solve_rates_"): [
            (event.step, [count for count in event.histogram_value.bucket if count]) for event in events.Histograms(tag)
        ]
        for tag in tags
    }
