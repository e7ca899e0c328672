"""Train each of many tiny models in several ways, on the ranks that torchrun started; see `matrix.py`.

    python -m torch.distributed.run --standalone --nproc-per-node N -m perf.training.matrix_side FOLDER

Reads the runs from FOLDER/runs.json, neighbours of one family and type sharing an engine, and prints a JSON object for
each: its number, the log-prob gap and the gradient norm of every step. Gradients go to FOLDER/NUMBER.pt.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import Callback, Trainer

from acereason.config.compose import compose
from acereason.config.schema import Config, EngineName
from acereason.engines.engine import Engine, Generation, Request, Sampling, never
from acereason.engines.transformers_engine import TransformersEngine
from acereason.engines.vllm_engine import VLLMEngine
from acereason.policy.model import whole
from acereason.policy.module import PolicyModule
from acereason.problems.laptop import laptop_problems
from acereason.problems.problem import Problem
from acereason.rollout.curriculum import Curriculum
from acereason.rollout.data import RolloutDataModule
from acereason.training.build import build_trainer, make_deterministic, quiet
from acereason.training.checkpoints import Checkpoints
from acereason.training.held_out import HeldOutEvaluation
from acereason.training.writers import RolloutWriter
from acereason.verifiers.verifier import Verdict
from perf.training.families import FAMILIES
from perf.training.matrix import STEPS, Run

CPU = torch.device("cpu")
CONTEXT = 64
"""Longest prompt and response of these runs, tokens."""
SETTINGS = (
    "rollout.max_gap=.inf",  # the matrix has bounds of its own
    *("recipe=laptop_math", f"trainer.max_steps={STEPS}", "evaluation.every_n_steps=0", "log.progress_bar=false"),
    *("curriculum.prompts_per_step=4", "curriculum.rollouts_per_prompt=4", "curriculum.max_response_tokens=12"),
    *("curriculum.learning_rate=1e-3", "engine.kv_cache_gib=0.02", "model.micro_batch_tokens=128"),
)


class KeptEngine:
    """An engine that several runs use, one after the other.

    `close` leaves it open: vLLM would end the process group with the engine.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def generate(
        self,
        requests: Iterable[Request],
        sampling: Sampling,
        concurrency: int | None = None,
        should_stop: Callable[[], bool] = never,
    ) -> Iterator[Generation]:
        """See `Engine.generate`."""
        return self.engine.generate(requests, sampling, concurrency, should_stop)

    def sync(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """See `Engine.sync`."""
        self.engine.sync(weights)

    def sleep(self) -> None:
        """See `Engine.sleep`."""
        self.engine.sleep()

    def close(self) -> None:
        """Leave it open."""


class Parity:
    """A judge that rewards responses whose characters have an even sum: random models earn it half of the time."""

    def submit(self, problem: Problem, response: str) -> Future[Verdict]:
        """Return the verdict, at once."""
        even = sum(map(ord, response)) % 2 == 0
        future: Future[Verdict] = Future()
        future.set_result(Verdict(float(even), response[:1], "correct" if even else "wrong", 0.0))
        return future

    def close(self) -> None:
        """Do nothing."""


class Recorder(Callback):
    """A callback that keeps what each step measured, and its gradients."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self.norms: list[float] = []
        self.gradients: list[dict[str, torch.Tensor]] = []

    def on_before_optimizer_step(self, trainer: Trainer, module: Any, optimizer: Any) -> None:
        """Keep the gradients; a collective."""
        named = (
            (name.removeprefix("language_model."), parameter) for name, parameter in module.model.named_parameters()
        )
        self.gradients.append({name: whole(p.grad).clone() for name, p in named if p.grad is not None})

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Keep the step's gap and gradient norm."""
        self.gaps.append(module.metrics["rollout/logprob_gap_mean"])
        self.norms.append(module.metrics["policy/grad_norm"])


def config_of(run: Run, model: Path, folder: Path) -> Config:
    """Return the settings of a run."""
    return compose(
        [
            *SETTINGS,
            *FAMILIES[run.family].settings,
            f"model.path={model}",
            f"engine.name={FAMILIES[run.family].engine.value}",
            f"model.compute_dtype={run.dtype}",
            f"engine.dtype={run.dtype}",
            f"model.activation_checkpointing={str(run.checkpointing).lower()}",
            f"trainer.devices={run.ranks}",
            f"trainer.shard_ranks={run.shard_ranks}",
            f"run.root={folder / 'runs'}",
            f"run.name={run.number}",
        ]
    )


def start_engine(config: Config) -> Engine:
    """Start the engine that the settings name."""
    if config.engine.name == EngineName.transformers:
        return TransformersEngine(config.model.path, config.engine, CPU)
    return VLLMEngine(config.model.path, config.engine, CONTEXT, CPU)


def train(config: Config, engine: Engine, store: dist.Store) -> Recorder:
    """Train as `training/train.py` does, in a process group that is there already."""
    evaluation, recorder = HeldOutEvaluation(0), Recorder()
    trainer = build_trainer(config, evaluation, own=[])
    left_out = HeldOutEvaluation | RolloutWriter | Checkpoints
    trainer.callbacks = [*(c for c in trainer.callbacks if not isinstance(c, left_out)), recorder]  # type: ignore[attr-defined]
    curriculum, problems = Curriculum.from_config(config), laptop_problems("math", "train", 12, (2, 3))
    data = RolloutDataModule(
        config,
        curriculum,
        {"problems": problems[:8]},
        problems[8:],
        engine,
        Parity(),  # type: ignore[arg-type]
        store=store,
    )
    trainer.fit(PolicyModule(config, curriculum), data)
    return recorder


def main() -> None:
    """Train all runs that are in the folder."""
    folder = Path(sys.argv[1])
    runs = [Run(**values) for values in json.loads((folder / "runs.json").read_text())]
    quiet()
    make_deterministic(CPU)
    store = next(dist.rendezvous("env://"))[0]
    dist.init_process_group("cpu:gloo")
    engines = []  # kept to the end, see `KeptEngine`
    for _, group in groupby(runs, key=lambda run: (run.family, run.dtype)):
        for first, run in enumerate(group):
            config = config_of(run, folder / run.model, folder)
            if not first:
                engines.append(KeptEngine(start_engine(config)))
            recorder = train(config, engines[-1], dist.PrefixStore(f"run-{run.number}", store))
            if dist.get_rank() == 0:
                torch.save(recorder.gradients, folder / f"{run.number}.pt")
                row = {"number": run.number, "gaps": recorder.gaps, "norms": recorder.norms}
                print(json.dumps(row), flush=True)
    for engine in engines:
        engine.engine.close()


if __name__ == "__main__":
    main()
