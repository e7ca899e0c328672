"""What callbacks may change while a run goes on, and nothing else."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from acereason.config import CurriculumConfig
from acereason.problems.problem import Domain


@dataclass
class Curriculum:
    """The whole state of a curriculum: saving it is enough to resume.

    Callbacks write it in `on_train_batch_end`, from values that all ranks agree on; the data module and the policy
    read it at the next batch.

    Attributes:
        step: rollout steps completed; written by the training loop alone.
        stage: name of the current stage.
        domain: domain of the current stage's problems.
        max_response_tokens: longest response, in tokens.
        prompts_per_step: prompts of one rollout step, over all ranks.
        rollouts_per_prompt: responses sampled for each prompt.
        temperature, top_p: how they are sampled.
        learning_rate: of the next optimizer step, before warm-up.
        pool: ids of the problems to draw from; None for all.
        solve_rates: measured share of right responses by problem id.
    """

    stage: str
    domain: Domain
    max_response_tokens: int
    prompts_per_step: int
    rollouts_per_prompt: int
    temperature: float
    top_p: float
    learning_rate: float
    step: int = 0
    pool: list[str] | None = None
    solve_rates: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: CurriculumConfig, domain: Domain) -> Curriculum:
        """The curriculum that a run starts with."""
        return cls(
            stage=config.stage,
            domain=domain,
            max_response_tokens=config.max_response_tokens,
            prompts_per_step=config.prompts_per_step,
            rollouts_per_prompt=config.rollouts_per_prompt,
            temperature=config.temperature,
            top_p=config.top_p,
            learning_rate=config.learning_rate,
        )

    def state_dict(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes every value of `state`, in place, so that all who hold this object see it."""
        for name, value in state.items():
            setattr(self, name, value)
