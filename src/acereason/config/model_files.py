"""A model's files, read without loading it: whether they exist, and how long a sequence may be."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from acereason.config.fields import shown
from acereason.config.known_models import KNOWN_MODELS
from acereason.config.schema import Config
from acereason.errors import UserError

CONTEXT = "max_position_embeddings"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json")


def nearest_path(path: str, *others: str) -> str:
    """Return what is near a path that does not exist, for the end of a message."""
    folder = Path(path).parent
    if path.startswith("~"):
        return "write the home folder out, ~ is not expanded here"
    if not folder.is_dir():
        return f"there is no folder {folder}"
    inside = sorted(str(folder / entry.name) for entry in folder.iterdir())
    close = get_close_matches(path, [*others, *inside], n=1)
    return f"did you mean {close[0]}?" if close else f"{folder} holds {', '.join(inside[:5]) or 'nothing'}"


def _model_folder(path: str) -> Path | None:
    """Return the model's folder; None if the path is a hub name."""
    folder = Path(path)
    is_hub_name = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", path) and not folder.parent.is_dir()
    if is_hub_name and not folder.exists():
        return None
    if not folder.exists():
        raise UserError(f"model.path={shown(path)}: no such folder; {nearest_path(path)}")
    if not (folder / "config.json").is_file():
        raise UserError(f"model.path={shown(path)}: has no config.json; give a folder in Hugging Face format")
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise UserError(f"model.path={shown(path)}: has no tokenizer; save tokenizer.json and its config there too")
    return folder


def check_length(config: Config, name: str, tokens: int) -> None:
    """Refuse responses that leave no room for a prompt in the model or the engine.

    Args:
        config: settings.
        name: the setting that asks for them.
        tokens: their longest length.

    Raises:
        UserError: they leave no room; or there is no model at `model.path`.
    """
    folder = _model_folder(config.model.path)
    limits = {
        "engine.max_model_len": config.engine.max_model_len,
        f"{CONTEXT} of model.path={config.model.path}": (
            _context_tokens(folder) if folder else KNOWN_MODELS.get(config.model.path, {}).get(CONTEXT, 0)
        ),
    }
    for limited, limit in limits.items():
        if 0 < limit <= tokens:
            raise UserError(f"{name}={tokens}: prompt and response must fit in {limit} tokens ({limited}); lower it")


def _context_tokens(folder: Path) -> int:
    """Return the longest sequence of the model, in tokens; 0 if its config does not say."""
    path = folder / "config.json"
    try:
        values: Any = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: broken JSON: {error}") from error
    tokens = values.get(CONTEXT) if isinstance(values, dict) else None
    return tokens if isinstance(tokens, int) else 0
