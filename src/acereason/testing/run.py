"""A run without policy and engine: all that a curriculum callback sees, step by step as in a real run."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, NoReturn, cast

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger

from acereason.config.compose import compose
from acereason.config.schema import Config
from acereason.curricula.user_callbacks import longest_response
from acereason.distributed.collectives import rank_and_world
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum
from acereason.rollout.metrics import RolloutMetrics, curriculum_metrics, step_metrics
from acereason.testing.rollouts import Script, ScriptedData
from acereason.testing.snapshots import Snapshot, plain
from acereason.training.held_out import HeldOutEvaluation

MakeCallback = Callable[[], Callback | Sequence[Callback]]

SMALL = (
    *("recipe=laptop_math", "run.name=rehearsal", "problems.count=32", "problems.held_out=4"),
    *("curriculum.prompts_per_step=4", "curriculum.rollouts_per_prompt=4", "evaluation.every_n_steps=4"),
)
"""Settings that a rehearsal starts from; with four prompts a step, 32 problems are epochs of eight steps."""


def small_config(steps: int, settings: Sequence[str] = ()) -> Config:
    """Return the settings of a rehearsal: `SMALL`, then `settings` as on the command line."""
    return compose([*SMALL, *settings, f"trainer.max_steps={steps}"])


class RehearsedModule:
    """A stand-in for a `PolicyModule`, with what callbacks use of it.

    Attributes:
        config, curriculum, metrics: as there.
        resets: rollout steps after which the optimizer was reset.
        logger: none.
    """

    def __init__(self, config: Config, curriculum: Curriculum) -> None:
        self.config, self.curriculum = config, curriculum
        self.rollout_metrics = RolloutMetrics()
        self.metrics: dict[str, float] = {}
        self.resets: list[int] = []
        self.logger, self.device = None, torch.device("cpu")
        self.trainer: RehearsedTrainer | None = None

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"module.{name}: not in a rehearsal, which has neither policy nor optimizer")

    @property
    def global_step(self) -> int:
        """Optimizer steps done."""
        return self.curriculum.step * self.config.grpo.updates_per_batch

    def reset_optimizer(self) -> None:
        """Note the step."""
        self.resets.append(self.curriculum.step)

    def log(self, name: str, value: float, **_: object) -> None:
        """Add a value to `trainer.callback_metrics`."""
        assert self.trainer is not None
        self.trainer.callback_metrics[name] = torch.as_tensor(value)

    def log_dict(self, values: dict[str, float], **_: object) -> None:
        """Add several values to `trainer.callback_metrics`."""
        for name, value in values.items():
            self.log(name, value)

    def step(self, batch: RolloutBatch) -> None:
        """Count and measure a rollout step as `PolicyModule.training_step` does, without an update."""
        self.curriculum.advance()
        metrics = step_metrics(batch, 1.0, self.rollout_metrics, self.device) | {
            "policy/loss": 0.0,
            "policy/grad_norm": 1.0,
            "policy/lr": self.curriculum.learning_rate,
            "policy/skipped_updates": 0.0,
            "rollout/logprob_gap_mean": 0.0,
            "rollout/logprob_gap_max": 0.0,
            "rollout/ratio_mean": 1.0,
            "rollout/ratio_min": 1.0,
            "rollout/ratio_max": 1.0,
        }
        self.metrics = metrics | curriculum_metrics(self.curriculum, batch)
        self.log_dict(self.metrics)


class RehearsedTrainer:
    """A stand-in for Lightning's `Trainer`, with what callbacks use of it.

    Attributes:
        callbacks: the rehearsed ones, then `HeldOutEvaluation`, as in a run.
        callback_metrics, should_stop, datamodule, lightning_module, global_rank, world_size: as there.
    """

    def __init__(self, callbacks: list[Callback], module: RehearsedModule, data: ScriptedData) -> None:
        self.callbacks, self.lightning_module, self.datamodule = callbacks, module, data
        self.callback_metrics: dict[str, torch.Tensor] = {}
        self.should_stop = False
        self.global_rank, self.world_size = rank_and_world()
        self.local_rank, self.is_global_zero = self.global_rank, self.global_rank == 0
        self.logger, self.progress_bar_callback, self.current_epoch = None, None, 0
        self.loggers: list[Logger] = []
        module.trainer = self
        data.trainer = cast(Trainer, self)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"trainer.{name}: not in a rehearsal")

    @property
    def logged_metrics(self) -> dict[str, torch.Tensor]:
        """The same as `callback_metrics`."""
        return self.callback_metrics

    @property
    def global_step(self) -> int:
        """Optimizer steps done."""
        return self.lightning_module.global_step


class RehearsedRun:
    """One run with fresh callbacks, in this process, with as many ranks as its process group has.

    Args:
        make_callback: makes the callback, or several in their order.
        config: settings; see `small_config`.
        script: makes up the responses.
        watch: called with each snapshot.

    Attributes:
        own: the callbacks.
        config, curriculum, module, data, trainer: as in a run.
        snapshots: one after each hook.
        saved: checkpoint after each step.
        stopped: checkpoint that a stop during the rollouts of each step saves.
    """

    def __init__(
        self,
        make_callback: MakeCallback,
        config: Config,
        script: Script,
        watch: Callable[[Snapshot], object] = lambda snapshot: None,
    ) -> None:
        made = make_callback()
        self.own = [made] if isinstance(made, Callback) else list(made)
        self.config = deepcopy(config)
        self.curriculum = Curriculum.from_config(self.config)
        self.module = RehearsedModule(self.config, self.curriculum)
        for callback in self.own:
            if check := getattr(callback, "check", None):
                check(self.config, self.own)
        self.data = ScriptedData(self.config, self.curriculum, script, longest_response(self.config, self.own))
        callbacks = [*self.own, HeldOutEvaluation(self.config.evaluation.every_n_steps)]
        self.trainer = RehearsedTrainer(callbacks, self.module, self.data)
        self.watch = watch
        self.snapshots: list[Snapshot] = []
        self.saved: list[bytes] = []
        self.stopped: list[bytes] = []

    def run(self, checkpoint: bytes | None = None) -> RehearsedRun:
        """Run from the start or from a checkpoint, up to the last step or until a callback stops it."""
        with tempfile.TemporaryDirectory(prefix="rehearsal-") as root:
            self.config.run.root = root
            self._call("setup", "fit")
            self._call("on_fit_start")
            if checkpoint:
                self._load(checkpoint)
            self._call("on_train_start")
            self._take_snapshot("on_train_start", {})
            self._call("on_train_epoch_start")
            while not self.trainer.should_stop and self.curriculum.step < self.config.trainer.max_steps:
                self._step(self.curriculum.step)
                self.saved.append(self._save())
            for hook in ("on_train_epoch_end", "on_train_end", "on_fit_end"):
                self._call(hook)
            self._call("teardown", "fit")
        return self

    def _step(self, step: int) -> None:
        self.data.start_rollouts()
        self._take_snapshot("on_rollouts_start", {})
        self.stopped.append(self._save())
        batch = self.data.make_batch(step)
        self._call("on_train_batch_start", batch, step)
        self.module.step(batch)
        measured = dict(self.module.metrics)
        self._call("on_train_batch_end", None, batch, step)
        self._take_snapshot("on_train_batch_end", measured)

    def _call(self, hook: str, *arguments: Any) -> None:
        for callback in self.trainer.callbacks:
            getattr(callback, hook)(self.trainer, self.module, *arguments)

    def _take_snapshot(self, hook: str, measured: dict[str, float]) -> None:
        """Take a snapshot; of `module.metrics` only what callbacks have added to the `measured` ones."""
        added = {name: value for name, value in self.module.metrics.items() if measured.get(name) != value}
        values = self.curriculum.state_dict()
        history = values.pop("history")
        seen = {
            **{f"curriculum.{name}": value for name, value in values.items()},
            "trainer.should_stop": self.trainer.should_stop,
            "module.reset_optimizer()": self.module.resets,
            **{f"module.metrics[{name!r}]": value for name, value in added.items() if hook == "on_train_batch_end"},
            **{f"state_dict() of {callback.state_key}": callback.state_dict() for callback in self.own},
            "curriculum.history": history,
        }
        snapshot = Snapshot(self.curriculum.step, hook, plain(seen))
        self.snapshots.append(snapshot)
        self.watch(snapshot)

    def _save(self) -> bytes:
        """Return a checkpoint: all that a real one has besides weights and optimizer."""
        states = {callback.state_key: callback.state_dict() for callback in self.trainer.callbacks}
        checkpoint: dict[str, Any] = {
            "curriculum": self.curriculum.state_dict(),
            "data": self.data.state_dict(),
            "resets": self.module.resets,
            "callbacks": {key: state for key, state in states.items() if state},
        }
        self._call("on_save_checkpoint", checkpoint)
        return pickle.dumps(checkpoint)

    def _load(self, saved: bytes) -> None:
        checkpoint = pickle.loads(saved)
        self.data.load_state_dict(checkpoint["data"])
        self.curriculum.load_state_dict(checkpoint["curriculum"])
        self.module.resets = checkpoint["resets"]
        self._call("on_load_checkpoint", checkpoint)
        for callback in self.trainer.callbacks:
            if state := checkpoint["callbacks"].get(callback.state_key):
                callback.load_state_dict(state)
