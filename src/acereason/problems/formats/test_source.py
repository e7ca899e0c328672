"""Test sources: which function they call, and which part of a prompt they rely on. Nothing is run here."""

from __future__ import annotations

import ast
import builtins
import re
import symtable
from collections.abc import Iterator

_METHOD = re.compile(r"\bSolution\(\)\.[^\W\d]\w*")
_DEFINES_CHECK = re.compile(r"^def check\(", re.MULTILINE)
_CALLS_CHECK = re.compile(r"^check\(", re.MULTILINE)
_GIVEN = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def with_check_called(source: str) -> str:
    """Add the call `check(candidate)` to a source that defines `check` but does not call it."""
    if _DEFINES_CHECK.search(source) and not _CALLS_CHECK.search(source):
        return f"{source.rstrip()}\n\n\ncheck(candidate)\n"
    return source


def called_entry_point(source: str) -> str | None:
    """Return the function of the program that a test source calls: `Solution().name`, or the first of its `free_calls`.

    Raises:
        SyntaxError: the source is not Python.
    """
    method = _METHOD.search(source)
    return method[0] if method else next(iter(free_calls(source)), None)


def free_calls(source: str) -> list[str]:
    """Return names that a source calls and does not bind, in order; a built-in only if the source calls nothing else.

    Raises:
        SyntaxError: the source is not Python, or nested too deeply.
    """
    try:
        nodes = ast.walk(_parsed(source))
        tables = list(_tables(symtable.symtable(source, "tests", "exec")))
    except RecursionError as error:
        raise SyntaxError("nested too deeply") from error
    bound = {symbol.get_name() for symbol in tables[0].get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    used = {s.get_name() for table in tables for s in table.get_symbols() if s.is_global() and s.is_referenced()}
    calls = [node.func for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    calls.sort(key=lambda name: (name.lineno, name.col_offset))
    names = list(dict.fromkeys(name.id for name in calls if name.id in used - bound))
    return [name for name in names if not hasattr(builtins, name)] or (names if len(names) == 1 else [])


def prelude_of(prompt: str, entry_point: str) -> str:
    """Return the part of a prompt that is source and that a program may rely on.

    If the prompt ends in a function to complete, that is the source before it (HumanEval's imports and helpers). If it
    is source without that function, it is the whole prompt (LeetCodeDataset). If it is prose, it is "".
    """
    for completed in (prompt, f"{prompt}\n    pass"):  # a header without a docstring needs a body
        try:
            statements = _parsed(completed).body
        except SyntaxError:
            continue
        for statement in statements:
            if isinstance(statement, _FUNCTIONS) and statement.name == entry_point:
                first = min([statement.lineno, *(line.lineno for line in statement.decorator_list)])
                return "\n".join([*prompt.split("\n")[: first - 1], ""]).lstrip("\n")
        return prompt if any(isinstance(s, _GIVEN) for s in statements) and all(map(_is_given, statements)) else ""
    return ""


def header_of(source: str, name: str) -> str:
    """Return the header of a function in a source, such as `def f(x):`; `def f(*args):` if the source lacks it."""
    try:
        statements = _parsed(source).body
    except SyntaxError:
        statements = []
    for statement in statements:
        if isinstance(statement, _FUNCTIONS) and statement.name == name:
            statement.body, statement.decorator_list = [ast.Pass()], []
            return ast.unparse(statement).split("\n")[0]
    return f"def {name}(*args):"


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (ValueError, MemoryError, RecursionError) as error:  # a null byte; nested too deeply
        raise SyntaxError(str(error) or "nested too deeply") from error


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """Yield a scope and all scopes inside it."""
    yield table
    for inner in table.get_children():
        yield from _tables(inner)


def _is_given(statement: ast.stmt) -> bool:
    docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return docstring or isinstance(statement, _GIVEN)
