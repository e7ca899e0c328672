"""The curriculum's history as a file, and two real ranks whose curricula differ before any rollout is made."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from fresh_process import fresh_environment
from tiny_runs import fit, tiny_config

from acereason.curricula.callback import CurriculumCallback
from acereason.curricula.history import HISTORY, CurriculumWriter
from acereason.training.build import build_trainer
from acereason.training.held_out import HeldOutEvaluation

ROOT = Path(__file__).resolve().parent.parent.parent
LOCAL = """\
from lightning.pytorch import Callback


class Local(Callback):
    \"\"\"Before the rollouts of step 1, what is sampled depends on the rank.\"\"\"

    def on_rollouts_start(self, trainer, module) -> None:
        if module.curriculum.step == 1:
            many = 8 if trainer.global_rank else 2
            module.curriculum.change("local", "no good reason", prompts_per_step=many, rollouts_per_prompt=many)
"""
TINY = [
    *("recipe=laptop_math", f"model.path={ROOT}/models/laptop", "engine.name=transformers", "run.name=apart"),
    *("problems.count=32", "problems.held_out=2", "evaluation.every_n_steps=0", "evaluation.samples_per_problem=1"),
    *("curriculum.prompts_per_step=4", "curriculum.rollouts_per_prompt=4", "curriculum.max_response_tokens=8"),
    *("trainer.devices=2", "trainer.max_steps=3", "rewards.workers=1", "checkpoint.export=false"),
    *("log.progress_bar=false", "callbacks.local.class_path=callbacks.local.Local"),
]


def test_ranks_that_would_sample_differently_end_with_one_line_before_they_do(tmp_path: Path) -> None:
    (tmp_path / "callbacks").mkdir()
    (tmp_path / "callbacks" / "local.py").write_text(LOCAL)
    command = [sys.executable, str(ROOT / "train.py"), *TINY]
    env = fresh_environment(PYTHONPATH=str(ROOT / "src"), OMP_NUM_THREADS="1")
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=200)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    differ = "prompts_per_step, rollouts_per_prompt, last changed by local"
    assert line.startswith(f"error: after step 1 ranks differ in {differ}: decide from ")


class Cools(CurriculumCallback):
    """A callback that changes the temperature before the rollouts of step 1."""

    seen = ""

    def on_rollouts_start(self, trainer: Any, module: Any) -> None:
        if module.curriculum.step == 1:
            module.curriculum.change("cools", "a test", temperature=0.5)

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        self.seen = (Path(module.config.run.root) / module.config.run.name / HISTORY).read_text()


def test_what_is_changed_before_rollouts_is_in_the_file_when_they_are_made(tmp_path: Path) -> None:
    callback = Cools()
    fit(tiny_config(tmp_path), callbacks=[callback])
    [line] = callback.seen.splitlines()
    assert {"step": 1, "what": "temperature", "after": 0.5, "who": "cools"}.items() <= json.loads(line).items()


def test_it_comes_after_the_callbacks_of_the_user(tmp_path: Path) -> None:
    own = [Cools(), Cools()]
    callbacks = build_trainer(tiny_config(tmp_path), HeldOutEvaluation(0), own=own).callbacks  # type: ignore[attr-defined]
    kinds = [type(callback) for callback in callbacks if isinstance(callback, Cools | CurriculumWriter)]
    assert kinds == [Cools, Cools, CurriculumWriter]
