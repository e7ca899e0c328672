"""What a program finds without importing it: modules and names that contest sites offer, imported once per zygote.

The order is that of the imports: a later star does not take a built-in's place.
"""

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
"""Imported before the first program, so that importing them costs it nothing; those are names too."""
STARS = (
    *("typing", "math", "itertools", "functools", "collections", "heapq", "bisect", "string", "operator", "copy"),
    *("random", "statistics", "fractions", "decimal"),
)
"""Modules whose public names a program finds as well, the earlier ones first."""


def import_modules(extra: list[str]) -> None:
    """Import all of it once.

    Their hooks after a fork are left out: threading's and random's touch a hundred pages each in every fork, for a
    state that is right already: a fork has one thread, and random numbers begin alike in every test. Neither may have
    been imported before.
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
    """Make all of it known to programs, as if it were built in.

    Not by way of their globals: copying those would touch every object they name, hundreds of pages in each fork.
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
