"""From YAML files and the command line to an object of settings; nothing heavy is imported on the way.

Later wins: the defaults of the dataclass, files that the recipe includes, the recipe, files of `include=`, then
`key=value`. Names and types are checked here; `checks.py` checks what the values must be.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar, cast, overload

from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from acereason.config.fields import hint_of, is_named_groups, nearest_setting, settings, shown, type_hints, validate
from acereason.config.files import file_trees, first_line, include_names, read_yaml, shown_path, yaml_problem
from acereason.config.removed import translated
from acereason.config.schema import Config
from acereason.errors import UserError

SAVED_CONFIG = "config.yaml"
"""Name of the resolved config in a run's folder; `ckpt=last` reads the recipe of a run there."""
Root = TypeVar("Root")


@overload
def compose(words: Sequence[str], *, project: Path | None = None) -> Config: ...


@overload
def compose(words: Sequence[str], root: type[Root], *, project: Path | None = None) -> Root: ...


def compose(words: Sequence[str], root: type = Config, *, project: Path | None = None) -> Any:
    """Return the settings that a command line asks for.

    Args:
        words: overrides `key=value`. `include=model/xyz` (or a list) puts files of conf/ over what comes before;
            `callbacks.NAME=null` leaves one of the recipe's callbacks out. Where `root` has a setting `recipe`,
            `recipe=NAME` starts from conf/recipe/NAME.yaml.
        root: the dataclass that declares the settings. A field without a default must be given.
        project: folder that holds conf/; the current folder, then this repository, when None.

    Raises:
        UserError: anything wrong, with the key, the value and the nearest valid name.
    """
    pairs = [_override(word, root) for word in words]
    defaults = {"recipe": settings(root)["recipe"].default} if "recipe" in settings(root) else {}
    chosen: dict[str, Any] = {**defaults, "include": [], **dict(pairs)}
    trees: list[dict[str, Any]] = [{}]
    if defaults:
        trees += file_trees(f"recipe/{chosen['recipe']}", f"recipe={chosen['recipe']}", root, project)
    for name in include_names(chosen["include"], ""):
        trees += file_trees(name, f"include={name}", root, project)
    trees += [_nested(key, value) for key, value in pairs if key != "include"]
    composed = _to_settings(trees, root)
    if defaults:
        composed.recipe = chosen["recipe"]  # whatever a file copied from a run's folder says
    if isinstance(composed, Config):
        composed.run.name = composed.run.name or _run_name(composed)
    return composed


def save(config: Config, path: Path | str) -> None:
    """Write every setting as YAML, enums by name; `load_saved` reads it back."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.structured(config), path)


def load_saved(path: Path | str) -> Config:
    """Return the config of a run, from the file that `save` wrote; settings it lacks take their defaults.

    Raises:
        UserError: no such file, broken YAML, or a setting that no longer exists.
    """
    tree = translated(read_yaml(Path(path)))
    validate(tree, source=shown_path(Path(path)))
    return cast(Config, _to_settings([tree], Config))


def _override(word: str, root: type) -> tuple[str, Any]:
    """Return key and value of one `key=value`, checked."""
    key, equals, raw = word.partition("=")
    if not equals or not key:
        usual = "trainer.max_steps" if "trainer.max_steps" in settings(root) else next(iter(settings(root)))
        example = nearest_setting(key.lstrip("-") or raw, root=root) or usual
        raise UserError(f"{shown(word)}: expected key=value without spaces, such as {example}=…")
    value = _value(key, raw, root)
    if key != "include":
        validate(_nested(key, value), root)
    return key, value


def _value(key: str, raw: str, root: type) -> Any:
    """Return the text after `=` as YAML; text settings take it as it stands, so that run.name=007 stays 007."""
    if hint_of(key, root) is str and raw != "null":
        quoted = len(raw) > 1 and raw[0] == raw[-1] and raw[0] in "\"'"
        return raw[1:-1] if quoted else raw
    try:
        return OmegaConf.to_container(OmegaConf.from_dotlist([f"value={raw}"]))["value"]  # type: ignore[index, call-overload]
    except (YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"{key}={shown(raw)}: broken value: {yaml_problem(error)}") from error


def _nested(key: str, value: Any) -> dict[str, Any]:
    for name in reversed(key.split(".")):
        value = {name: value}
    return cast(dict[str, Any], value)


def _to_settings(trees: Sequence[dict[str, Any]], root: type) -> Any:
    """Return the defaults with each tree merged over them; interpolations resolved, enums and callbacks as objects."""
    merged = reduce(_merge, trees)
    for name, hint in type_hints(root).items():
        if is_named_groups(hint) and isinstance(merged.get(name), dict):
            merged[name] = {inner: entry for inner, entry in merged[name].items() if entry is not None}
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(root), merged))
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key}=… is missing; --help lists the settings") from error
    except OmegaConfBaseException as error:
        raise UserError(_resolve_message(error, merged)) from error


def _merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """Return `high` over `low`: mappings merge, all else is replaced; OmegaConf refuses a mapping over a list."""
    both = {name for name in low.keys() & high.keys() if isinstance(low[name], dict) and isinstance(high[name], dict)}
    return {**low, **high, **{name: _merge(low[name], high[name]) for name in both}}


def _resolve_message(error: OmegaConfBaseException, written: Any) -> str:
    """Return a message for what shows only when `${…}` is resolved: key, value as written, OmegaConf's reason."""
    key = str(error.full_key or "")
    for name in key.split("."):
        written = written.get(name) if isinstance(written, dict) else None
    return f"{key}={shown(written)}: {first_line(error)}"


def _run_name(config: Config) -> str:
    """Return a name for a run without one: recipe and time, or with `ckpt=last` the recipe's newest run."""
    if config.ckpt in ("last", "best"):
        return _newest_run(Path(config.run.root), config.recipe, config.ckpt)
    if config.ckpt == "auto":
        raise UserError("ckpt=auto needs run.name=…, the same each time: it resumes the run of that name, if any")
    return f"{config.recipe.replace('/', '-')}-{datetime.now():%Y%m%d-%H%M%S}"


def _newest_run(root: Path, recipe: str, ckpt: str) -> str:
    saved = [path for path in root.glob(f"*/{SAVED_CONFIG}") if _recipe_of(path) == recipe]
    if not saved:
        raise UserError(f"ckpt={ckpt}: no run of recipe {recipe} in run.root={root}; name one with run.name=…")
    return max(saved, key=lambda path: (path.stat().st_mtime, path.parent.name)).parent.name


def _recipe_of(path: Path) -> str:
    """Return the recipe of a saved config, without parsing all of it."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.removeprefix("recipe:").strip(" '\"") for line in lines if line.startswith("recipe:")), "")
