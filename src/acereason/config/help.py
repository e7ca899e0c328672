"""What `--help` prints: how to call a program, and every setting with its default, bounds and docstring."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import MISSING, is_dataclass
from enum import Enum
from functools import cache, reduce
from typing import Any, get_args, get_origin

from acereason.config.compose import compose
from acereason.config.fields import Setting, is_named_groups, settings, shown, type_hints
from acereason.config.files import recipes
from acereason.config.schema import Config
from acereason.errors import UserError

WIDTH = 110
_TRAIN_USAGE = """\
python train.py [recipe=NAME] [key=value ...]

Trains a policy by reinforcement learning on problems whose answers can be verified (AceReason-Nemotron, GRPO).
Every setting below can be given as key=value; a recipe is a file of such values. Later wins: the defaults, the
files that a recipe includes, the recipe, include=, then key=value.

Examples
  python train.py                                           the default recipe
  python train.py recipe=NAME seed=1 trainer.max_steps=20   another recipe, shorter
  python train.py recipe=laptop_math problems.path=train.jsonl problems.question=problem problems.answer=solution
  python train.py include=[model/NAME,cluster/NAME]         with conf/model/NAME.yaml and conf/cluster/NAME.yaml
  python train.py ckpt=last                                 resume the newest run of the recipe
  python train.py validate_only=true                        check everything, train nothing
"""
_CALLBACKS = """\
  A callback is a class with the arguments of its constructor, under a name of your choice:
    python train.py callbacks.NAME.class_path=callbacks.FILE.CLASS callbacks.NAME.init_args.ARGUMENT=VALUE
  callbacks.NAME=null leaves out one that the recipe has. Classes are found in the current folder, this repository
  and installed packages.
"""


def print_help() -> None:
    """Print the help of train.py."""
    print(train_help())


def train_help() -> str:
    """Return usage, examples, recipes and settings of train.py.

    If the default recipe changes a default, its value stands at the end of the line.
    """
    try:
        recipe = compose([])
    except UserError:  # a broken recipe must not hide the help
        recipe = None
    recipe_lines = "Recipes (conf/recipe)\n" + "\n".join(_recipe_lines()) + "\n"
    return "\n".join([_TRAIN_USAGE, recipe_lines, *_sections(Config, recipe)])


def settings_help(root: type) -> str:
    """Return every setting below a dataclass as `key = default   type and bounds` with its docstring, by group."""
    return "\n".join(_sections(root, None))


@cache
def docstrings(cls: type) -> dict[str, str]:
    """Return the docstring under each field of a dataclass, those it inherits included; that of the class under ""."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        module = ast.parse(inspect.getsource(sys.modules[base.__module__]))
        [node] = [node for node in module.body if isinstance(node, ast.ClassDef) and node.name == base.__name__]
        found |= {"": ast.get_docstring(node) or "", **dict(_field_docs(node))}
    return found


def _field_docs(cls: ast.ClassDef) -> Iterable[tuple[str, str]]:
    for entry, doc in zip(cls.body, cls.body[1:], strict=False):
        text = doc.value.value if isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant) else None
        if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name) and isinstance(text, str):
            yield entry.target.id, inspect.cleandoc(text)


def _recipe_lines() -> Iterable[str]:
    """Yield name and first comment line of each recipe."""
    for name, path in recipes().items():
        first = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
        about = first.removeprefix("#").strip() if first.startswith("#") else ""
        yield f"  {name}{' (default)' if name == Config.recipe else ''}  {about}".rstrip()


def _sections(root: type, recipe: Config | None) -> Iterable[str]:
    """Yield the settings, one text a group; those of no group first, those of callbacks last."""
    plain = [setting for key, setting in settings(root).items() if "." not in key and key != "callbacks"]
    if plain:
        yield "General\n" + "".join(_entry(setting, recipe) for setting in plain)
    for name, hint in type_hints(root).items():
        if is_dataclass(hint):
            inside = [setting for key, setting in settings(root).items() if key.startswith(f"{name}.")]
            yield f"{name}: {docstrings(hint)['']}\n" + "".join(_entry(setting, recipe) for setting in inside)  # type: ignore[arg-type]
    for name, hint in type_hints(root).items():
        if is_named_groups(hint) and name == "callbacks":
            docs = docstrings(get_args(hint)[1])
            lines = [f"  callbacks.NAME.{field}\n{_indented(doc)}" for field, doc in docs.items() if field]
            yield f"callbacks: {docs['']}\n{_CALLBACKS}" + "".join(lines)


def _entry(setting: Setting, recipe: Config | None) -> str:
    given = "" if setting.default is MISSING else f" = {_typed(setting.default)}"
    line = f"  {setting.key}{given}   {_kind(setting)}"
    value = reduce(getattr, setting.key.split("."), recipe) if recipe else setting.default
    if value != setting.default and setting.key not in ("run.name", "more_problems"):
        line += f"   ({Config.recipe}: {_typed(value)})"
    return f"{line}\n{_indented(docstrings(setting.owner)[setting.name])}"


def _kind(setting: Setting) -> str:
    """Return the type and the rules in a few words, such as `int from 1`."""
    rule, words = setting.rule, [_type_words(setting.hint)]
    if rule.bounds is not None and rule.bounds.words:
        words[0] += f" {rule.bounds.words}"
    words += ["not empty"] if rule.not_empty else []
    words += [f"of {', '.join(rule.choices)}"] if rule.choices else []
    words += [f"a multiple of {' × '.join(rule.multiple_of)}"] if rule.multiple_of else []
    words += [f"a divisor of {' × '.join(rule.divides)}"] if rule.divides else []
    return ", ".join(words) + (", must be given" if setting.default is MISSING else "")


def _typed(value: Any) -> str:
    """Return a value as it is typed on the command line."""
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
    if get_origin(hint) is list:
        return "list"
    if get_origin(hint) is dict:
        return "mapping"
    return "text" if hint is str else "true|false" if hint is bool else getattr(hint, "__name__", str(hint))


def _indented(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6) + "\n"
