"""Checkpoints as files: which are complete, which one a name means, and whether one fits the settings of a run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any

from acereason.config import compose
from acereason.config.checks import entries
from acereason.config.fields import shown
from acereason.config.schema import Config
from acereason.errors import UserError
from acereason.files import PARTIAL, sync, write_whole

MANIFEST = "checkpoint.json"

SHAPES = (
    *("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"),
    *("intermediate_size", "vocab_size", "tie_word_embeddings", "attention_bias"),
    *("num_experts", "num_local_experts", "moe_intermediate_size"),
)
"""Values of a model's config.json that decide the shapes of its tensors."""


@dataclass(frozen=True)
class Manifest:
    """The content of `checkpoint.json`, which is written last.

    Attributes:
        step: rollout steps done.
        ranks: number of ranks that wrote the checkpoint.
        model: the model's `SHAPES`.
        score: `{"name": scalar, "value": number}` of the evaluation at this step; None without one.
        evaluation_due: whether the run was asked to stop while it evaluated this step.
        files: sizes of all other files, bytes.
    """

    step: int
    ranks: int
    model: dict[str, Any]
    score: dict[str, Any] | None
    evaluation_due: bool
    files: dict[str, int]


def write_manifest(checkpoint: Path, manifest: Manifest) -> None:
    """Write the manifest whole; until then an earlier one stays."""
    write_whole(checkpoint / MANIFEST, json.dumps(asdict(manifest), indent=1) + "\n")
    sync(checkpoint)


def read_manifest(checkpoint: Path) -> Manifest:
    """Return the manifest of a checkpoint.

    Raises:
        OSError: there is none.
        ValueError: it cannot be parsed, or lacks an entry.
    """
    values = json.loads((checkpoint / MANIFEST).read_bytes())
    try:
        return Manifest(**{entry.name: values[entry.name] for entry in fields(Manifest)})
    except (KeyError, TypeError) as error:
        raise ValueError(f"{MANIFEST} lacks {error}") from error


def what_is_missing(checkpoint: Path) -> str:
    """Return why a checkpoint is incomplete, in words; empty if it is complete."""
    if checkpoint.name.endswith(PARTIAL):
        return "it was not written to the end"
    try:
        files = read_manifest(checkpoint).files
    except OSError:
        return f"{MANIFEST} is missing"
    except ValueError:
        return f"{MANIFEST} is broken"
    for name, size in files.items():
        try:
            found = (checkpoint / name).stat().st_size
        except OSError:
            return f"{name} is missing"
        if found != size:
            return f"{name} has {found:,} of its {size:,} bytes"
    return ""


def step_of(checkpoint: Path) -> int:
    """Return the number of rollout steps done at a complete checkpoint."""
    return read_manifest(checkpoint).step


def complete_checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints in a folder, oldest first."""
    named = [path for path in folder.glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    return sorted((path for path in named if not what_is_missing(path)), key=step_of)


def best_checkpoint(folder: Path, name: str = "") -> Path | None:
    """Return the complete checkpoint with the highest score, the earliest of equals; None if none has a score.

    Args:
        folder: of a run's checkpoints.
        name: of the scalar; if empty, the one that the newest scored checkpoint has.
    """
    scored = [(path, score) for path in complete_checkpoints(folder) if (score := read_manifest(path).score)]
    wanted = name or (scored[-1][1]["name"] if scored else "")
    values = [(path, score["value"]) for path, score in scored if score["name"] == wanted]
    return max(values, key=lambda pair: pair[1])[0] if values else None


def find_checkpoint(ckpt: str, folder: Path) -> Path | None:
    """Return the checkpoint that the setting `ckpt` names; None if it is empty, or `auto` and there is none.

    Args:
        ckpt: the setting.
        folder: where this run keeps its checkpoints.

    Raises:
        UserError: there is no such checkpoint, or it is incomplete.
    """
    if not ckpt:
        return None
    if ckpt in ("last", "auto", "best"):
        complete = complete_checkpoints(folder)
        chosen = best_checkpoint(folder) if ckpt == "best" else complete[-1] if complete else None
        if chosen is None and ckpt != "auto":
            instead = "use ckpt=last for the newest" if complete else "leave ckpt empty to start afresh"
            kind = "evaluated" if ckpt == "best" else "complete"
            raise UserError(f"ckpt={ckpt}: there is no {kind} checkpoint in {folder}; {instead}")
        return chosen
    path = Path(ckpt)
    if not path.is_dir():
        raise UserError(f"ckpt={ckpt}: there is no such folder; use ckpt=last for the newest checkpoint of this run")
    if missing := what_is_missing(path):
        instead = "use ckpt=last for the newest complete one"
        raise UserError(f"ckpt={ckpt} is not a complete checkpoint: {missing}; {instead}")
    return path


def check_branch(checkpoint: Path | None, folder: Path) -> None:
    """Check that resuming from `checkpoint` in the run that owns `folder` does not mix two histories.

    Raises:
        UserError: it would mix them; the message asks for another name of the run.
    """
    complete, run = complete_checkpoints(folder), folder.parent
    if checkpoint is None and complete:
        raise UserError(f"{run} holds checkpoints already: resume with ckpt=last, or start another run with run.name=…")
    if checkpoint is None or not complete or checkpoint.resolve() == complete[-1].resolve():
        return
    if checkpoint.resolve().parent != folder.resolve():
        raise UserError(f"{run} holds checkpoints of its own: name a new run (run.name=…) to use {checkpoint}")
    raise UserError(
        f"{folder} holds newer checkpoints ({complete[-1].name}): name a new run (run.name=…) to branch off from "
        f"{checkpoint.name}, or resume from the newest with ckpt=last"
    )


def architecture(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return those values of a model's config.json that decide the shapes of its tensors."""
    return {name: model[name] for name in SHAPES if model.get(name) is not None}


