"""Engines, verifiers and prompts for a set of problems, on one rank or many, with or without a training run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer

from acereason.config.checks import check_settings
from acereason.config.schema import Config, EngineName
from acereason.distributed.collectives import rank_and_world
from acereason.distributed.environment import RankInfo, read_rank_info, resolve_ranks
from acereason.distributed.group import join, leave, on_cuda
from acereason.distributed.lifeline import Lifeline
from acereason.engines.decided_by import decided_by
from acereason.engines.engine import Engine, never
from acereason.engines.model_folder import model_folder_of_all_ranks
from acereason.engines.prompt import Prompt, check_lengths
from acereason.engines.queue import EngineRanks, Store, WorkQueue
from acereason.engines.shared import SharedEngines
from acereason.engines.thinking import ThinkingRule, prompts_and_rule
from acereason.errors import UserError
from acereason.problems.problem import Problem
from acereason.verifiers.pool.pool import VerifierPool


@dataclass(frozen=True)
class Session:
    """Everything that sampling and judging need.

    Attributes:
        engine: this rank's engine, or its part of one.
        engines: the engines of all ranks as one; all ranks call its methods together.
        pool: the verifiers of this rank.
        tokenizer: of the policy.
        prompts: of the problems, by their ids.
        thinking: what of a response is judged.
        longest_response: longest response that the engine holds after the longest prompt, tokens; infinite if the
            engine was passed in.
        config: settings.
        folder: of the model's files.
        rank: number of this rank, from 0.
    """

    engine: Engine
    engines: SharedEngines
    pool: VerifierPool
    tokenizer: Any
    prompts: dict[str, Prompt]
    thinking: ThinkingRule
    longest_response: float
    config: Config
    folder: Path
    rank: int

    def decided_by(self, ids: Iterable[str] | None = None, step: int = 0) -> str:
        """Return a text that differs whenever a response to the problems, or the verdict on it, could differ.

        It does not say how responses are sampled.

        Args:
            ids: of the problems; all of them if None.
            step: rollout steps done; within a run they identify the weights.
        """
        prompts = self.prompts.values() if ids is None else [self.prompts[problem_id] for problem_id in ids]
        return decided_by(self.config, step, self.folder, prompts)


@contextmanager
def open_session(
    config: Config,
    problems: Sequence[Problem],
    *,
    longest_response: int = 0,
    device: torch.device | None = None,
    store: Store | None = None,
    stop_requested: Callable[[], bool] = never,
    engine: Engine | None = None,
    pool: VerifierPool | None = None,
) -> Iterator[Session]:
    """Start engine and verifiers, with the weights of `model.path`; close them at the end of the block.

    If torchrun, SLURM or our launcher started several ranks and there is no process group yet, they join one here.

    Args:
        config: settings; those of model, engine, rewards and sandbox count.
        problems: that may be asked; the engine is sized for the longest of their prompts.
        longest_response: longest response that will be asked for, tokens, if longer than those of the settings.
        device: of the engine; if None, this rank's GPU or, without one, the CPU.
        store: of the process group, for the queue of work that engines share; None joins a group if there is none yet.
        stop_requested: returns whether this rank was asked to stop.
        engine, pool: used instead of new ones; the session closes them as well.

    Raises:
        UserError: a setting, file or model cannot work, or a prompt leaves no room for the response.
    """
    if not problems:
        raise UserError("no problems: a session needs at least one, whose prompt the engine is sized for")
    with ExitStack() as stack:
        if store is None:
            store = stack.enter_context(_process_group(config))
        folder = model_folder_of_all_ranks(config.model.path)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        prompts, rule = prompts_and_rule(config, problems, tokenizer)
        if rule.warning and rank_and_world()[0] == 0:
            warnings.warn(rule.warning, stacklevel=2)
        if pool is None:
            rewards, domains = config.rewards, tuple(dict.fromkeys(problem.domain for problem in problems))
            limits = (rewards.workers, rewards.timeout_seconds, rewards.memory_mib)
            pool = VerifierPool(*limits, domains, config.sandbox, thinking_required=rule.required)
        stack.callback(pool.close)
        ranks, longest = EngineRanks(config.engine.tensor_parallel_size), inf
        if engine is None:
            wanted = max(longest_response, config.curriculum.max_response_tokens, config.evaluation.max_response_tokens)
            length = _sequence_length(config, folder, wanted, list(prompts.values()))
            engine = _start_engine(config, folder, length, device or _device(config), ranks)
            longest = length - max(len(prompt.ids) for prompt in prompts.values())
        stack.callback(engine.close)
        queue, settings = WorkQueue(ranks, store), config.engine
        engines = SharedEngines(
            engine, ranks, queue, pool.submit, tokenizer, settings.max_num_seqs, settings.work, stop_requested
        )
        yield Session(engine, engines, pool, tokenizer, prompts, rule, longest, config, folder, rank_and_world()[0])


@contextmanager
def _process_group(config: Config) -> Iterator[Store | None]:
    """Join the process group if several ranks were started and have not joined one yet; yield its store.

    Yields:
        None for one rank, or if there is a group already.

    Raises:
        UserError: the settings cannot work, ask for other ranks than were started, or ranks want to meet a second time.
    """
    rank_info = read_rank_info()
    if rank_and_world() != (0, 1):
        yield None
        return
    resolve_ranks(config, rank_info)
    if config.trainer.ranks != rank_info.world_size:
        asked = f"trainer.devices={config.trainer.devices}: {config.trainer.ranks} ranks"
        raise UserError(f"{asked}, but nobody started them; use torchrun --nproc-per-node {config.trainer.ranks}")
    check_settings(config)
    if rank_info.world_size == 1:
        yield None
        return
    if _met:
        raise UserError("several ranks can open one session in a process: what they met by is not made anew")
    _met.append(rank_info)
    lifeline = Lifeline(launched=bool(rank_info.launcher))
    try:
        yield join(config, rank_info, lifeline)
    except BaseException as error:
        lifeline.fail(f"rank {rank_info.rank} failed: {type(error).__name__}: {error}", 1)
        raise
    leave()
    lifeline.close()


_met: list[RankInfo] = []
"""Where this process has met other ranks already: keys of the first meeting would mislead a second one."""


def _device(config: Config) -> torch.device:
    return torch.device("cuda", torch.cuda.current_device()) if on_cuda(config) else torch.device("cpu")


def _sequence_length(config: Config, folder: Path, longest_response: int, prompts: Sequence[Prompt]) -> int:
    """Return the longest sequence that the engine has to hold, tokens.

    Raises:
        UserError: the longest prompt and response do not fit into the context.
    """
    context = config.engine.max_model_len or model_context(folder)
    check_lengths(prompts, longest_response, context)
    if config.engine.name == EngineName.transformers or config.engine.max_model_len:
        return context
    return min(context, max(len(prompt.ids) for prompt in prompts) + longest_response)


def _start_engine(config: Config, folder: Path, max_model_len: int, device: torch.device, ranks: EngineRanks) -> Engine:
    match config.engine.name:
        case EngineName.transformers:
            from acereason.engines.transformers_engine import TransformersEngine

            return TransformersEngine(str(folder), config.engine, device)
        case EngineName.vllm:
            from acereason.engines.vllm_engine import VLLMEngine

            return VLLMEngine(str(folder), config.engine, max_model_len, device, ranks.summed)


def model_context(folder: Path) -> int:
    """Return the longest sequence, prompt and response, that the positions of a folder's model allow."""
    return int(AutoConfig.from_pretrained(folder).max_position_embeddings)
