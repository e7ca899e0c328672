"""A supervised warm start: the policy learns to write worked solutions after the run's own prompts.

Solutions are packed, attended and sharded as rollouts are. The loss is the mean of -log-prob over the tokens of the
step's solutions on all ranks, the token that ends a response included; prompts have none.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor
from transformers import AutoTokenizer

from acereason.config.schema.warm_start import WarmStartConfig, WarmStartSettings
from acereason.distributed.collectives import rank_and_world
from acereason.distributed.environment import RankInfo
from acereason.distributed.group import join, leave, on_cuda
from acereason.distributed.lifeline import Lifeline
from acereason.engines.model_folder import model_folder_of_all_ranks
from acereason.engines.prompt import make_prompt
from acereason.engines.session import model_context
from acereason.errors import UserError
from acereason.policy.adapters import plain_weights
from acereason.policy.model import PolicyModel, whole
from acereason.policy.packing import ResponseTokens, pack
from acereason.policy.spread import micro_batches
from acereason.policy.update import EMPTY
from acereason.problems.loaders import sources
from acereason.problems.problem import WorkedProblem
from acereason.problems.prompt_style import check_style, read_style
from acereason.problems.prompts import PAPER_STYLE, PromptStyle
from acereason.problems.solutions import load_solutions
from acereason.seeds import derived_seed
from acereason.training.build import make_deterministic, quiet
from acereason.training.export import check_replaceable, export_weights

_log = logging.getLogger(__name__)
LINES = 20
"""How many lines of progress a warm start prints."""


def warm_start(config: WarmStartConfig, rank_info: RankInfo, lifeline: Lifeline) -> None:
    """Train on the worked solutions of all sources and write the policy to `warm_start.output`.

    Args:
        config: settings.
        rank_info: the rank of this process among all.
        lifeline: of this process.

    Raises:
        UserError: a setting, file or model cannot work.
    """
    quiet()
    folder = Path(config.warm_start.output)
    check_replaceable(folder.resolve())
    join(config, rank_info, lifeline)
    device = torch.device("cuda", torch.cuda.current_device()) if on_cuda(config) else torch.device("cpu")
    make_deterministic(device)
    learning = WarmStart(config, device)
    train, held_out = _solutions(config)
    steps = list(batches(train, config.seed, config.warm_start))
    started = time.perf_counter()
    for step, batch in enumerate(steps, 1):
        rate = learning_rate(step, len(steps), config.warm_start)
        loss, tokens = learning.step(batch, rate)
        if rank_info.rank == 0 and (step * LINES // len(steps) > (step - 1) * LINES // len(steps)):
            seconds = time.perf_counter() - started
            line = f"step {step} of {len(steps)}: loss {loss:.4f} over {tokens:,} tokens, {seconds:.0f} s"
            print(line, flush=True)
    if held_out:
        loss, tokens = learning.loss(held_out)
        if rank_info.rank == 0:
            print(f"held-out loss {loss:.4f} over {tokens:,} tokens of {len(held_out)} solutions", flush=True)
    learning.export(folder)
    leave()


class WarmStart:
    """The sharded policy and its optimizer.

    Args:
        config: settings.
        device: of this rank.
    """

    def __init__(self, config: WarmStartConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.model = PolicyModel(config.model, config.seed)
        self.model.shard(_mesh(config, device), config.model.compute_dtype)
        self.model.load(device).train()
        settings = config.optimizer
        self.optimizer = torch.optim.AdamW(
            self.model.trained,
            betas=(settings.beta1, settings.beta2),
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            fused=settings.fused,
        )

    def step(self, solutions: Sequence[ResponseTokens], learning_rate: float) -> tuple[float, int]:
        """Take one optimizer step; return the loss over all ranks, nats, and the number of tokens it is a mean of.

        Raises:
            RuntimeError: the gradient is not finite.
        """
        loss, tokens = self._accumulate(solutions, backward=True)
        parameters = list(self.model.parameters())
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if isinstance(norm, DTensor):
            norm = norm.full_tensor()
        if not torch.isfinite(norm):
            raise RuntimeError(f"the gradient is not finite: lower warm_start.learning_rate={learning_rate}")
        torch.nn.utils.clip_grads_with_norm_(parameters, self.config.optimizer.max_grad_norm, norm)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss, tokens

    @torch.no_grad()
    def loss(self, solutions: Sequence[ResponseTokens]) -> tuple[float, int]:
        """Return the loss over all ranks, nats, and the number of tokens it is a mean of."""
        result = self._accumulate(solutions, backward=False)
        self.model.release()
        return result

    def _accumulate(self, solutions: Sequence[ResponseTokens], *, backward: bool) -> tuple[float, int]:
        """Compute this rank's share of the loss and, if asked, of its gradient, micro-batch by micro-batch."""
        rank, world = rank_and_world()
        tokens = sum(len(each.response_ids) for each in solutions)
        sizes = [(each.group, len(each.prompt_ids), len(each.response_ids)) for each in solutions]
        planned = micro_batches(sizes, world, self.config.model.micro_batch_tokens, self.model.cost)[rank]
        total = torch.zeros((), dtype=torch.float64)
        for numbers in planned:
            row = pack([solutions[number] for number in numbers] or [EMPTY]).to(self.device)
            logprobs, _ = self.model(row, 1.0)
            loss = -logprobs.sum() / tokens * float(bool(numbers))  # a rank without work takes part with nothing
            total += loss.item()
            if backward:
                (loss * world).backward()  # FSDP2 averages gradients over ranks
        dist.all_reduce(total)
        return total.item(), tokens

    def export(self, folder: Path) -> None:
        """Write the policy in Hugging Face format, with the tokenizer of the model that it started from."""
        dtype = getattr(torch, self.config.checkpoint.export_dtype.value)
        weights = self._weights()
        if rank_and_world()[0] == 0:
            export_weights(weights, self.config.model.path, folder, dtype)
            print(f"policy written to {folder}", flush=True)
        for _ in weights:  # the other ranks take part; rank 0 takes what the export left
            pass

    def _weights(self) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in plain_weights(self.model.language_model, self.device, torch.float32, whole):
            yield name, whole(tensor)


