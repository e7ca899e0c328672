"""Every setting, declared once: a dataclass field, its default, and a docstring under it.

YAML files hold values and `compose.py` merges them; nothing here imports torch, so that a wrong key fails at once.
"paper" marks a value fixed by arXiv 2505.16400, "ours" one that the paper leaves open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Normalisation(StrEnum):
    """What the sum of token losses is divided by."""

    batch = "batch"
    group = "group"
    sequence = "sequence"


class AdvantageKind(StrEnum):
    """How rewards of a group become advantages."""

    group_std = "group_std"
    group_mean = "group_mean"
    leave_one_out = "leave_one_out"


class EngineName(StrEnum):
    """Which rollout engine generates."""

    vllm = "vllm"
    transformers = "transformers"


class Work(StrEnum):
    """How the responses of a step are shared among the engines."""

    queue = "queue"
    fixed = "fixed"


class DType(StrEnum):
    """A floating-point type."""

    float32 = "float32"
    bfloat16 = "bfloat16"


class DomainName(StrEnum):
    """What kind of problem, hence which prompt template and verifier."""

    math = "math"
    code = "code"


class Accelerator(StrEnum):
    """Where the policy trains."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


@dataclass
class RunConfig:
    """Where a run keeps its files."""

    name: str = ""
    """Folder of this run under `run.root`; empty means the recipe's name and the time."""
    root: str = "runs"
    """Folder that holds all runs; what `tensorboard --logdir` is given."""

    @property
    def folder(self) -> Path:
        """Where this run keeps everything."""
        return Path(self.root) / self.name


@dataclass
class ModelConfig:
    """The initial policy."""

    path: str = "models/laptop"
    """Folder in Hugging Face format, or a hub name such as deepseek-ai/DeepSeek-R1-Distill-Qwen-7B (paper)."""
    compute_dtype: DType = DType.bfloat16
    """Type of activations and matrix products; master weights and optimizer state are always float32."""
    activation_checkpointing: bool = False
    """Recompute each layer in the backward pass instead of keeping its activations."""
    micro_batch_tokens: int = 16384
    """Tokens (prompt and response) of one forward and backward pass on one rank."""
    head_chunk_tokens: int = 1024
    """Tokens whose logits exist at the same time; the full logits never do."""


@dataclass
class ProblemsConfig:
    """A source of training problems."""

    path: str = "laptop"
    """`laptop` for the built-in problems, a .jsonl or .parquet file, or `hub:OWNER/NAME` for a hub data set."""
    domain: DomainName = DomainName.math
    """Domain of every problem in the source."""
    question: str = ""
    """Field that holds the question, dots reach inside; empty tries the usual names and veRL's row form."""
    answer: str = ""
    """Field that holds the gold answer, dots reach inside; empty tries the usual names and veRL's row form."""
    id: str = ""
    """Field that holds a unique id; empty numbers the rows."""
    level: str = ""
    """Field that holds an integer difficulty; empty means unknown."""
    split: str = "train"
    """Split of a hub data set."""
    limit: int = 0
    """Keep only this many problems, the first in file order; 0 keeps all."""
    skip_empty: bool = True
    """Leave rows with an empty question or answer out, with a warning, instead of refusing the file."""
    held_out: int = 128
    """Problems kept out of training for evaluation; which ones is decided by a hash of the question."""
    count: int = 4096
    """Built-in problems only: how many to generate for training."""
    levels: tuple[int, int] = (3, 10)
    """Built-in problems only: lowest and highest level."""
    seed: int = 0
    """Built-in problems only: seed of the generator, apart from the run's seed so that runs share a held-out set."""
    false_negatives: float = 0.0
    """Experiment (§4.3.6): share of the code problems to train on of which a test expects a wrong output."""
    false_positives: float = 0.0
    """Experiment (§4.3.6): share of the code problems to train on of which only the first test is there."""


@dataclass
class CurriculumConfig:
    """Initial values of the curriculum; callbacks change them while the run goes on."""

    stage: str = "math"
    """Name of the first stage."""
    max_response_tokens: int = 8192
    """Longest response, in tokens; the paper's first stage has 8K (exact count ours)."""
    prompts_per_step: int = 128
    """Prompts of one rollout step, over all ranks (paper: 128)."""
    rollouts_per_prompt: int = 8
    """Responses sampled for each prompt (paper: 8 at 8K, 16 later)."""
    temperature: float = 1.0
    """Sampling temperature; log-probs of the loss are taken at it (math: ours)."""
    top_p: float = 1.0
    """Nucleus sampling; below 1 the engine's log-probs are renormalised and differ from the policy's (ours)."""
    learning_rate: float = 1e-6
    """AdamW learning rate (paper: 1e-6 math, 5e-6 code)."""


