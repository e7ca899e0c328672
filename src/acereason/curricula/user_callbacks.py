"""The callbacks that the settings name: imported, made, and asked whether they can work."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from acereason.config.model_files import check_length
from acereason.config.schema import CallbackConfig, Config
from acereason.curricula.callback_lookup import OURS, import_folders
from acereason.errors import UserError

if TYPE_CHECKING:
    from lightning.pytorch import Callback


def user_callbacks(config: Config) -> list[Callback]:
    """The callbacks that the settings name, each of which has found that it can work; without any, nothing is imported.

    Raises:
        UserError: one cannot, or may ask for responses that the model or the engine cannot hold.
    """
    if not config.callbacks:
        return []
    callbacks = _made(config.callbacks)
    _check_states(dict(zip(config.callbacks, callbacks, strict=True)))
    for callback in callbacks:
        if check := getattr(callback, "check", None):
            check(config, callbacks)
    for name, callback in zip(config.callbacks, callbacks, strict=True):
        check_length(config, f"callbacks.{name}: max_response_tokens", longest_response(config, [callback]))
    return callbacks


def longest_response(config: Config, callbacks: Sequence[Callback]) -> int:
    """The longest response that training may ever ask for, tokens."""
    asked = [getattr(callback, "longest_response", None) for callback in callbacks]
    return max([config.curriculum.max_response_tokens, *(ask(config) for ask in asked if ask)])


def _made(entries: dict[str, CallbackConfig]) -> list[Callback]:
    """The callbacks that the settings name.

    Raises:
        UserError: a class cannot be imported, is no callback, or refuses its arguments.
    """
    from lightning.pytorch import Callback

    from acereason.curricula.callback import CurriculumCallback

    sys.path[:0] = [folder for folder in import_folders() if folder not in sys.path]
    callbacks: list[Callback] = []
    for name, entry in entries.items():
        module_name, _, class_name = entry.class_path.rpartition(".")
        key = f"callbacks.{name}.class_path={entry.class_path}"
        try:
            found = getattr(_imported(module_name), class_name)
        except (ImportError, AttributeError, ValueError) as error:
            raise UserError(f"{key} cannot be imported: {error}") from error
        if not (isinstance(found, type) and issubclass(found, Callback)):
            raise UserError(f"{key} is not a Lightning Callback")
        callback: Any = found.__new__(found)
        if isinstance(callback, CurriculumCallback):
            callback.name = name  # before its constructor, whose messages say it
        try:
            found.__init__(callback, **entry.init_args)
        except TypeError as error:
            raise UserError(f"callbacks.{name}.init_args={entry.init_args}: {error}") from error
        callbacks.append(callback)
    return callbacks


def _check_states(callbacks: dict[str, Callback]) -> None:
    """Lightning keeps states apart by class and key."""
    from lightning.pytorch import Callback

    owners: dict[str, str] = {}
    for name, callback in callbacks.items():
        if type(callback).state_dict is Callback.state_dict:
            continue
        owner = owners.setdefault(callback.state_key, name)
        if owner != name:
            way = "derive the class from acereason.curricula.callback.CurriculumCallback"
            raise UserError(f"callbacks.{name}: its state could not be told from that of callbacks.{owner}; {way}")


def _imported(name: str) -> ModuleType:
    """The module; one of `callbacks` also where the user's folder of that name is a package, which would hide ours."""
    if name.partition(".")[0] == OURS.name:
        folders = importlib.import_module(OURS.name).__path__
        if str(OURS) not in folders:
            folders.append(str(OURS))
    return importlib.import_module(name)
