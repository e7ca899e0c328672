"""The zones of a process: one for each role and set of packages, made anew when lost."""

import importlib.util
import os
import signal
from collections.abc import Iterator
from contextlib import closing

import pytest
from zones import belongings

from acereason.config.schema import SandboxConfig
from acereason.errors import UserError
from acereason.sandbox.isolation import find_isolation
from acereason.sandbox.running import ZoneLost
from acereason.sandbox.zones import ATTEMPTS, EXAMINER, PROGRAM, Zones, retry_lost


@pytest.fixture
def zones() -> Iterator[Zones]:
    config = SandboxConfig(output_mib=1)
    try:
        isolation = find_isolation(config)
    except UserError as error:
        pytest.skip(str(error))
    with closing(Zones(config, isolation)) as zones:
        yield zones


def test_programs_and_examiners_share_no_zone(zones: Zones) -> None:
    assert zones.zone(PROGRAM, "print(7)") is zones.zone(PROGRAM, "print(8)")
    assert zones.zone(EXAMINER, "") is not zones.zone(PROGRAM, "")


def test_a_package_that_the_code_names_is_imported_ahead(zones: Zones) -> None:
    if importlib.util.find_spec("numpy") is None:
        pytest.skip("numpy is not installed")
    look = "import sys\nprint('NAME' in sys.modules)\n"
    assert zones.output_of(look.replace("NAME", "nump" + "y")) == "True\n"
    assert zones.output_of(look.replace("NAME", "nump' + 'y")) == "False\n"


def test_the_output_of_a_program_is_what_it_printed_however_it_ended(zones: Zones) -> None:
    assert zones.output_of("print(input()[::-1])\n", b"abc\n") == "cba\n"
    assert zones.output_of("print(7, flush=True)\n1 // 0\n") == "7\n"
    assert zones.output_of("print(") == ""
    assert len(zones.output_of("print('7' * (2 << 20))\n")) == zones.output_bytes == 1 << 20


def test_a_lost_zone_is_made_anew(zones: Zones) -> None:
    zone = zones.zone(PROGRAM, "")
    os.kill(zone._zygote, signal.SIGKILL)
    assert retry_lost(lambda: zones.output_of("print(7)\n")) == "7\n"
    assert zones.zone(PROGRAM, "") is not zone


def test_zones_leave_nothing() -> None:
    config = SandboxConfig()
    try:
        isolation = find_isolation(config)
    except UserError as error:
        pytest.skip(str(error))
    before = belongings(os.getpid())
    with closing(Zones(config, isolation)) as zones:
        zones.zone(EXAMINER, "")
        assert belongings(os.getpid()) > before
    assert belongings(os.getpid()) == before


@pytest.mark.parametrize("losses", [0, 1, ATTEMPTS - 1, ATTEMPTS])
def test_what_loses_its_zone_is_tried_again(losses: int) -> None:
    tries: list[int] = []

    def run() -> str:
        tries.append(1)
        if len(tries) <= losses:
            raise ZoneLost
        return "done"

    if losses < ATTEMPTS:
        assert retry_lost(run) == "done"
        assert len(tries) == losses + 1
    else:
        with pytest.raises(ZoneLost):
            retry_lost(run)
        assert len(tries) == ATTEMPTS
