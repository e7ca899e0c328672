"""The policy as a LightningModule: FSDP2 shards, one on-policy GRPO update for each batch of rollouts."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from lightning.fabric.utilities.throughput import get_available_flops
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.distributed.tensor import DTensor

from acereason import grpo
from acereason.config.schema import Config
from acereason.distributed.collectives import gather
from acereason.policy.adapters import plain_weights
from acereason.policy.loss_scale import LossScale
from acereason.policy.mesh import sharding_mesh
from acereason.policy.mismatch import GapCheck, total
from acereason.policy.model import PolicyModel, whole
from acereason.policy.packing import ResponseTokens
from acereason.policy.self_check import check_exact
from acereason.policy.update import (
    GradientStats,
    Responses,
    accumulate_gradients,
    compute_logprobs,
    responses_of,
    spread_over_ranks,
    summed,
)
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum
from acereason.rollout.metrics import RolloutMetrics, curriculum_metrics, step_metrics

MAX_SKIPPED_UPDATES = 3


class NonFiniteGradientError(RuntimeError):
    """Non-finite gradients in several updates in a row."""


class PolicyModule(LightningModule):
    """The policy, its optimizer and its update.

    Args:
        config: settings.
        curriculum: shared with the data module and the callbacks.
        changed: settings whose value replaces the one in the checkpoint that the run resumes from.

    Attributes:
        curriculum: shared with the data module and the callbacks; gives the learning rate.
        model: the sharded policy, once `configure_model` has run.
        reference: a frozen copy of the initial policy when the KL term is on.
        metrics: scalars of the last step, the same on all ranks.
        fresh_since: `global_step` at which the optimizer was last reset; warm-up is counted from there.
        loss_scale: factor of the loss in float16.
    """

    def __init__(self, config: Config, curriculum: Curriculum, changed: Sequence[str] = ()) -> None:
        super().__init__()
        self.changed = changed
        self.automatic_optimization = False
        self.config = config
        self.curriculum = curriculum
        self.model: PolicyModel | None = None
        self.reference: PolicyModel | None = None
        self.rollout_metrics = RolloutMetrics()
        self.metrics: dict[str, float] = {}
        self.skipped_updates = 0
        self.fresh_since = 0
        self.loss_scale = LossScale(config.model.compute_dtype)
        self.check_gap = GapCheck(config)

    def configure_model(self) -> None:
        """Load and shard the policy, once; Lightning may call this more than once."""
        if self.model is not None:
            return
        self.model = self._sharded_model()
        check_exact(self.model, self.trainer.strategy.root_device, self.config.model.compute_dtype)
        if self.config.grpo.kl_coefficient:
            self.reference = self._sharded_model().requires_grad_(False)

    def _sharded_model(self) -> PolicyModel:
        assert self.device_mesh is not None
        model = PolicyModel(self.config.model, self.config.seed)
        model.shard(sharding_mesh(self.device_mesh, self.config.trainer), self.config.model.compute_dtype)
        # Lightning moves the module to its device only later: `self.device` is the CPU here.
        return model.load(self.trainer.strategy.root_device).train()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW on the float32 shards."""
        assert self.model is not None
        return torch.optim.AdamW(
            self.model.trained,
            lr=self.curriculum.learning_rate,
            fused=self.config.optimizer.fused,
            **self._hyperparameters(),
        )

    def _hyperparameters(self) -> dict[str, Any]:
        """Return the settings' values; they are set before every step, whatever a checkpoint holds."""
        settings = self.config.optimizer
        return {
            "betas": (settings.beta1, settings.beta2),
            "eps": settings.eps,
            "weight_decay": settings.weight_decay,
        }

    def weights(self, dtype: torch.dtype = torch.float32) -> Iterator[tuple[str, Tensor]]:
        """Yield (Hugging Face name, whole tensor), one at a time. A collective: every rank has to iterate over all.

        Adapters are merged into the weights that they change.

        Args:
            dtype: type that each rank casts its rows to before they are gathered, so bfloat16 halves the traffic.
        """
        assert self.model is not None
        gather(None)  # ranks that come here hours apart wait for each other on the CPU; NCCL gives up after minutes
        for name, tensor in plain_weights(self.model.language_model, self.device, dtype, whole):
            yield name, whole(tensor)

    def training_step(self, batch: RolloutBatch, batch_idx: int) -> None:
        """Take `grpo.updates_per_batch` optimizer steps on the rollouts of one step; then the step counts as done."""
        started = time.perf_counter()
        results, packed_tokens = self._update(batch)
        self.curriculum.advance()
        seconds = max(gather(time.perf_counter() - started))
        results |= self._utilisation(packed_tokens, seconds)
        metrics = step_metrics(batch, seconds, self.rollout_metrics, self.device) | results
        self.metrics = metrics | curriculum_metrics(self.curriculum, batch)
        # For progress bars and callbacks; `ScalarWriter` writes them before the step's checkpoint is saved.
        self.log_dict(self.metrics, logger=False, rank_zero_only=True)

    def _update(self, batch: RolloutBatch) -> tuple[dict[str, float], int]:
        """Take one optimizer step for each mini-batch; return metrics and the number of tokens all ranks computed."""
        assert self.model is not None
        settings, temperature = self.config.grpo, batch.temperature
        planned = []
        for groups in grpo.mini_batches(batch.total_groups or len(batch.groups), settings.updates_per_batch):
            responses = responses_of(batch, groups, settings)
            planned.append(spread_over_ranks(responses, self.config.model.micro_batch_tokens, self.model.cost))
        old: list[Any] = [None] * len(planned)
        if len(planned) > 1:
            old = [compute_logprobs(self._forward, batches, temperature, self.device) for _, batches in planned]
        stats, norms, learning_rate = [], [], self.learning_rate
        for (responses, batches), old_logprobs in zip(planned, old, strict=True):
            reference = None
            if self.reference is not None:
                reference = compute_logprobs(self.reference, batches, temperature, self.device)
                self.reference.release()
            gradient_stats, norm = self._gradients(responses, batches, temperature, old_logprobs, reference)
            self.check_gap(gradient_stats.mismatch, batch.step, temperature, self.curriculum.top_p)
            stats.append(gradient_stats)
            norms.append(self._optimizer_step(norm))
        return self._update_metrics(stats, norms, learning_rate), sum(s.packed_tokens for s in stats)

    def _gradients(
        self,
        responses: Responses,
        batches: list[list[ResponseTokens]],
        temperature: float,
        old_logprobs: list[Tensor] | None,
        reference_logprobs: list[Tensor] | None,
    ) -> tuple[GradientStats, Tensor]:
        """Accumulate the gradients of one update; return stats over all ranks and the norm, the same on all of them.

        Gradients that overflow in float16 are computed again with a smaller loss scale.
        """
        while True:
            own = accumulate_gradients(
                self._forward,
                responses,
                batches,
                self.config.grpo,
                temperature,
                self.device,
                scale=self.trainer.world_size * self.loss_scale.value,
                old_logprobs=old_logprobs,
                reference_logprobs=reference_logprobs,
            )
            stats, norm = summed(gather(own)), self._unscaled_norm()
            overflowed = math.isfinite(stats.loss) and not torch.isfinite(norm)
            if not (overflowed and self.loss_scale.lower()):
                return stats, norm
            self._optimizer.zero_grad()

    def _unscaled_norm(self) -> Tensor:
        """Divide the gradients by the loss scale; return the norm of all of them."""
        gradients = [parameter.grad for parameter in self._trained if parameter.grad is not None]
        if self.loss_scale.value != 1:
            torch._foreach_mul_(gradients, 1 / self.loss_scale.value)
        norm = torch.nn.utils.get_total_norm(gradients)
        return norm.full_tensor() if isinstance(norm, DTensor) else norm

    @property
    def _optimizer(self) -> Any:
        return self.optimizers()

    @property
    def _trained(self) -> list[Tensor]:
        return [parameter for group in self._optimizer.param_groups for parameter in group["params"]]

    def _utilisation(self, tokens: int, seconds: float) -> dict[str, float]:
        """Return `throughput/mfu`: six operations a parameter and token, over the peak of all devices in that time.

        A frozen parameter takes four: it has no gradient of its own.

        The result is empty if the device's peak is not known, as on the CPU.
        """
        assert self.model is not None
        peak = get_available_flops(self.device, getattr(torch, self.config.model.compute_dtype.value))
        if peak is None:
            return {}
        operations = sum(p.numel() * (6 if p.requires_grad else 4) for p in self.model.parameters())
        return {"throughput/mfu": operations * tokens / seconds / peak / self.trainer.world_size}

    def _forward(self, *arguments: Any) -> tuple[Tensor, Tensor]:
        assert self.model is not None
        result: tuple[Tensor, Tensor] = self.model(*arguments)
        return result

    def _optimizer_step(self, norm: Tensor) -> float:
        """Clip, step and clear, but skip the step if the gradient is not finite; return the gradient norm."""
        optimizer = self._optimizer
        if torch.isfinite(norm):
            torch.nn.utils.clip_grads_with_norm_(self._trained, self.config.optimizer.max_grad_norm, norm)
            for group in optimizer.param_groups:
                group |= self._hyperparameters() | {"lr": self.learning_rate}
            optimizer.step()
            self.skipped_updates = 0
            self.loss_scale.count()
        else:
            self.skipped_updates += 1
        optimizer.zero_grad()
        if self.skipped_updates >= MAX_SKIPPED_UPDATES:
            raise NonFiniteGradientError(
                f"gradients were not finite in {MAX_SKIPPED_UPDATES} updates in a row (norm {norm.item()}, "
                f"rollout step {self.curriculum.step}): lower curriculum.learning_rate="
                f"{self.curriculum.learning_rate} or resume from an earlier checkpoint"
            )
        return norm.item()

    def reset_optimizer(self) -> None:
        """Reset AdamW as in a separate launch: moments and step counts to zero, warm-up from its start.

        The state is set to zero in place: no run can resume from a checkpoint of an optimizer whose state was cleared.
        """
        optimizer: Any = self.optimizers()
        for state in optimizer.state.values():
            for tensor in state.values():
                tensor.zero_()
        self.fresh_since = self.trainer.global_step

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next optimizer step: the curriculum's, times linear warm-up."""
        warmup = self.curriculum.warmup_steps
        done = self.trainer.global_step - self.fresh_since + 1
        return self.curriculum.learning_rate * min(1.0, done / warmup if warmup else 1.0)

    def _update_metrics(self, stats: list[GradientStats], norms: list[float], learning_rate: float) -> dict[str, float]:
        mismatch, settings = total([s.mismatch for s in stats]), self.config.grpo
        metrics = {
            "policy/loss": sum(s.loss for s in stats) / len(stats),
            "policy/grad_norm": sum(norms) / len(norms),
            "policy/lr": learning_rate,
            "policy/skipped_updates": float(self.skipped_updates),
            **mismatch.metrics(settings.correction),
        }
        if settings.updates_per_batch > 1:
            metrics["policy/clip_fraction"] = sum(s.clipped for s in stats) / max(mismatch.tokens, 1)
        if self.loss_scale.is_on:
            metrics["policy/loss_scale"] = self.loss_scale.value
        if settings.kl_coefficient:
            metrics["policy/kl"] = sum(s.kl for s in stats) / len(stats)
        return metrics

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the curriculum, which with the weights and the optimizer is the whole state of a run."""
        checkpoint["curriculum"] = self.curriculum.state_dict()
        checkpoint["skipped_updates"] = self.skipped_updates
        checkpoint["fresh_since"] = self.fresh_since
        if self.loss_scale.is_on:
            checkpoint["loss_scale"] = self.loss_scale.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the curriculum and let Lightning count the remaining steps as a fresh epoch."""
        self.curriculum.load_state_dict(checkpoint["curriculum"])
        given = [key.removeprefix("curriculum.") for key in self.changed if key.startswith("curriculum.")]
        values = {name: getattr(self.config.curriculum, name) for name in given}
        if "optimizer.warmup_steps" in self.changed:
            values["warmup_steps"] = self.config.optimizer.warmup_steps
        self.curriculum.change("settings", "ckpt_changes=true", **values)
        self.skipped_updates = checkpoint["skipped_updates"]
        self.fresh_since = checkpoint["fresh_since"]
        if self.loss_scale.is_on and "loss_scale" in checkpoint:  # there is none from a run in another type
            self.loss_scale.load_state_dict(checkpoint["loss_scale"])
        loop = checkpoint["loops"]["fit_loop"]
        progress = loop["epoch_loop.batch_progress"]
        # In `on_train_batch_end` the step does not count as completed yet; after a stop it does.
        progress["total"] = dict.fromkeys(progress["total"], self.curriculum.step)
        progress["current"] = dict.fromkeys(progress["current"], 0)
        progress["is_last_batch"] = False
        loop["epoch_loop.state_dict"]["_batches_that_stepped"] = self.curriculum.step
