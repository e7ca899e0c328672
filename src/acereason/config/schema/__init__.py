"""Every setting of a training run, declared once: a dataclass field, its default and rules, and a docstring under it.

The groups stand in the files of this folder. YAML files hold values and `compose.py` merges them; nothing here imports
torch, so that a wrong key fails at once. "paper" marks a value fixed by arXiv 2505.16400, "ours" one that the paper
leaves open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from acereason.config.schema.choices import Accelerator as Accelerator
from acereason.config.schema.choices import AdvantageKind as AdvantageKind
from acereason.config.schema.choices import Correction as Correction
from acereason.config.schema.choices import DomainName as DomainName
from acereason.config.schema.choices import DType as DType
from acereason.config.schema.choices import EngineName as EngineName
from acereason.config.schema.choices import Normalisation as Normalisation
from acereason.config.schema.choices import Scheduling as Scheduling
from acereason.config.schema.choices import Sleep as Sleep
from acereason.config.schema.choices import Thinking as Thinking
from acereason.config.schema.policy import CurriculumConfig, GRPOConfig, ModelConfig, OptimizerConfig
from acereason.config.schema.problems import ProblemsConfig
from acereason.config.schema.prompts import PromptsConfig
from acereason.config.schema.rollouts import EngineConfig, EvaluationConfig, RewardsConfig, RolloutConfig, SandboxConfig
from acereason.config.schema.rollouts import VerifiersConfig as VerifiersConfig
from acereason.config.schema.run import CallbackConfig, CheckpointConfig, LogConfig, RunConfig, TrainerConfig
from acereason.config.setting import group, setting


@dataclass
class Config:
    """A whole run."""

    recipe: str = "laptop"
    """Name of the file in conf/recipe that this run starts from."""
    seed: int = setting(0, gt=-math.inf, decides=True)
    """Everything random is derived from it, the step, the problem's id and the sample's number."""
    ckpt: str = ""
    """Checkpoint to resume from: `last` (newest), `best`, `auto` (newest, if any) or a path; empty: a fresh start."""
    ckpt_changes: bool = False
    """Resume from `ckpt` though settings that decide the numbers differ from those it was trained with."""
    validate_only: bool = False
    """Check the settings, print the plan and stop before anything heavy is loaded."""
    run: RunConfig = group(RunConfig)
    model: ModelConfig = group(ModelConfig)
    problems: ProblemsConfig = group(ProblemsConfig, decides=True)
    more_problems: dict[str, ProblemsConfig] = setting({}, decides=True)
    """More sources of problems by name, for stages of the curriculum; that of `problems` is `problems`."""
    prompts: PromptsConfig = group(PromptsConfig, decides=True)
    curriculum: CurriculumConfig = group(CurriculumConfig, decides=True)
    grpo: GRPOConfig = group(GRPOConfig, decides=True)
    optimizer: OptimizerConfig = group(OptimizerConfig, decides=True)
    engine: EngineConfig = group(EngineConfig)
    rollout: RolloutConfig = group(RolloutConfig)
    rewards: RewardsConfig = group(RewardsConfig)
    sandbox: SandboxConfig = group(SandboxConfig)
    evaluation: EvaluationConfig = group(EvaluationConfig)
    trainer: TrainerConfig = group(TrainerConfig)
    checkpoint: CheckpointConfig = group(CheckpointConfig)
    log: LogConfig = group(LogConfig)
    callbacks: dict[str, CallbackConfig] = setting({}, decides=True)
