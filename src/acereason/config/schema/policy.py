"""Settings of the policy, its curriculum, the objective and the optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass

from acereason.config.schema.choices import AdvantageKind, Correction, DType, Normalisation
from acereason.config.schema.run import RANKS
from acereason.config.setting import group, setting


@dataclass
class LoRAConfig:
    """Low-rank adapters: small matrices learn beside the frozen weights (all ours).

    They have no dropout: log-probs of the update must be those of the policy that sampled.
    """

    rank: int = setting(0, ge=0)
    """Rank of the adapters; 0 trains all weights."""
    alpha: int = setting(32, ge=1)
    """What an adapter computes counts alpha / rank."""
    by_root: bool = False
    """It counts alpha / √rank instead, which keeps its size at high ranks."""
    targets: list[str] = setting(["all"])
    """Linear layers that get one: `all` in the blocks, `attention`, `mlp`, or names such as q_proj."""


@dataclass
class ModelConfig:
    """The initial policy."""

    path: str = setting("models/laptop", decides=True)
    """Folder in Hugging Face format, or a hub name such as deepseek-ai/DeepSeek-R1-Distill-Qwen-7B (paper)."""
    compute_dtype: DType = setting(DType.bfloat16, decides=True)
    """Type of activations and matrix products; master weights and optimizer state are always float32."""
    activation_checkpointing: bool = False
    """Recompute each layer in the backward pass instead of keeping its activations."""
    cpu_offload: bool = False
    """Keep weights, gradients and moments in host memory and update them there; a GPU holds what a layer needs."""
    lora: LoRAConfig = group(LoRAConfig, decides=True)
    micro_batch_tokens: int = setting(16384, ge=1)
    """Tokens (prompt and response) of one forward and backward pass on one rank."""
    head_chunk_tokens: int = setting(1024, ge=1)
    """Tokens whose logits exist at the same time; the full logits never do."""


@dataclass
class CurriculumConfig:
    """Initial values of the curriculum; callbacks change them during the run."""

    stage: str = setting("math", not_empty=True)
    """Name of the first stage."""
    max_response_tokens: int = setting(8192, ge=1)
    """Longest response, in tokens; the paper's first stage has 8K (exact count ours)."""
    prompts_per_step: int = setting(128, ge=1, multiple_of=RANKS)
    """Prompts of one rollout step, over all ranks (paper: 128)."""
    rollouts_per_prompt: int = setting(8, ge=2, reason="GRPO compares the responses of a group")
    """Responses sampled for each prompt (paper: 8 at 8K, 16 later)."""
    temperature: float = setting(1.0, gt=0)
    """Sampling temperature; log-probs of the loss are taken at it (math: ours)."""
    top_p: float = setting(1.0, gt=0, le=1)
    """Nucleus sampling; below 1 the engine's log-probs are renormalised and differ from the policy's (ours)."""
    learning_rate: float = setting(1e-6, ge=0)
    """AdamW learning rate (paper: 1e-6 math, 5e-6 code)."""


CORRECTION_BOUNDS = {
    Correction.none: (0.0, math.inf),
    Correction.token_cap: (0.0, 2.0),
    Correction.token_mask: (0.5, 5.0),
    Correction.sequence_mask: (0.99, 1.01),
    Correction.sequence_cap: (0.0, 2.0),
}
"""Lowest and highest ratio of each correction where the settings give none."""


def _check_low(settings: GRPOConfig) -> str:
    masks = [kind for kind in Correction if CORRECTION_BOUNDS[kind][0] > 0]
    if settings.correction_low and settings.correction not in masks:
        return f"grpo.correction={settings.correction} has no lower bound; leave it out, or use {' or '.join(masks)}"
    return ""


def _check_high(settings: GRPOConfig) -> str:
    if settings.correction_high and settings.correction is Correction.none:
        return "grpo.correction=none has no bounds; leave it out, or set grpo.correction=token_cap"
    if 0 < settings.correction_high < 1:
        return "must be 1 or more: a token that engine and policy agree on has a ratio of 1"
    return ""


@dataclass
class GRPOConfig:
    """The objective (§3.1, Eq. 1 to 4)."""

    advantage: AdvantageKind = AdvantageKind.group_std
    """`group_std`: (r - mean) / (std + 1e-6) (paper); `group_mean`: no std; `leave_one_out`: minus the others' mean."""
    normalisation: Normalisation = Normalisation.batch
    """`batch`: tokens of the whole batch (as veRL); `group`: tokens of each prompt's group (Eq. 1); `sequence`."""
    updates_per_batch: int = setting(1, ge=1, divides=("curriculum.prompts_per_step",))
    """Optimizer steps on each batch of rollouts; 1 is strictly on-policy (paper), 2 or 4 collapse entropy (Fig. 3c)."""
    clip_low: float = setting(0.2, ge=0, le=1)
    """PPO clip below 1; acts only with several updates a batch."""
    clip_high: float = setting(0.2, ge=0, le=math.inf)
    """PPO clip above 1; acts only with several updates a batch."""
    kl_coefficient: float = setting(0.0, ge=0)
    """Weight of the KL divergence to the initial policy (paper: 0); above 0 a frozen copy is kept."""
    entropy_coefficient: float = setting(0.0, gt=-math.inf)
    """Weight of the entropy bonus (paper: 0)."""
    mask_truncated: bool = False
    """Leave responses that hit the length limit out of the loss."""
    correction: Correction = setting(Correction.none)
    """Weights against engine/policy mismatch: `token_cap`, `token_mask`, `sequence_mask`, `sequence_cap` (ours)."""
    correction_low: float = setting(0.0, ge=0, le=1, check=_check_low)
    """Lowest policy/engine ratio that a mask keeps; 0 takes 0.5 for tokens, 0.99 for sequences."""
    correction_high: float = setting(0.0, ge=0, check=_check_high)
    """Highest ratio that a mask keeps, or the cap; 0 takes 2, for `token_mask` 5, for `sequence_mask` 1.01."""

    @property
    def correction_bounds(self) -> tuple[float, float]:
        """Lowest and highest ratio of `correction`, with its own where none is set."""
        low, high = CORRECTION_BOUNDS[self.correction]
        return self.correction_low or low, self.correction_high or high


@dataclass
class OptimizerConfig:
    """AdamW (all ours but the learning rate, which the curriculum holds)."""

    beta1: float = setting(0.9, ge=0, lt=1)
    """Decay of the first moment."""
    beta2: float = setting(0.999, ge=0, lt=1)
    """Decay of the second moment."""
    eps: float = setting(1e-8, gt=0)
    """Added to the root of the second moment."""
    weight_decay: float = setting(0.01, ge=0)
    """Decoupled weight decay."""
    warmup_steps: int = setting(0, ge=0)
    """Optimizer steps over which the learning rate rises linearly from 0."""
    max_grad_norm: float = setting(1.0, gt=0, le=math.inf)
    """Global gradient norm is clipped to this."""
    fused: bool = True
    """One kernel for the whole update."""