def check_fits(config: Config, checkpoint: Path) -> list[str]:
    """Check that a run with these settings can resume from a complete checkpoint.

    Returns:
        Keys of the settings that decide the numbers and differ; empty unless `config.ckpt_changes` is set.

    Raises:
        UserError: the checkpoint is of another model or other settings, or has more steps than `max_steps`.
    """
    manifest, name = read_manifest(checkpoint), f"ckpt={shown(config.ckpt)}"
    if config.trainer.max_steps < manifest.step:
        setting = f"trainer.max_steps={config.trainer.max_steps}"
        raise UserError(f"{setting}: {checkpoint} has {manifest.step} steps already; give as many or more")
    model_file = Path(config.model.path) / "config.json"
    if model_file.is_file():
        _check_model(manifest.model, model_file, name)
    saved = _decisive(compose.load_saved(checkpoint / compose.SAVED_CONFIG), model_file.is_file())
    ours = _decisive(config, model_file.is_file())
    changed = [key for key in {**ours, **saved} if ours.get(key) != saved.get(key)]
    if changed and not config.ckpt_changes:
        said = [f"{_given(key, ours)} (the checkpoint has {shown(saved.get(key, 'none'))})" for key in changed[:3]]
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise UserError(
            f"{name} was trained with other settings: {', '.join(said)}{more}; give the same, or set "
            "ckpt_changes=true to resume with the new values"
        )
    return changed


def check_resume(config: Config) -> None:
    """Refuse settings that cannot resume what `ckpt` names, or that would mix two histories in one run's folder.

    Raises:
        UserError: see `find_checkpoint`, `check_fits` and `check_branch`.
    """
    folder = config.run.folder / "checkpoints"
    checkpoint = find_checkpoint(config.ckpt, folder)
    if checkpoint:
        check_fits(config, checkpoint)
    check_branch(checkpoint, folder)


def _check_model(saved: dict[str, Any], model_file: Path, name: str) -> None:
    ours = architecture(json.loads(model_file.read_bytes()))
    for key in saved.keys() & ours.keys():
        if saved[key] != ours[key]:
            raise UserError(
                f"{name} is of another model: {key} is {saved[key]} there, {ours[key]} in "
                f"model.path={model_file.parent}; give the model that the run started from"
            )


def _given(key: str, ours: dict[str, Any]) -> str:
    return f"{key}={shown(ours[key])}" if key in ours else f"{key} is not set"


def _decisive(config: Config, is_local: bool) -> dict[str, Any]:
    """Return the settings that decide the numbers, by dotted key.

    Without the path of a local model: the shapes in its config.json stand for it. A hub name stands for itself.
    """
    deciding = [entry for entry in entries(config) if entry.decides and not (is_local and entry.key == "model.path")]
    return {key: value for entry in deciding for key, value in _flat(entry.value, entry.key)}


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flat(item, f"{key}.{name}")
    elif isinstance(value, Enum):
        yield key, value.value
    else:
        yield key, list(value) if isinstance(value, tuple) else value
