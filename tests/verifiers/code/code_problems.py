"""Problems with tests, and zones to run programs in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from acereason.config.schema import SandboxConfig
from acereason.errors import UserError
from acereason.problems.problem import CodeTest, CodeTests, Problem
from acereason.sandbox.isolation import Isolation, find_isolation
from acereason.sandbox.zones import Zones

ADD = "print(sum(map(int, input().split())))\n"
SUMS = [("3 4\n", "7\n"), ("1 1\n", "2\n"), ("5 -5\n", "0\n")]


def stdin_problem(*tests: tuple[str, str], **fields: Any) -> Problem:
    """Of texts to read and to print."""
    return Problem("stdin", "code", "", tests=CodeTests.pack(CodeTest(*test) for test in tests), **fields)


def call_problem(name: str, *tests: tuple[list[Any], Any], **fields: Any) -> Problem:
    """Of arguments and values of a function."""
    packed = CodeTests.pack(CodeTest(*test) for test in tests)
    return Problem("call", "code", "", tests=packed, entry_point=name, **fields)


def check_problem(name: str, source: str, **fields: Any) -> Problem:
    """Of test source."""
    return Problem("check", "code", "", check=source, entry_point=name, **fields)


def found_isolation(config: SandboxConfig) -> Isolation:
    """What this machine allows; skips the test where that is too little."""
    try:
        return find_isolation(config)
    except UserError as error:
        pytest.skip(str(error))


@contextmanager
def made_zones(**settings: Any) -> Iterator[Zones]:
    """Zones with some settings."""
    config = SandboxConfig(**settings)
    zones = Zones(config, found_isolation(config))
    try:
        yield zones
    finally:
        zones.close()
