"""The callbacks that the settings name: imported, constructed and checked before the run."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from acereason.config.fields import nearest, shown
from acereason.config.files import REPOSITORY, shown_path
from acereason.config.model_files import check_length
from acereason.config.schema import CallbackConfig, Config
from acereason.errors import UserError

if TYPE_CHECKING:
    from lightning.pytorch import Callback

OURS = REPOSITORY / "callbacks"
"""Callbacks of this repository. A folder `callbacks` in the current folder comes first, and hides only files of the
same name here."""


def user_callbacks(config: Config) -> list[Callback]:
    """Return the callbacks that the settings name, each of them checked; import nothing if they name none.

    Raises:
        UserError: a class cannot be imported or does not take its arguments, a callback refuses the settings, or one
            may ask for responses that the model or the engine cannot hold.
    """
    if not config.callbacks:
        return []
    for name, entry in config.callbacks.items():
        _check_path(name, entry)
    callbacks = _constructed(config.callbacks)
    _check_states(dict(zip(config.callbacks, callbacks, strict=True)))
    for callback in callbacks:
        if check := getattr(callback, "check", None):
            check(config, callbacks)
    for name, callback in zip(config.callbacks, callbacks, strict=True):
        check_length(config, f"callbacks.{name}: max_response_tokens", longest_response(config, [callback]))
    return callbacks


def longest_response(config: Config, callbacks: Sequence[Callback]) -> int:
    """Return the longest response that training may ever ask for, in tokens."""
    asked = [getattr(callback, "longest_response", None) for callback in callbacks]
    return max([config.curriculum.max_response_tokens, *(ask(config) for ask in asked if ask)])


def _check_path(name: str, entry: CallbackConfig) -> None:
    parts = entry.class_path.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        example = "callbacks.length_extension.LengthExtension"
        raise UserError(f"{_class_setting(name, entry)}: expected module.Class, such as {example}")


def _class_setting(name: str, entry: CallbackConfig) -> str:
    return f"callbacks.{name}.class_path={shown(entry.class_path)}"


def _constructed(entries: Mapping[str, CallbackConfig]) -> list[Callback]:
    folders = [str(Path.cwd()), str(REPOSITORY)]
    sys.path[:] = [*folders, *(folder for folder in sys.path if folder not in folders)]
    # All classes and arguments before the first constructor, which may be slow: a typo should not wait for it.
    classes = {name: _imported_class(_class_setting(name, entry), entry) for name, entry in entries.items()}
    for name, entry in entries.items():
        _check_arguments(f"callbacks.{name}.init_args", entry, classes[name])
    return [_construct(name, classes[name], entry.init_args) for name, entry in entries.items()]


def _construct(name: str, cls: type[Callback], arguments: Mapping[str, Any]) -> Callback:
    from acereason.curricula.callback import CurriculumCallback

    callback: Any = cls.__new__(cls)
    if isinstance(callback, CurriculumCallback):
        callback.name = name  # before its constructor, whose messages contain it
    callback.__init__(**arguments)
    return cast("Callback", callback)


def _imported_class(setting: str, entry: CallbackConfig) -> type[Callback]:
    """Import a class.

    Raises:
        UserError: there is no such module or class, it cannot be imported, or it is not a callback.
    """
    module_name, _, class_name = entry.class_path.rpartition(".")
    module = _imported_module(setting, module_name)
    found = getattr(module, class_name, None)
    file = getattr(module, "__file__", None)
    if hasattr(module, "__path__") and (file is None or isinstance(found, ModuleType)):
        inside = [entry.name for entry in pkgutil.iter_modules(module.__path__)]
        write = f"{module_name}.FILE.{class_name}"
        raise UserError(f"{setting}: {module_name} is a folder; write {write}; {nearest(class_name, inside)}")
    from lightning.pytorch import Callback

    if found is None:
        known = [
            name for name, value in vars(module).items() if value is not Callback and _is_subclass(value, Callback)
        ]
        where = shown_path(Path(file)) if file else module_name
        raise UserError(f"{setting}: no {class_name} in {where}; {nearest(class_name, known)}")
    if not _is_subclass(found, Callback):
        raise UserError(f"{setting} is not a Lightning Callback")
    return found


def _is_subclass(value: object, cls: type) -> bool:
    return isinstance(value, type) and issubclass(value, cls)


def _imported_module(setting: str, name: str) -> ModuleType:
    try:
        if name.partition(".")[0] == OURS.name:
            _keep_ours_reachable()
        return importlib.import_module(name)
    except SyntaxError as error:
        where = shown_path(Path(error.filename)) if error.filename else name
        line = f" line {error.lineno}" if error.lineno else ""
        raise UserError(f"{setting}: {where}{line}: {error.msg}") from error
    except ModuleNotFoundError as error:
        if not error.name or not f"{name}.".startswith(f"{error.name}."):  # one that the module itself imports
            raise UserError(f"{setting} cannot be imported: {error}") from error
        raise UserError(f"{setting}: no module {error.name}; {_nearest_module(error.name)}") from error
    except ImportError as error:
        raise UserError(f"{setting} cannot be imported: {error}") from error


def _keep_ours_reachable() -> None:
    """Add the folder of this repository to the package `callbacks`, where the user's is a package that hides it."""
    package = importlib.import_module(OURS.name)
    folders = list(getattr(package, "__path__", []))
    if str(OURS) not in folders:
        package.__path__ = [*folders, str(OURS)]


