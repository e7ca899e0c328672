"""The policy as a LightningModule: FSDP2 shards, one on-policy GRPO update for each batch of rollouts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch
from lightning.fabric.utilities.throughput import get_available_flops
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from acereason import grpo
from acereason.config import Config
from acereason.curriculum import Curriculum
from acereason.policy.model import PolicyModel
from acereason.policy.update import (
    GradientStats,
    accumulate_gradients,
    compute_logprobs,
    plan,
    responses_of,
)
from acereason.rollout.metrics import RolloutMetrics, step_metrics
from acereason.rollout.rollout import RolloutBatch

PREFIX = "language_model."
MAX_SKIPPED_UPDATES = 3


class NonFiniteGradientError(RuntimeError):
    """Gradients were not finite several updates in a row."""


class PolicyModule(LightningModule):
    """The policy, its optimizer and its update.

    Attributes:
        curriculum: shared with the data module and the callbacks; gives the learning rate.
        model: the sharded policy, once `configure_model` has run.
        reference: a frozen copy of the initial policy when the KL term is on.
    """

    def __init__(self, config: Config, curriculum: Curriculum) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.config = config
        self.curriculum = curriculum
        self.model: PolicyModel | None = None
        self.reference: PolicyModel | None = None
        self.rollout_metrics = RolloutMetrics()
        self.skipped_updates = 0

    def configure_model(self) -> None:
        """Loads and shards the policy, once; Lightning may call this more than once."""
        if self.model is not None:
            return
        self.model = self._sharded_model()
        if self.config.grpo.kl_coefficient:
            self.reference = self._sharded_model().requires_grad_(False)

    def _sharded_model(self) -> PolicyModel:
        model = PolicyModel(self.config.model)
        assert self.device_mesh is not None
        model.shard(self.device_mesh["data_parallel"], self.config.model.compute_dtype)
        return model.train()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW on the float32 shards; the learning rate is set before every step."""
        assert self.model is not None
        settings = self.config.optimizer
        return torch.optim.AdamW(
            self.model.parameters(),
            lr=self.curriculum.learning_rate,
            betas=(settings.beta1, settings.beta2),
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            fused=settings.fused,
        )

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """(Hugging Face name, whole tensor) one at a time. A collective: every rank has to go through all of it."""
        assert self.model is not None
        for name, parameter in self.model.named_parameters():
            whole = parameter.full_tensor() if isinstance(parameter, DTensor) else parameter
            yield name.removeprefix(PREFIX), whole.detach()

    def training_step(self, batch: RolloutBatch, batch_idx: int) -> None:
        """`grpo.updates_per_batch` optimizer steps on the rollouts of one step; then the step counts as done."""
        started = time.perf_counter()
        results, packed_tokens = self._update(batch)
        self.curriculum.step += 1
        batch.seconds["train"] = time.perf_counter() - started
        results |= self._utilisation(packed_tokens, batch.seconds["train"])
        metrics = step_metrics(batch, self.rollout_metrics, self.device) | results
        metrics["curriculum/max_response_tokens"] = float(self.curriculum.max_response_tokens)
        metrics["curriculum/temperature"] = batch.temperature
        self.log_dict(metrics | {"step": float(self.curriculum.step)}, rank_zero_only=True)

    def _update(self, batch: RolloutBatch) -> tuple[dict[str, float], int]:
        """One optimizer step for each mini-batch; returns what they measured and the tokens this rank computed."""
        settings, temperature = self.config.grpo, batch.temperature
        planned = []
        for groups in grpo.mini_batches(len(batch.groups), settings.updates_per_batch):
            responses = responses_of(batch, groups, settings, self.device)
            planned.append((responses, plan(responses, self.config.model.micro_batch_tokens, self.device)))
        old: list[Any] = [None] * len(planned)
        if len(planned) > 1:
            old = [compute_logprobs(self._forward, batches, temperature, self.device) for _, batches in planned]
        stats, norms, learning_rate = [], [], self.learning_rate
        for (responses, batches), old_logprobs in zip(planned, old, strict=True):
            reference = None
            if self.reference is not None:
                reference = compute_logprobs(self.reference, batches, temperature, self.device)
            gradient_stats = accumulate_gradients(
                self._forward,
                responses,
                batches,
                settings,
                temperature,
                self.device,
                scale=float(self.trainer.world_size),
                old_logprobs=old_logprobs,
                reference_logprobs=reference,
                before_backward=self._sync_gradients,
            )
            stats.append(gradient_stats)
            norms.append(self._optimizer_step())
        return self._update_metrics(stats, norms, learning_rate), sum(s.packed_tokens for s in stats)

    def _utilisation(self, tokens: int, seconds: float) -> dict[str, float]:
        """`throughput/mfu`: six operations a parameter and token over what the device could do in the update's time.

        Empty where the device's peak is not known, as on the CPU.
        """
        assert self.model is not None
        peak = get_available_flops(self.device, getattr(torch, self.config.model.compute_dtype.value))
        if peak is None:
            return {}
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        return {"throughput/mfu": 6 * parameters * tokens / seconds / peak}

    def _forward(self, *arguments: Any) -> tuple[Tensor, Tensor]:
        assert self.model is not None
        result: tuple[Tensor, Tensor] = self.model(*arguments)
        return result

    def _sync_gradients(self, last: bool) -> None:
        """Ranks exchange gradients in the last micro-batch's backward pass only."""
        if isinstance(self.model, FSDPModule):
            self.model.set_requires_gradient_sync(last)

    def _optimizer_step(self) -> float:
        """Clips, steps and clears; an update whose gradient is not finite is skipped. Returns the gradient norm."""
        optimizer: Any = self.optimizers()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if isinstance(norm, DTensor):
            norm = norm.full_tensor()
        if torch.isfinite(norm):
            torch.nn.utils.clip_grads_with_norm_(parameters, self.config.optimizer.max_grad_norm, norm)
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate
            optimizer.step()
            self.skipped_updates = 0
        else:
            self.skipped_updates += 1
        optimizer.zero_grad()
        if self.skipped_updates >= MAX_SKIPPED_UPDATES:
            raise NonFiniteGradientError(
                f"gradients were not finite in {MAX_SKIPPED_UPDATES} updates in a row (norm {norm.item()}, "
                f"rollout step {self.curriculum.step}): lower curriculum.learning_rate="
                f"{self.curriculum.learning_rate} or go back to an earlier checkpoint"
            )
        return norm.item()

    @property
    def learning_rate(self) -> float:
        """Of the next optimizer step: the curriculum's, after linear warm-up."""
        warmup = self.config.optimizer.warmup_steps
        done = self.trainer.global_step + 1
        return self.curriculum.learning_rate * min(1.0, done / warmup if warmup else 1.0)

    def _update_metrics(self, stats: list[GradientStats], norms: list[float], learning_rate: float) -> dict[str, float]:
        tokens = sum(s.tokens for s in stats)
        metrics = {
            "policy/loss": sum(s.loss for s in stats) / len(stats),
            "policy/grad_norm": sum(norms) / len(norms),
            "policy/lr": learning_rate,
            "policy/skipped_updates": float(self.skipped_updates),
            "rollout/logprob_gap_mean": stats[0].gap_sum / max(stats[0].tokens, 1),
            "rollout/logprob_gap_max": max(s.gap_max for s in stats),
        }
        if self.config.grpo.updates_per_batch > 1:
            metrics["policy/clip_fraction"] = sum(s.clipped for s in stats) / max(tokens, 1)
        if self.config.grpo.kl_coefficient:
            metrics["policy/kl"] = sum(s.kl for s in stats) / len(stats)
        return metrics

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the curriculum: with the weights and the optimizer it is the whole state of a run."""
        checkpoint["curriculum"] = self.curriculum.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the curriculum back and lets Lightning count the remaining steps as a fresh epoch."""
        self.curriculum.load_state_dict(checkpoint["curriculum"])
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        # Saved before its step counted as completed; Lightning makes up for that by adding 1.
        progress["current"] = dict.fromkeys(progress["current"], 0) | {"completed": -1}
        progress["is_last_batch"] = False