def _mesh(config: WarmStartConfig, device: torch.device) -> DeviceMesh:
    """Return the mesh of all ranks, or of copies of the policy times the ranks that share each copy."""
    world = config.trainer.ranks
    sharing = config.trainer.shard_ranks or world
    if sharing == world:
        return init_device_mesh(device.type, (world,), mesh_dim_names=("shard",))
    return init_device_mesh(device.type, (world // sharing, sharing), mesh_dim_names=("replicate", "shard"))


def learning_rate(step: int, steps: int, settings: WarmStartSettings) -> float:
    """Return the learning rate of a step, counted from 1: it rises linearly, then falls linearly to zero."""
    rising = step / max(settings.warmup_steps, 1)
    falling = (steps + 1 - step) / max(steps - settings.warmup_steps, 1)
    return settings.learning_rate * min(1.0, rising, falling)


def batches(
    solutions: Sequence[ResponseTokens], seed: int, settings: WarmStartSettings
) -> Iterator[list[ResponseTokens]]:
    """Yield the solutions of each step; their order differs between epochs and depends on the seed alone."""
    size = settings.solutions_per_step
    steps = settings.epochs * -(-len(solutions) // size)
    left = min(steps, settings.max_steps or steps)
    for epoch in range(settings.epochs):
        order = list(solutions)
        random.Random(derived_seed(seed, "warm start", epoch)).shuffle(order)
        for first in range(0, len(order), size):
            if left:
                left -= 1
                yield order[first : first + size]


def _solutions(config: WarmStartConfig) -> tuple[list[ResponseTokens], list[ResponseTokens]]:
    """Return the solutions of all sources to learn from, and the held-out ones, as tokens.

    Raises:
        UserError: a source has no solutions, or none fits into the model's context.
    """
    folder = model_folder_of_all_ranks(config.model.path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.eos_token_id is None:
        raise UserError(f"model.path={config.model.path}: its tokenizer names no eos_token, with which a response ends")
    loaded = [load_solutions(source, config.warm_start.solution) for source in sources(config).values()]
    context = model_context(folder)
    style = read_style(config.prompts)
    check_style(style, tokenizer, loaded[0][0][0].problem)
    train, held_out = (
        _fitting([tokens_of(worked, number, tokenizer, style) for number, worked in enumerate(every)], context)
        for every in ([each for part in loaded for each in part[0]], [each for part in loaded for each in part[1]])
    )
    if not train:
        raise UserError(f"no solution fits into the context of {context} tokens together with its prompt")
    return train, held_out


def tokens_of(worked: WorkedProblem, number: int, tokenizer: Any, style: PromptStyle = PAPER_STYLE) -> ResponseTokens:
    """Return prompt and solution as tokens; the solution ends with the token that ends a response."""
    prompt = make_prompt(worked.problem, tokenizer, style).ids
    solution = tokenizer.encode(worked.solution, add_special_tokens=False)
    return ResponseTokens(number, number, prompt, (*solution, tokenizer.eos_token_id))


def _fitting(solutions: list[ResponseTokens], context: int) -> list[ResponseTokens]:
    fitting = [each for each in solutions if len(each.prompt_ids) + len(each.response_ids) <= context]
    if len(fitting) < len(solutions) and rank_and_world()[0] == 0:
        left_out = len(solutions) - len(fitting)
        _log.warning("%d solutions left out: longer than the context of %d tokens", left_out, context)
    return fitting