@dataclass
class GRPOConfig:
    """The objective (§3.1, Eq. 1 to 4)."""

    advantage: AdvantageKind = AdvantageKind.group_std
    """`group_std`: (r - mean) / (std + 1e-6) (paper); `group_mean`: no std; `leave_one_out`: minus the others' mean."""
    normalisation: Normalisation = Normalisation.batch
    """`batch`: tokens of the whole batch (as veRL); `group`: tokens of each prompt's group (Eq. 1); `sequence`."""
    updates_per_batch: int = 1
    """Optimizer steps on each batch of rollouts; 1 is strictly on-policy (paper), 2 or 4 collapse entropy (Fig. 3c)."""
    clip_low: float = 0.2
    """PPO clip below 1; acts only with several updates a batch."""
    clip_high: float = 0.2
    """PPO clip above 1; acts only with several updates a batch."""
    kl_coefficient: float = 0.0
    """Weight of the KL divergence to the initial policy (paper: 0); above 0 a frozen copy is kept."""
    entropy_coefficient: float = 0.0
    """Weight of the entropy bonus (paper: 0)."""
    mask_truncated: bool = False
    """Leave responses that hit the length limit out of the loss."""
    importance_cap: float = 0.0
    """Cap of truncated importance weights for engine/policy mismatch; 0 turns them off."""


@dataclass
class OptimizerConfig:
    """AdamW (all ours but the learning rate, which the curriculum holds)."""

    beta1: float = 0.9
    """Decay of the first moment."""
    beta2: float = 0.999
    """Decay of the second moment."""
    eps: float = 1e-8
    """Added to the root of the second moment."""
    weight_decay: float = 0.01
    """Decoupled weight decay."""
    warmup_steps: int = 0
    """Optimizer steps over which the learning rate rises linearly from 0."""
    max_grad_norm: float = 1.0
    """Global gradient norm is clipped to this."""
    fused: bool = True
    """One kernel for the whole update."""


@dataclass
class EngineConfig:
    """The rollout engine, colocated in each training process."""

    name: EngineName = EngineName.vllm
    """`vllm`, or `transformers` where vLLM cannot run."""
    dtype: DType = DType.bfloat16
    """Type of the engine's weights and activations."""
    max_num_seqs: int = 256
    """Responses generated at the same time by one engine."""
    tensor_parallel_size: int = 1
    """Ranks that form one engine together; 1 gives every rank an engine of its own."""
    work: Work = Work.queue
    """`queue`: engines draw responses from one queue as they have room; `fixed`: an equal share each at the start."""
    kv_cache_gib: float = 0.5
    """CPU only: size of the key-value cache, GiB."""
    gpu_memory_utilization: float = 0.6
    """GPU only: share of the device's memory that the engine may use."""
    max_model_len: int = 0
    """Longest sequence, prompt and response, the engine can hold; 0 takes what the longest stage needs."""
    options: dict[str, Any] = field(default_factory=dict)
    """More keyword arguments for the engine's constructor, as they are."""


@dataclass
class RewardsConfig:
    """The verifiers' process pool."""

    workers: int = 2
    """Verifier processes a rank."""
    timeout_seconds: float = 5.0
    """Wall time of one judgement; past it the worker is killed and the verdict is 0 with reason `timeout`."""
    memory_mib: int = 2048
    """Address space of one worker, MiB; past it the verdict is 0 with reason `memory`."""
    shuffle: bool = False
    """Control experiment: permute the rewards within the batch, so that they teach nothing."""


@dataclass
class SandboxConfig:
    """Where programs that a model wrote run, and within which limits (all ours)."""

    time_limit_seconds: float = 6.0
    """Time of one test where its problem names none; what a program waits for a core does not count."""
    total_time_limit_seconds: float = 60.0
    """Time of all tests of a program together, at least that of one test."""
    memory_mib: int = 2048
    """Resident memory of a program and all it starts, MiB."""
    output_mib: int = 64
    """Longest standard output or file, MiB; a returned value may be 16 times as long as the right one and 64 KiB."""
    tmp_mib: int = 64
    """Size of the folder that a program can write to, MiB; it is empty before each test."""
    processes: int = 64
    """Processes and threads that a program may have."""
    packages: list[str] = field(default_factory=lambda: ["numpy", "sortedcontainers"])
    """Packages that programs find besides the standard library; of these two, those that are installed."""
    stop_at_first_failure: bool = True
    """End a judgement with the first test that fails; otherwise all run, and the lowest number that failed is told."""
    failing_first: bool = True
    """Begin with the tests that other programs for the same problem failed most often."""
    allow_weak: bool = False
    """Judge code though this machine cannot isolate its files, network or processes: only for programs you trust."""
    without: list[str] = field(default_factory=list)
    """Layers to do without though the machine has them; `acereason sandbox` names them."""


