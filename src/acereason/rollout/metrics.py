"""The scalars of a step's rollouts, over all ranks."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum
from acereason.verifiers.verifier import NO_THINK_END, NOTHING_TO_JUDGE

_NO_ANSWER = NOTHING_TO_JUDGE - {NO_THINK_END}
EVALUATED = "eval/"
"""Beginning of the names of metrics that change only with an evaluation."""
EVALUATED_AT = "evaluated_at"
"""Name of the step of the newest evaluation in `trainer.callback_metrics`."""
STEP_METRICS = (
    *("reward/mean", "reward/solved_all", "reward/solved_none", "reward/mixed", "reward/unjudged"),
    *("reward/no_think_end", "reward/no_answer"),
    *("response/length_mean", "response/length_p95", "response/truncated", "response/tokens"),
    *("policy/entropy", "policy/loss", "policy/grad_norm", "policy/lr", "policy/skipped_updates"),
    *("rollout/logprob_gap_mean", "rollout/logprob_gap_max"),
    *("rollout/ratio_mean", "rollout/ratio_min", "rollout/ratio_max"),
    *("time/sync", "time/generate", "time/verify_exposed", "time/train", "time/step"),
    *("throughput/engine_idle", "throughput/tokens_per_second"),
    *("curriculum/max_response_tokens", "curriculum/prompts_per_step", "curriculum/rollouts_per_prompt"),
    *("curriculum/temperature", "curriculum/top_p", "curriculum/pool", "curriculum/epoch"),
)
"""What every rollout step logs; a test compares it with a real step. `throughput/mfu` needs a known device.

The scalars of `rollout/` are left out of steps in which no token was computed: all groups all right or all wrong.
"""


class RolloutMetrics(Metric):
    """Rewards, lengths and entropy of the rollouts of one step; `compute` gathers every rank's."""

    full_state_update = False
    group_rewards: list[Tensor]
    lengths: list[Tensor]
    truncated: list[Tensor]
    logprob_sum: Tensor
    unjudged: Tensor
    no_think_end: Tensor
    no_answer: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("group_rewards", "lengths", "truncated"):
            self.add_state(name, default=[], dist_reduce_fx="cat")
        self.add_state("logprob_sum", default=torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        for name in ("unjudged", "no_think_end", "no_answer"):
            self.add_state(name, default=torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, batch: RolloutBatch) -> None:
        """Add one rank's rollouts."""
        rollouts = batch.rollouts
        self.group_rewards.append(batch.rewards.mean(dim=1).to(self.device))
        self.lengths.append(torch.tensor([len(r.generation.token_ids) for r in rollouts], device=self.device))
        self.truncated.append(torch.tensor([float(r.generation.truncated) for r in rollouts], device=self.device))
        self.logprob_sum += sum(sum(r.generation.logprobs) for r in rollouts)
        self.unjudged += sum(not r.verdict.judged for r in rollouts)
        reasons = [r.verdict.reason for r in rollouts]
        self.no_think_end += reasons.count(NO_THINK_END)
        self.no_answer += sum(reason in _NO_ANSWER for reason in reasons)

    def compute(self) -> dict[str, float]:
        """Return means over rollouts; `solved_all` and `solved_none` are shares of the groups.

        `no_think_end` and `no_answer` are shares of the rollouts: thinking did not end, or nothing after it was an
        answer or a program.
        """
        rates, lengths, truncated = (_cat(x) for x in (self.group_rewards, self.lengths, self.truncated))
        return {
            "reward/mean": rates.mean().item(),
            "reward/solved_all": (rates == 1).float().mean().item(),
            "reward/solved_none": (rates == 0).float().mean().item(),
            "reward/mixed": ((rates > 0) & (rates < 1)).float().mean().item(),
            "reward/unjudged": self.unjudged.item() / len(lengths),
            "reward/no_think_end": self.no_think_end.item() / len(lengths),
            "reward/no_answer": self.no_answer.item() / len(lengths),
            "response/length_mean": lengths.float().mean().item(),
            "response/length_p95": lengths.float().quantile(0.95).item(),
            "response/truncated": truncated.mean().item(),
            "response/tokens": float(lengths.sum().item()),
            # Over all sampled tokens, so that skipped groups do not bias it: -log-prob estimates entropy without bias.
            "policy/entropy": -self.logprob_sum.item() / max(int(lengths.sum()), 1),
        }


def _cat(state: list[Tensor] | Tensor) -> Tensor:
    return torch.cat(state) if isinstance(state, list) else state


def step_metrics(
    batch: RolloutBatch, train_seconds: float, metric: RolloutMetrics, device: torch.device
) -> dict[str, float]:
    """Return the scalars of one step: rewards, responses, entropy, times and throughput.

    Args:
        batch: the rollouts of one rank.
        train_seconds: wall time of the update.
        metric: gathers rewards and lengths; reset afterwards.
        device: of the policy.
    """
    metric.to(device)
    metric.update(batch)
    metrics: dict[str, float] = metric.compute()
    metric.reset()
    seconds = {**batch.seconds, "train": train_seconds}
    seconds["step"] = sum(seconds.values())
    metrics |= {f"time/{name}": value for name, value in seconds.items()}
    metrics["throughput/engine_idle"] = batch.idle
    metrics["throughput/tokens_per_second"] = metrics["response/tokens"] / seconds["step"]
    return metrics


def curriculum_metrics(curriculum: Curriculum, batch: RolloutBatch) -> dict[str, float]:
    """Return the scalars of the curriculum in the step that a batch belongs to."""
    return {
        "curriculum/max_response_tokens": float(curriculum.max_response_tokens),
        "curriculum/prompts_per_step": float(curriculum.prompts_per_step),
        "curriculum/rollouts_per_prompt": float(curriculum.rollouts_per_prompt),
        "curriculum/temperature": batch.temperature,
        "curriculum/top_p": curriculum.top_p,
        "curriculum/pool": float(batch.pool_size),
        "curriculum/epoch": float(batch.epoch),
    }
