"""Settings of what makes and judges rollouts: engine, verifiers, sandbox and held-out evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from acereason.config.schema.choices import DType, EngineName, Scheduling, Sleep, Thinking
from acereason.config.schema.run import RANKS
from acereason.config.setting import setting

SANDBOX_LAYERS = ("user_namespace", "namespaces", "landlock", "seccomp", "cgroup")
"""What `sandbox.without` may name."""


def _check_batch_invariant(settings: EngineConfig) -> str:
    if settings.batch_invariant and settings.name is not EngineName.vllm:
        return f"engine.name={settings.name} has no such kernels; leave it out, or use engine.name=vllm"
    return ""


@dataclass
class EngineConfig:
    """The rollout engine, colocated in each training process."""

    name: EngineName = setting(EngineName.vllm, decides=True)
    """`vllm`, or `transformers` where vLLM cannot run."""
    dtype: DType = setting(DType.bfloat16, decides=True)
    """Type of the engine's weights and activations."""
    max_num_seqs: int = setting(256, ge=1)
    """Responses generated at the same time by one engine."""
    tensor_parallel_size: int = setting(1, ge=1, divides=RANKS)
    """Ranks that form one engine together; 1 gives every rank an engine of its own."""
    work: Scheduling = Scheduling.queue
    """`queue`: engines draw responses from one queue as they have room; `fixed`: an equal share each at the start."""
    kv_cache_gib: float = setting(0.5, gt=0)
    """CPU only: size of the key-value cache, GiB."""
    gpu_memory_utilization: float = setting(0.6, gt=0, le=1)
    """GPU only: share of the device's memory that the engine may use."""
    sleep: Sleep = Sleep.drop
    """GPU only, while the policy trains: `drop` the weights, the next sync sends all; `keep` them in pinned memory."""
    max_model_len: int = setting(0, ge=0)
    """Longest sequence, prompt and response, the engine can hold; 0 takes what the longest stage needs."""
    batch_invariant: bool = setting(False, check=_check_batch_invariant)
    """GPU only: kernels whose results do not depend on the batch, at a price in speed; on the CPU all are such."""
    options: dict[str, Any] = setting({})
    """More keyword arguments for the engine's constructor, as they are."""


@dataclass
class RolloutConfig:
    """What rollouts must be like."""

    max_gap: float = setting(0.0, ge=0, le=math.inf)
    """Largest mean difference of engine's and policy's log-probs in the first steps; 0: as types allow; .inf: any."""


@dataclass
class VerifiersConfig:
    """The verifiers' process pool."""

    workers: int = setting(2, ge=1)
    """Verifier processes a rank."""
    timeout_seconds: float = setting(5.0, gt=0, decides=True)
    """Wall time of one judgement; past it the worker is killed and the verdict is 0 with reason `timeout`."""
    memory_mib: int = setting(2048, ge=512, reason="a worker needs that much to start", decides=True)
    """Address space of one worker, MiB; past it the verdict is 0 with reason `memory`."""
    thinking: Thinking = setting(Thinking.auto, decides=True)
    """`required`: only what follows `</think>` is judged; `optional`: all where there is none; `auto`: by the model."""


@dataclass
class RewardsConfig(VerifiersConfig):
    """The verifiers' process pool, and what becomes of their verdicts."""

    shuffle: bool = setting(False, decides=True)
    """Control experiment: permute the rewards within the batch, so that they teach nothing."""


@dataclass
class SandboxConfig:
    """Where programs that a model wrote run, and within which limits (all ours)."""

    time_limit_seconds: float = setting(6.0, gt=0, decides=True)
    """Time of one test where its problem names none; what a program waits for a core does not count."""
    total_time_limit_seconds: float = setting(60.0, gt=0, decides=True)
    """Time of all tests of a program together, at least that of one test."""
    memory_mib: int = setting(2048, ge=64, reason="the interpreter needs that much", decides=True)
    """Resident memory of a program and all it starts, MiB."""
    output_mib: int = setting(64, ge=1, decides=True)
    """Longest standard output or file, MiB; a returned value may be 16 times as long as the right one and 64 KiB."""
    tmp_mib: int = setting(64, ge=1, decides=True)
    """Size of the folder that a program can write to, MiB; it is empty before each test."""
    processes: int = setting(64, ge=8, decides=True)
    """Processes and threads that a program may have."""
    packages: list[str] = setting(["numpy", "sortedcontainers"], decides=True)
    """Packages that programs find besides the standard library; of these two, those that are installed."""
    stop_at_first_failure: bool = True
    """End a judgement with the first test that fails; otherwise all run, and the lowest number that failed is told."""
    failing_first: bool = True
    """Begin with the tests that other programs for the same problem failed most often."""
    allow_weak: bool = False
    """Judge code though this machine cannot isolate its files, network or processes: only for programs you trust."""
    without: list[str] = setting([], choices=SANDBOX_LAYERS)
    """Layers to do without though the machine has them; `acereason sandbox` names them."""


@dataclass
class EvaluationConfig:
    """Held-out evaluation on the training engine."""

    every_n_steps: int = setting(0, ge=0)
    """Rollout steps between evaluations; 0 evaluates only before the first and after the last step."""
    samples_per_problem: int = setting(8, ge=1, decides=True)
    """Responses sampled for each held-out problem; pass@1 is their mean."""
    temperature: float = setting(0.6, gt=0, decides=True)
    """Sampling temperature of evaluation (paper: 0.6)."""
    top_p: float = setting(0.95, gt=0, le=1, decides=True)
    """Nucleus sampling of evaluation (paper: 0.95)."""
    max_response_tokens: int = setting(0, ge=0, decides=True)
    """Longest response in evaluation (paper: 32,768); 0 takes the longest that training may ask for."""