@dataclass
class EvaluationConfig:
    """Held-out evaluation on the training engine."""

    every_n_steps: int = 0
    """Rollout steps between evaluations; 0 evaluates only before the first and after the last step."""
    samples_per_problem: int = 8
    """Responses sampled for each held-out problem; pass@1 is their mean."""
    temperature: float = 0.6
    """Sampling temperature of evaluation (paper: 0.6)."""
    top_p: float = 0.95
    """Nucleus sampling of evaluation (paper: 0.95)."""
    max_response_tokens: int = 0
    """Longest response in evaluation (paper: 32,768); 0 takes the longest that training may ask for."""


@dataclass
class TrainerConfig:
    """How long and on what to train."""

    max_steps: int = 100
    """Rollout steps; each makes `grpo.updates_per_batch` optimizer steps."""
    devices: int = 0
    """Ranks on each node; 0 takes what torchrun or SLURM started, and 1 without them."""
    num_nodes: int = 0
    """Nodes; 0 takes what torchrun or SLURM started, and 1 without them."""
    shard_ranks: int = 0
    """Neighbouring ranks that hold one copy of the policy between them; 0 is all ranks, fewer replicate it (HSDP)."""
    timeout_minutes: float = 240.0
    """How long a rank waits for the others in a collective; longer than the longest rollout."""
    port: int = 0
    """Port on which ranks find each other when this program starts them itself; 0 takes a free one."""
    accelerator: Accelerator = Accelerator.auto
    """`auto` takes CUDA where there is any."""
    device_memory_gib: float = 0.0
    """Memory of one GPU, GiB, for the plan alone, which is often made where there is none; 0 is unknown."""

    @property
    def ranks(self) -> int:
        """Ranks of the whole run."""
        return max(self.devices, 1) * max(self.num_nodes, 1)


@dataclass
class CheckpointConfig:
    """Checkpoints and export."""

    every_n_steps: int = 0
    """Rollout steps between checkpoints; 0 saves only at the end."""
    keep: int = 2
    """Newest checkpoints that stay on disk."""
    best: str = "eval/pass@1"
    """Scalar of the evaluation whose best checkpoint is saved and stays on disk as well; empty for none."""
    export: bool = True
    """Write the final policy in Hugging Face format to the run's `export` folder."""
    export_stages: bool = True
    """Write the policy at the end of each stage likewise, to the run's `stages` folder."""
    export_dtype: DType = DType.float32
    """Type of the exported weights."""


@dataclass
class LogConfig:
    """What a run shows and writes."""

    samples: int = 2
    """Rollouts written to TensorBoard as text at each step."""
    rollouts: bool = True
    """Write every rollout to Parquet, one file a step."""
    progress_bar: bool = True
    """Show the progress bar."""


@dataclass
class CallbackConfig:
    """A Lightning callback: a class and the arguments of its constructor."""

    class_path: str = ""
    """Where the class is, for example callbacks.length_extension.LengthExtension."""
    init_args: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the constructor."""


@dataclass
class Config:
    """A whole run."""

    recipe: str = "laptop"
    """Name of the file in conf/recipe that this run starts from."""
    seed: int = 0
    """Everything random is derived from it, the step, the problem's id and the sample's number."""
    ckpt: str = ""
    """Checkpoint to go on from: `last` (newest), `best`, `auto` (newest, if any) or a path; empty: a fresh start."""
    ckpt_changes: bool = False
    """Go on from `ckpt` though settings that decide the numbers differ from those it was trained with."""
    validate_only: bool = False
    """Check the settings, print the plan and stop before anything heavy is loaded."""
    run: RunConfig = field(default_factory=RunConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    problems: ProblemsConfig = field(default_factory=ProblemsConfig)
    more_problems: dict[str, ProblemsConfig] = field(default_factory=dict)
    """More sources of problems by name, for stages of the curriculum; that of `problems` is `problems`."""
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    grpo: GRPOConfig = field(default_factory=GRPOConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    rewards: RewardsConfig = field(default_factory=RewardsConfig)
    sandbox: SandboxConfig = field(default_factory=SandboxConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    log: LogConfig = field(default_factory=LogConfig)
    callbacks: dict[str, CallbackConfig] = field(default_factory=dict)
