"""The plan of a run, from its settings, its callbacks and the model's config.json alone: no weights, no torch."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from acereason.config.schema import CallbackConfig, Config, ProblemsConfig, Scheduling
from acereason.curricula.user_callbacks import longest_response
from acereason.planning.memory import Shape
from acereason.planning.memory_lines import memory_lines
from acereason.planning.stage_table import PlannedStage, planned_stages, stages_of, table
from acereason.problems.loaders import sources

INDENT = " " * 13
WIDTH = 120


def print_plan(config: Config, callbacks: Sequence[Any] = (), missing: Sequence[str] = ()) -> None:
    """Print the plan."""
    print("\n".join(plan_lines(config, callbacks, missing)), flush=True)


def plan_lines(config: Config, callbacks: Sequence[Any] = (), missing: Sequence[str] = ()) -> list[str]:
    """Return the plan as lines of text.

    Args:
        config: settings.
        callbacks: objects of the classes that the settings name.
        missing: what training needs and this machine lacks, in words.
    """
    given = stages_of(callbacks)
    stages = planned_stages(config, given)
    return [
        f"recipe       {config.recipe}, seed {config.seed}",
        *_source_lines(sources(config)),
        *(_stage_lines(config, stages) if given else _single_stage_lines(config, stages[0])),
        *_callback_lines(config, callbacks),
        *_rank_lines(config),
        f"run folder   {config.run.folder}",
        *_model_lines(config, longest_response(config, callbacks), max(stage.responses for stage in stages)),
        *(f"missing: {text}" for text in missing),
    ]


def _source_lines(named: Mapping[str, ProblemsConfig]) -> list[str]:
    lines = [
        f"{f'{name}: ' if len(named) > 1 else ''}{source.path} ({source.domain.value}), {source.held_out} held out"
        for name, source in named.items()
    ]
    return [f"problems     {lines[0]}", *(INDENT + line for line in lines[1:])]


def _single_stage_lines(config: Config, stage: PlannedStage) -> list[str]:
    return [
        f"steps        {config.trainer.max_steps} rollout steps of {stage.prompts_per_step} prompts × "
        f"{stage.rollouts_per_prompt} rollouts, {config.grpo.updates_per_batch} update(s) each",
        f"responses    up to {stage.max_response_tokens:,} tokens at temperature {stage.temperature:g}, "
        f"at most {stage.responses * stage.max_response_tokens:,} tokens a step",
        f"learning     AdamW at {stage.learning_rate:g}, gradients clipped at {config.optimizer.max_grad_norm:g}",
    ]


def _stage_lines(config: Config, stages: Sequence[PlannedStage]) -> list[str]:
    headings, *rows = table(stages)
    return [
        f"stages       {headings}",
        *(INDENT + row for row in rows),
        f"steps        at most {config.trainer.max_steps:,}, each a batch of prompts × rollouts and "
        f"{config.grpo.updates_per_batch} update(s) by AdamW, gradients clipped at {config.optimizer.max_grad_norm:g}",
    ]


def _callback_lines(config: Config, callbacks: Sequence[Any]) -> list[str]:
    """Return one entry for each callback with its arguments; the stages have lines of their own."""
    entries = [
        f"{name}: {_call(entry)}"
        for (name, entry), callback in zip_longest(config.callbacks.items(), callbacks)
        if not stages_of([callback])
    ]
    lines = [
        line for entry in entries for line in textwrap.wrap(entry, WIDTH - len(INDENT) - 2, subsequent_indent="  ")
    ]
    return [f"callbacks    {lines[0]}", *(INDENT + line for line in lines[1:])] if lines else []


def _call(entry: CallbackConfig) -> str:
    arguments = ", ".join(f"{name}={_plain(value)}" for name, value in entry.init_args.items())
    return f"{entry.class_path.rpartition('.')[2]}({arguments})"


def _plain(value: Any) -> str:
    """Return a value in YAML's flow form."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_plain(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_plain, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _rank_lines(config: Config) -> list[str]:
    trainer, engine = config.trainer, config.engine
    shard, size = trainer.shard_ranks or trainer.ranks, engine.tensor_parallel_size
    work = "responses from one queue" if engine.work == Scheduling.queue else "an equal share of the responses each"
    return [
        f"ranks        {trainer.ranks} ({max(trainer.num_nodes, 1)} node(s) × {max(trainer.devices, 1)}), "
        f"policy held {trainer.ranks // shard} time(s), in {shard} shard(s)",
        f"engines      {trainer.ranks // size} of {size} rank(s), {engine.name.value}"
        + (f", {work}" if trainer.ranks > size else ""),
    ]


def _model_lines(config: Config, longest: int, largest_step: int) -> list[str]:
    shape = Shape.of_model(config.model.path)
    if shape is None:
        is_here = Path(config.model.path).exists()
        why = "of another kind: its memory is not estimated" if is_here else "on the hub; not looked up"
        return [f"model        {config.model.path} ({why})"]
    line = f"model        {config.model.path}, {shape.parameters:,} parameters"
    return [line, *memory_lines(config, shape, longest, largest_step)]