def _nearest_module(name: str) -> str:
    parent, _, last = name.rpartition(".")
    if parent:
        folders: Sequence[str] = getattr(sys.modules.get(parent), "__path__", [])
        return nearest(last, [module.name for module in pkgutil.iter_modules(folders)])
    here = [module.name for module in pkgutil.iter_modules([str(Path.cwd()), str(REPOSITORY)])]
    return nearest(last, [*here, OURS.name])


def _check_arguments(setting: str, entry: CallbackConfig, cls: type[Callback]) -> None:
    """Check the arguments of a constructor without calling it.

    Raises:
        UserError: it has no such argument, or needs one that is missing.
    """
    try:
        signature = inspect.signature(cls)
    except ValueError:  # a class that tells nothing about its arguments, such as a compiled one
        return
    try:
        signature.bind(**entry.init_args)
    except TypeError as error:
        raise UserError(_mismatch(setting, entry, signature) or f"{setting}: {entry.class_path}: {error}") from error


def _mismatch(setting: str, entry: CallbackConfig, signature: inspect.Signature) -> str:
    """Say which argument is unknown or missing; empty if that is not what is wrong."""
    kinds = inspect.Parameter
    parameters = signature.parameters.values()
    named = [each for each in parameters if each.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    names = [each.name for each in named]
    takes_any = any(each.kind == kinds.VAR_KEYWORD for each in parameters)
    for name, value in entry.init_args.items():
        if name not in names and not takes_any:
            unknown = f"{setting}.{name}={shown(value)}: {entry.class_path} has no such argument"
            return f"{unknown}; {nearest(name, names)}"
    missing = [each.name for each in named if each.default is kinds.empty and each.name not in entry.init_args]
    needs = f"{setting}: {entry.class_path} needs {', '.join(missing)}"
    return f"{needs}; set {setting}.{missing[0]}=…" if missing else ""


def _check_states(callbacks: Mapping[str, Callback]) -> None:
    """Check that the saved states of callbacks can be told apart, which Lightning does by class and key.

    Raises:
        UserError: two of them cannot.
    """
    from lightning.pytorch import Callback

    owners: dict[str, str] = {}
    for name, callback in callbacks.items():
        if type(callback).state_dict is Callback.state_dict:
            continue
        owner = owners.setdefault(callback.state_key, name)
        if owner != name:
            instead = "derive the class from acereason.curricula.callback.CurriculumCallback"
            raise UserError(f"callbacks.{name}: its state could not be told from that of callbacks.{owner}; {instead}")
