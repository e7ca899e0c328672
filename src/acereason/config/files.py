"""The YAML files of conf/: found, read, with the files they include, and checked name by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from acereason.config.fields import at, nearest, shown, validate
from acereason.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[3]


def recipes(project: Path | None = None) -> dict[str, Path]:
    """Return the files of conf/recipe by the name that `recipe=` takes."""
    found = _choices(project)
    return {name.removeprefix("recipe/"): path for name, path in found.items() if name.startswith("recipe/")}


def shown_path(path: Path) -> str:
    """Return a path as the user would type it: relative where it lies under the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else str(path)


def _choices(project: Path | None) -> dict[str, Path]:
    """Return YAML files by their path relative to conf/, without suffix; the current folder hides the repository's."""
    found: dict[str, Path] = {}
    for folder in [project / "conf"] if project else [REPOSITORY / "conf", Path.cwd() / "conf"]:
        found |= {str(path.relative_to(folder).with_suffix("")): path for path in sorted(folder.rglob("*.yaml"))}
    return found


def file_trees(
    name: str, asked: str, root: type, project: Path | None, chain: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Return the values of a file in conf/, those of the files it includes first.

    Args:
        name: path relative to conf/, without suffix.
        asked: what named it, for messages.
        root: the dataclass that declares the settings.
        project: folder that holds conf/, as for `compose`.
        chain: the files whose includes led here.

    Raises:
        UserError: no such file, broken YAML, a circle of includes, or a wrong name or type.
    """
    choices = _choices(project)
    if name not in choices:
        raise UserError(_no_such_file(name, asked, choices))
    source = shown_path(choices[name])
    if name in chain:
        raise UserError(f"{source}: include goes in a circle: {' -> '.join([*chain[chain.index(name) :], name])}")
    tree = read_yaml(choices[name])
    trees: list[dict[str, Any]] = []
    for included in include_names(tree.pop("include", []), source):
        trees += file_trees(included, f"{source}: include={included}", root, project, (*chain, name))
    validate(tree, root, source)
    return [*trees, tree]


def _no_such_file(name: str, asked: str, choices: dict[str, Path]) -> str:
    if not choices:
        return f"{asked}: no conf folder with YAML files here or in {REPOSITORY}; run it from the repository's root"
    folder = "recipe/" if name.startswith("recipe/") else ""
    names = [choice.removeprefix(folder) for choice in choices if choice.startswith(folder)]
    return f"{asked}: there is no conf/{name}.yaml; {nearest(name.removeprefix(folder), names)}"


def include_names(value: Any, source: str) -> list[str]:
    """Return the files that an `include` names: a list of them or just one."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{at(source)}include={shown(value)}: expected a list of files in conf/, such as [model/xyz]")
    return names


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file, interpolations as they are; raise `UserError` if it cannot be read as one."""
    source = shown_path(path)
    try:
        tree = OmegaConf.to_container(OmegaConf.load(path))
    except (YAMLError, UnicodeDecodeError) as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        where = f"{source} line {mark.line + 1}" if mark else source
        raise UserError(f"{where}: broken YAML: {yaml_problem(error)}") from error
    except (OSError, OmegaConfBaseException) as error:
        raise UserError(f"{source}: cannot be read: {first_line(error)}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{source}: expected settings, such as `trainer: {{max_steps: 3}}`, not a list")
    return cast(dict[str, Any], tree)


def yaml_problem(error: Exception) -> str:
    """Return what a YAML parser found wrong, without its excerpt of the text."""
    return str(getattr(error, "problem", None) or first_line(error))


def first_line(error: Exception) -> str:
    """Return the first line of an exception's message."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
