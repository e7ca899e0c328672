"""Steps a callback through rollout steps with given metrics and a real curriculum; nothing is trained."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tiny_runs import rollout, rollout_batch, tiny_config

from acereason.config.schema import Config
from acereason.curricula.callback import CurriculumCallback
from acereason.curricula.user_callbacks import user_callbacks
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum


def curriculum(**values: Any) -> Curriculum:
    """Return a curriculum at step 0 of a stage named `first`."""
    given: dict[str, Any] = {
        "stage": "first",
        "domain": "math",
        "max_response_tokens": 8,
        "prompts_per_step": 2,
        "rollouts_per_prompt": 4,
        "temperature": 1.0,
        "top_p": 1.0,
        "learning_rate": 1e-3,
    }
    return Curriculum(**{**given, **values})


@dataclass
class Walk:
    """A run of one callback: the hooks around an update in the order of a real run, without the update.

    Attributes:
        before, after: what other callbacks do at the end of a step, before and after the tested one.
        rollouts: values of the curriculum in the rollouts of each step.
    """

    callback: CurriculumCallback
    curriculum: Curriculum
    before: Callable[[Curriculum], object] = lambda _: None
    after: Callable[[Curriculum], object] = lambda _: None
    rollouts: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.trainer = SimpleNamespace(callback_metrics={}, should_stop=False, is_global_zero=True)
        self.module = SimpleNamespace(curriculum=self.curriculum, metrics={})

    def step(self, batch: RolloutBatch | None = None, **metrics: float) -> None:
        """Do one rollout step that measured `metrics`, with `__` for the slash in a name."""
        self.callback.on_rollouts_start(self.trainer, self.module)
        self.rollouts.append(vars(self.curriculum).copy())
        self.curriculum.advance()
        self.module.metrics = {"response/truncated": 0.0}
        self.module.metrics |= {name.replace("__", "/"): value for name, value in metrics.items()}
        self.before(self.curriculum)
        batch = batch or rollout_batch([[rollout()]])
        self.callback.on_train_batch_end(self.trainer, self.module, None, batch, 0)
        self.after(self.curriculum)
        self.metrics.append(self.module.metrics)

    def steps(self, name: str, values: Iterable[float]) -> "Walk":
        """Do one step for each value of the metric `name`."""
        for value in values:
            self.step(**{name.replace("/", "__"): value})
        return self

    def of(self, name: str) -> list[Any]:
        """Return a value of the curriculum in the rollouts of each step."""
        return [values[name] for values in self.rollouts]

    def resumed(self, callback: CurriculumCallback) -> "Walk":
        """Resume with a new callback from what a checkpoint would hold, as plain data."""
        callback.load_state_dict(json.loads(json.dumps(self.callback.state_dict())))
        fresh = curriculum()
        fresh.load_state_dict(json.loads(json.dumps(self.curriculum.state_dict())))
        return Walk(callback, fresh, self.before, self.after)


def from_settings(root: Path, name: str, class_path: str, *overrides: str, **arguments: Any) -> CurriculumCallback:
    """Return the callback that the settings name, checked; `overrides` are further settings."""
    callback = user_callbacks(settings(root, name, class_path, *overrides, **arguments))[-1]
    assert isinstance(callback, CurriculumCallback)
    return callback


def settings(root: Path, name: str, class_path: str, *overrides: str, **arguments: Any) -> Config:
    """Return the settings of a tiny run with one callback more, the last."""
    entry = [f"callbacks.{name}.class_path={class_path}"]
    entry += [f"callbacks.{name}.init_args.{key}={json.dumps(value)}" for key, value in arguments.items()]
    return tiny_config(root, *overrides, *entry)
