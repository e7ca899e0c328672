"""The help lists every setting, and nothing on the way to a checked config is heavy."""

import os
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

from config_project import make_project

from acereason.config import schema as declarations
from acereason.config.fields import settings, type_hints
from acereason.config.files import REPOSITORY
from acereason.config.help import docstrings, train_help


def test_help_lists_every_setting_with_its_default_and_docstring() -> None:
    text, joined = train_help(), " ".join(train_help().split())
    for key in settings():
        if key != "callbacks":
            assert f"\n  {key} = " in text
    for cls in vars(declarations).values():
        if is_dataclass(cls) and isinstance(cls, type):
            for entry in fields(cls):
                documented = docstrings(cls).get(entry.name) or is_dataclass(type_hints(cls)[entry.name])
                assert documented or entry.name == "callbacks", f"{cls.__name__}.{entry.name} has no docstring"
                assert " ".join(docstrings(cls).get(entry.name, "").split()) in joined
    assert "\n  trainer.max_steps = 100   int from 0   (laptop: 200)\n" in text
    assert "  model.compute_dtype = bfloat16   float32|bfloat16|float16   (laptop: float32)\n" in text
    assert '  run.name = ""   text\n' in text
    assert "  problems.levels = [3, 10]   [int, int] from 0   (laptop: [2, 12])\n" in text
    assert "laptop (default)  The laptop curriculum:" in text
    assert max(map(len, text.splitlines())) <= 120


def test_composing_checking_and_help_import_nothing_heavy(tmp_path: Path) -> None:
    argv = ["callbacks.x.class_path=lightning.pytorch.callbacks.LearningRateMonitor"]
    program = f"""
import sys
from acereason.planning.checks import check
from acereason.config.compose import compose
from acereason.config.help import print_help
print_help()
check(compose({argv}))
heavy = {{"torch", "numpy", "lightning", "vllm", "transformers", "sympy", "datasets", "callbacks"}}
print("heavy:", sorted(heavy & sys.modules.keys()))
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=make_project(tmp_path), env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "heavy: []"
