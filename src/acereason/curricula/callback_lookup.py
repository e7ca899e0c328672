"""Whether the callbacks of a config can be imported and take their arguments, found out by reading their source.

Nothing is imported: modules are located as `import` would, and classes and signatures are read from the syntax tree.
What cannot be decided so (a compiled module, `**kwargs`, a base class elsewhere) passes, and shows at the real import.
"""

from __future__ import annotations

import ast
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from acereason.config.fields import nearest, shown
from acereason.config.files import REPOSITORY, shown_path
from acereason.config.schema import CallbackConfig
from acereason.errors import UserError

_IMPORT_HOPS = 5
OURS = REPOSITORY / "callbacks"
"""Callbacks of this repository; a folder of the same name in the user's project stands before it, and hides no more
than the files that have the same name."""


def import_folders() -> list[str]:
    """Where callbacks are looked for: the current folder, this repository, then Python's own path."""
    return [str(Path.cwd()), str(REPOSITORY), *sys.path]


def check_callbacks(callbacks: Mapping[str, CallbackConfig]) -> None:
    """Check that each class exists and takes its `init_args`.

    Raises:
        UserError: a module, class or argument that does not exist, a missing argument, or a syntax error.
    """
    for name, entry in callbacks.items():
        setting = f"callbacks.{name}.class_path={shown(entry.class_path)}"
        parts = entry.class_path.split(".")
        if len(parts) < 2 or not all(part.isidentifier() for part in parts):
            raise UserError(f"{setting}: expected module.Class, such as callbacks.length_extension.LengthExtension")
        found = _find_class(".".join(parts[:-1]), parts[-1], setting, _IMPORT_HOPS)
        signature = _constructor(*found) if found else None
        if signature:
            _check_arguments(f"callbacks.{name}.init_args", entry, signature)


def _find_class(module: str, name: str, setting: str, hops: int) -> tuple[ast.ClassDef, ast.Module] | None:
    """The class and the module that defines it, imports followed; None when the source does not tell."""
    spec = _find_module(module, setting)
    if spec.origin is None:
        inside = [found.name for found in pkgutil.iter_modules(spec.submodule_search_locations)]
        raise UserError(f"{setting}: {module} is a folder; write {module}.FILE.{name}; {nearest(name, inside)}")
    if not spec.origin.endswith(".py"):
        return None
    tree = _parse(Path(spec.origin), setting)
    names = _names(tree)
    if name not in names:
        if "*" in names or "__getattr__" in names:
            return None
        classes = [known for known, node in names.items() if isinstance(node, ast.ClassDef | ast.ImportFrom)]
        raise UserError(f"{setting}: no {name} in {shown_path(Path(spec.origin))}; {nearest(name, classes)}")
    node = names[name]
    if isinstance(node, ast.ImportFrom) and hops > 0:
        return _follow(node, name, module if spec.submodule_search_locations else module.rpartition(".")[0], hops - 1)
    return (node, tree) if isinstance(node, ast.ClassDef) else None


def _follow(node: ast.ImportFrom, name: str, package: str, hops: int) -> tuple[ast.ClassDef, ast.Module] | None:
    """The class behind `from … import name` in a module of `package`."""
    original = next(alias.name for alias in node.names if (alias.asname or alias.name) == name)
    try:
        source = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
        return _find_class(source, original, "", hops)
    except (ImportError, UserError):  # a package that puts itself together when imported
        return None


def _find_module(module: str, setting: str) -> ModuleSpec:
    parent, _, name = module.rpartition(".")
    folders = list(_find_module(parent, setting).submodule_search_locations or []) if parent else import_folders()
    folders += [str(OURS)] if parent == OURS.name else []
    # The bare name: with the dotted one, Python looks into the parent package, which is not imported here.
    spec = PathFinder.find_spec(name, folders) or (None if parent else _installed(name))
    if spec is None:
        known = [found.name for found in pkgutil.iter_modules(folders if parent else folders[:2])]
        raise UserError(f"{setting}: no module {module}; {nearest(name, known if parent else [*known, 'callbacks'])}")
    return spec


def _installed(name: str) -> ModuleSpec | None:
    """A top-level package that only a special finder knows, such as an editable install."""
    try:
        return importlib.util.find_spec(name)
    except ValueError:  # __main__
        return None


def _parse(path: Path, setting: str) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except SyntaxError as error:
        raise UserError(f"{setting}: {shown_path(path)} line {error.lineno}: {error.msg}") from error


def _names(tree: ast.Module) -> dict[str, ast.AST]:
    """What a module defines at its top level, `if` and `try` included, by name."""
    names: dict[str, ast.AST] = {}
    for node in _statements(tree.body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names[node.name] = node
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names |= {alias.asname or alias.name: node for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
    return names


def _statements(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _statements([*node.body, *node.orelse])
        if isinstance(node, ast.Try):
            yield from _statements(statement for handler in node.handlers for statement in handler.body)


def _constructor(cls: ast.ClassDef, tree: ast.Module) -> ast.arguments | None:
    """Signature of `__init__`, own or inherited within the module; None when it cannot be read there."""
    for node in cls.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return node.args
    if cls.decorator_list or len(cls.bases) != 1:
        return None
    base = ast.unparse(cls.bases[0])
    parent = _names(tree).get(base)
    if isinstance(parent, ast.ClassDef) and parent is not cls:
        return _constructor(parent, tree)
    if base.split(".")[-1] == "Callback":  # Lightning's, whose constructor takes nothing
        return ast.arguments([], [ast.arg("self")], None, [], [], None, [])
    return None


def _check_arguments(key: str, entry: CallbackConfig, signature: ast.arguments) -> None:
    positional = [argument.arg for argument in (*signature.posonlyargs, *signature.args)][1:]
    required = positional[: max(0, len(positional) - len(signature.defaults))]
    pairs = zip(signature.kwonlyargs, signature.kw_defaults, strict=True)
    required += [argument.arg for argument, default in pairs if default is None]
    accepted = [*positional, *(argument.arg for argument in signature.kwonlyargs)]
    for name, value in entry.init_args.items():
        if name not in accepted and not signature.kwarg:
            problem = f"{entry.class_path} has no such argument"
            raise UserError(f"{key}.{name}={shown(value)}: {problem}; {nearest(name, accepted)}")
    missing = [name for name in required if name not in entry.init_args]
    if missing:
        raise UserError(f"{key}: {entry.class_path} needs {', '.join(missing)}; set {key}.{missing[0]}=…")
