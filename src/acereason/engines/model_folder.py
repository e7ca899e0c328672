"""The local folder of a model's files."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download

from acereason.distributed.turns import first_on_each_node
from acereason.errors import UserError

HUB_PATTERNS = ["*.json", "model*.safetensors", "*.jinja", "*.model", "*.tiktoken", "merges.txt", "vocab.txt"]
"""Configuration, weights, and what tokenizers and chat templates of all kinds are stored in."""


def model_folder(path: str, downloaded: bool = False) -> Path:
    """Return the local folder of a model, downloaded if `path` is a hub name.

    Args:
        path: a folder or a hub name.
        downloaded: whether it was downloaded to this machine just before; the hub is then not asked at all.

    Raises:
        UserError: there is no such folder, and the download from the hub fails.
    """
    if Path(path).exists():
        return Path(path)
    try:
        return Path(snapshot_download(path, allow_patterns=HUB_PATTERNS, local_files_only=downloaded))
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"model.path={path}: no such folder, and the hub does not provide it: {reason}") from error


def model_folder_of_all_ranks(path: str) -> Path:
    """Return `model_folder`, on all ranks together: one rank of each node downloads before the others look.

    Raises:
        UserError: on every rank, if the download fails on one of them.
    """
    return first_on_each_node(lambda first: model_folder(path, downloaded=not first))
