"""From a recipe's YAML and the command line to a checked `Config`; nothing heavy is imported on the way.

Later wins: defaults in `config.py`, files that the recipe includes, the recipe, files of `include=`, then `key=value`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from acereason.config.fields import hint_of, nearest_setting, shown, validate
from acereason.config.files import file_trees, first_line, include_names, read_yaml, shown_path, yaml_problem
from acereason.config.schema import Config
from acereason.errors import UserError

SAVED_CONFIG = "config.yaml"
"""Name of the resolved config in a run's folder; `ckpt=last` reads the recipe of a run there."""


def compose(argv: Sequence[str], root: Path | None = None) -> Config:
    """The config that the command line asks for.

    Args:
        argv: overrides `key=value`; `recipe=NAME` starts from conf/recipe/NAME.yaml, `include=model/xyz` (or a list)
            puts more files of conf/ over the recipe, `callbacks.NAME=null` leaves one of the recipe's callbacks out.
        root: folder that holds conf/; the current folder, then this repository, when None.

    Raises:
        UserError: anything wrong, with the key, the value and the nearest valid name.
    """
    pairs = [_override(text) for text in argv]
    chosen: dict[str, Any] = {"recipe": Config.recipe, "include": [], **dict(pairs)}
    trees = file_trees(f"recipe/{chosen['recipe']}", f"recipe={chosen['recipe']}", root)
    for name in include_names(chosen["include"], ""):
        trees += file_trees(name, f"include={name}", root)
    trees += [_nested(key, value) for key, value in pairs if key != "include"]
    config = _to_config(trees)
    config.recipe = chosen["recipe"]  # whatever a file copied from a run's folder says
    config.run.name = config.run.name or _run_name(config)
    return config


def save(config: Config, path: Path | str) -> None:
    """Write every setting as YAML, enums by name; `load_saved` reads it back."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.structured(config), path)


def load_saved(path: Path | str) -> Config:
    """The config of a run, from the file that `save` wrote; settings it lacks take their defaults.

    Raises:
        UserError: no such file, broken YAML, or a setting that no longer exists.
    """
    tree = read_yaml(Path(path))
    validate(tree, shown_path(Path(path)))
    return _to_config([tree])


def _override(text: str) -> tuple[str, Any]:
    """Key and value of one `key=value`, checked."""
    key, equals, raw = text.partition("=")
    if not equals or not key:
        example = nearest_setting(key.lstrip("-") or raw) or "trainer.max_steps"
        raise UserError(f"{shown(text)}: expected key=value without spaces, such as {example}=…")
    value = _value(key, raw)
    if key != "include":
        validate(_nested(key, value))
    return key, value


def _value(key: str, raw: str) -> Any:
    """The text after `=` as YAML; text settings take it as it stands, so that run.name=007 stays 007."""
    if hint_of(key) is str and raw != "null":
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


def _to_config(trees: Sequence[dict[str, Any]]) -> Config:
    """The defaults with each tree merged over them; interpolations resolved, enums and callbacks as objects."""
    merged = reduce(_merge, trees)
    if isinstance(merged.get("callbacks"), dict):
        merged["callbacks"] = {name: entry for name, entry in merged["callbacks"].items() if entry is not None}
    try:
        return cast(Config, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), merged)))
    except OmegaConfBaseException as error:
        raise UserError(_resolve_message(error, merged)) from error


def _merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """`high` over `low`, mappings merged and all else replaced; OmegaConf's own merge refuses a mapping over a list."""
    both = {name for name in low.keys() & high.keys() if isinstance(low[name], dict) and isinstance(high[name], dict)}
    return {**low, **high, **{name: _merge(low[name], high[name]) for name in both}}


def _resolve_message(error: OmegaConfBaseException, written: Any) -> str:
    """For what shows only when `${…}` is resolved: the key, the value as it was written, and OmegaConf's reason."""
    key = str(error.full_key or "")
    for name in key.split("."):
        written = written.get(name) if isinstance(written, dict) else None
    return f"{key}={shown(written)}: {first_line(error)}"


def _run_name(config: Config) -> str:
    """A name for a run without one: recipe and time, or with `ckpt=last` the recipe's newest run."""
    if config.ckpt in ("last", "best"):
        return _newest_run(Path(config.run.root), config.recipe, config.ckpt)
    if config.ckpt == "auto":
        raise UserError("ckpt=auto needs run.name=…, the same each time: it goes on with the run of that name if any")
    return f"{config.recipe.replace('/', '-')}-{datetime.now():%Y%m%d-%H%M%S}"


def _newest_run(root: Path, recipe: str, ckpt: str) -> str:
    saved = [path for path in root.glob(f"*/{SAVED_CONFIG}") if _recipe_of(path) == recipe]
    if not saved:
        raise UserError(f"ckpt={ckpt}: no run of recipe {recipe} in run.root={root}; name one with run.name=…")
    return max(saved, key=lambda path: (path.stat().st_mtime, path.parent.name)).parent.name


def _recipe_of(path: Path) -> str:
    """The recipe of a saved config, without parsing all of it."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.removeprefix("recipe:").strip(" '\"") for line in lines if line.startswith("recipe:")), "")
