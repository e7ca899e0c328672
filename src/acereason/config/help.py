"""What `train.py --help` prints: how to call it, the recipes, and every setting with its default and docstring."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable
from dataclasses import is_dataclass
from enum import Enum
from functools import cache, reduce
from typing import Any, get_args, get_origin

from acereason.config import schema as declarations
from acereason.config.compose import compose
from acereason.config.fields import settings, shown, type_hints
from acereason.config.files import recipes
from acereason.config.schema import CallbackConfig, Config
from acereason.errors import UserError

WIDTH = 110
_USAGE = """\
python train.py [recipe=NAME] [key=value ...]

Trains a policy by reinforcement learning on problems whose answers can be verified (AceReason-Nemotron, GRPO).
Every setting below can be given as key=value; a recipe is a file of such values. Later wins: the defaults, the
files that a recipe includes, the recipe, include=, then key=value.

Examples
  python train.py                                           the default recipe
  python train.py recipe=NAME seed=1 trainer.max_steps=20   another recipe, shorter
  python train.py recipe=laptop_math problems.path=train.jsonl problems.question=problem problems.answer=solution
  python train.py include=[model/NAME,cluster/NAME]         with conf/model/NAME.yaml and conf/cluster/NAME.yaml
  python train.py ckpt=last                                 go on with the newest run of the recipe
  python train.py validate_only=true                        check everything, train nothing
"""
_CALLBACKS = """\
  A callback is a class with the arguments of its constructor, under a name of your choice:
    python train.py callbacks.NAME.class_path=callbacks.FILE.CLASS callbacks.NAME.init_args.ARGUMENT=VALUE
  callbacks.NAME=null leaves out one that the recipe has. Classes are found in the current folder, this repository
  and installed packages.
"""


def help_text() -> str:
    """Every setting as `key = default   type` with its docstring, after usage, examples and recipes.

    Where the default recipe has another value than the default, it stands behind the type.
    """
    try:
        recipe = compose([])
    except UserError:  # a broken recipe must not hide the help
        recipe = None
    sections = [_USAGE, "Recipes (conf/recipe)\n" + "\n".join(_recipe_lines()) + "\n", *_groups(recipe)]
    return "\n".join(sections)


def print_help() -> None:
    """Print `help_text`."""
    print(help_text())


@cache
def docstrings() -> dict[str, dict[str, str]]:
    """The docstring under each field of `config.py`, by class and field; that of the class itself under ""."""
    classes = [node for node in ast.parse(inspect.getsource(declarations)).body if isinstance(node, ast.ClassDef)]
    return {node.name: {"": ast.get_docstring(node) or "", **dict(_field_docs(node))} for node in classes}


def _field_docs(cls: ast.ClassDef) -> Iterable[tuple[str, str]]:
    for entry, doc in zip(cls.body, cls.body[1:], strict=False):
        text = doc.value.value if isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant) else None
        if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name) and isinstance(text, str):
            yield entry.target.id, inspect.cleandoc(text)


def _recipe_lines() -> Iterable[str]:
    """Name and first comment line of each recipe."""
    for name, path in recipes().items():
        first = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
        about = first.removeprefix("#").strip() if first.startswith("#") else ""
        yield f"  {name}{' (default)' if name == Config.recipe else ''}  {about}".rstrip()


def _groups(recipe: Config | None) -> Iterable[str]:
    """The settings, one text a group."""
    hints = type_hints(Config)
    plain = [name for name, hint in hints.items() if not is_dataclass(hint) and name != "callbacks"]
    yield "General\n" + "".join(_entry(name, Config, name, recipe) for name in plain)
    for group, hint in hints.items():
        if is_dataclass(hint):
            entries = [_entry(f"{group}.{name}", hint, name, recipe) for name in type_hints(hint)]  # type: ignore[arg-type]
            yield f"{group}: {docstrings()[hint.__name__]['']}\n" + "".join(entries)  # type: ignore[union-attr]
    docs = docstrings()["CallbackConfig"]
    entries = [f"  callbacks.NAME.{name}\n{_indented(docs[name])}" for name in type_hints(CallbackConfig)]
    yield f"callbacks: {docs['']}\n{_CALLBACKS}" + "".join(entries)


def _entry(key: str, cls: Any, name: str, recipe: Config | None) -> str:
    setting = settings()[key]
    line = f"  {key} = {_typed(setting.default)}   {_type_words(setting.hint)}"
    value = reduce(getattr, key.split("."), recipe) if recipe else setting.default
    if value != setting.default and key not in ("run.name", "more_problems"):
        line += f"   ({Config.recipe}: {_typed(value)})"
    return f"{line}\n{_indented(docstrings()[cls.__name__][name])}"


def _typed(value: Any) -> str:
    """A value as it is typed on the command line."""
    if isinstance(value, float):
        return f"{value:g}"
    if value == "":
        return '""'
    return shown(value.value if isinstance(value, Enum) else list(value) if isinstance(value, tuple) else value)


def _type_words(hint: Any) -> str:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "|".join(hint.__members__)
    if get_origin(hint) is tuple:
        return f"[{', '.join(item.__name__ for item in get_args(hint))}]"
    if get_origin(hint) is dict:
        return "mapping"
    return "text" if hint is str else "true|false" if hint is bool else getattr(hint, "__name__", str(hint))


def _indented(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6) + "\n"
