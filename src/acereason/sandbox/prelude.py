"""What a program finds without importing it: modules and names that contest sites offer, imported once per zygote."""

from __future__ import annotations

import builtins
import os
import sys
from types import ModuleType
from typing import Any

from acereason.sandbox import program

MODULES = (
    *("abc", "array", "atexit", "bisect", "cmath", "collections", "contextlib", "copy", "dataclasses", "datetime"),
    *("decimal", "enum", "fractions", "functools", "gc", "heapq", "io", "itertools", "json", "math", "numbers"),
    *("operator", "os", "queue", "random", "re", "statistics", "string", "struct", "sys", "threading", "time"),
    *("traceback", "types", "typing", "zlib"),
)
"""Modules imported before the first program, so that importing them costs it nothing; programs find their names too."""
STARS = (
    *("typing", "math", "itertools", "functools", "collections", "heapq", "bisect", "string", "operator", "copy"),
    *("random", "statistics", "fractions", "decimal"),
)
"""Modules whose public names a program finds as well; of equal names the first counts, and a built-in before all."""


def import_modules(extra: list[str]) -> None:
    """Import `MODULES` and the extra ones, once, without the hooks that they would run after a fork.

    Those of threading and random touch a hundred pages each in every fork, for a state that is right already: a fork
    has one thread, and every test starts with the same random numbers. Neither may have been imported before.
    """
    register, os.register_at_fork = os.register_at_fork, lambda **hooks: None
    try:
        for name in (*MODULES, *extra):
            __import__(name)
    finally:
        os.register_at_fork = register
    sys.modules["random"].seed(0)
    sys.setrecursionlimit(program.RECURSION_LIMIT)
    sys.set_int_max_str_digits(0)


def add_names() -> None:
    """Give programs all these names as built-ins.

    Copying them to each program's globals would touch every object that they name, hundreds of pages in each fork.
    """
    found: dict[str, Any] = {}
    for name in STARS:
        for public, value in _public(sys.modules[name]).items():
            if not hasattr(builtins, public):
                found.setdefault(public, value)
    found |= {name: sys.modules[name] for name in MODULES}
    vars(builtins).update(found, exit=sys.exit, quit=sys.exit)  # the interpreter's own come with site-packages


def _public(module: ModuleType) -> dict[str, Any]:
    listed = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    return {name: getattr(module, name) for name in listed}
