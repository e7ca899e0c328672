"""The hooks of our callbacks can be called as Lightning and the data module call them."""

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from lightning.pytorch import Callback

from acereason.curricula.history import CurriculumWriter
from acereason.policy.callback import PolicyCallback

CALLBACKS = Path(__file__).resolve().parent.parent.parent / "callbacks"


def ours() -> Iterator[type[Callback]]:
    yield CurriculumWriter
    for path in CALLBACKS.glob("*.py"):
        module = importlib.import_module(f"callbacks.{path.stem}")
        classes = (each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Callback))
        yield from (cls for cls in classes if cls.__module__ == module.__name__)


@pytest.mark.parametrize("cls", ours())
def test_a_hook_takes_what_it_is_called_with(cls: type[Callback]) -> None:
    declared = {name: hook for base in (Callback, PolicyCallback) for name, hook in vars(base).items()}
    hooks = [name for name in declared if name.startswith(("on_", "setup", "teardown", "state_", "load_"))]
    overridden = [name for name in hooks if name in vars(cls) and name != "state_key"]
    assert overridden
    for name in overridden:
        inspect.signature(vars(cls)[name]).bind(*inspect.signature(declared[name]).parameters)
