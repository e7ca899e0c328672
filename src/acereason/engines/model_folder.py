"""Where the files of a model are on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from huggingface_hub import snapshot_download

from acereason.distributed.collectives import gather
from acereason.errors import UserError

HUB_PATTERNS = ["*.json", "model*.safetensors"]


def model_folder(path: str) -> Path:
    """Return the local folder of a model, downloaded if `path` is a hub name.

    Raises:
        UserError: the hub does not give the model.
    """
    if Path(path).exists():
        return Path(path)
    try:
        return Path(snapshot_download(path, allow_patterns=HUB_PATTERNS))
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"model.path={path}: no such folder, and the hub does not give it: {reason}") from error


def model_folder_of_all_ranks(path: str) -> Path:
    """Return `model_folder`, on all ranks together: one rank of each node downloads before the others look.

    Raises:
        UserError: on every rank, when the hub does not give the model to one of them.
    """
    first = os.environ.get("LOCAL_RANK", "0") == "0"
    for my_turn in (first, not first):
        refusal: UserError | None = None
        if my_turn:
            try:
                folder = model_folder(path)
            except UserError as error:
                refusal = error
        for other in gather(refusal):
            if other:
                raise other
    return folder
