"""A project for the tests of composing and checking: its own conf/, model and callbacks, and what it refuses."""

import json
from pathlib import Path

import pytest

from acereason.config.compose import compose
from acereason.errors import UserError
from acereason.planning.checks import check

EXTENSION = "callbacks.x.class_path=callbacks.length_extension.LengthExtension"
CALLBACK = """\
from lightning.pytorch import Callback


class LengthExtension(Callback):
    def __init__(self, lengths, every: int = 10) -> None:
        self.lengths, self.every = lengths, every


class Silent(Callback):
    pass


class Longer(LengthExtension):
    pass


class Free(Callback):
    def __init__(self, **options) -> None:
        self.options = options
"""


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def make_project(folder: Path) -> Path:
    """Fill a folder with one recipe, one model with a context of 256 tokens, and one file of callbacks."""
    write(folder, "conf/recipe/laptop.yaml", "trainer: {max_steps: 7}\ncurriculum: {max_response_tokens: 64}\n")
    write(folder, "models/laptop/config.json", json.dumps({"max_position_embeddings": 256}))
    write(folder, "models/laptop/tokenizer.json", "{}")
    write(folder, "callbacks/length_extension.py", CALLBACK)
    return folder


def refusal(root: Path, *argv: str) -> str:
    """The message that composing and checking these overrides ends with; one line, whatever it is."""
    with pytest.raises(UserError) as caught:
        check(compose(argv, project=root))
    message = str(caught.value)
    assert "\n" not in message
    return message
