"""Which layers are taken, what is refused, and with which words."""

import os
import re
from contextlib import closing

import pytest
from zones import run

from acereason.config.schema import SandboxConfig
from acereason.config.schema.rollouts import SANDBOX_LAYERS
from acereason.errors import UserError
from acereason.sandbox import isolation as module
from acereason.sandbox import landlock, seccomp
from acereason.sandbox.isolation import (
    NONE,
    ROOT,
    USER,
    Isolation,
    Sandbox,
    find_isolation,
    zone_settings,
)
from acereason.sandbox.zone import NoZone, Zone

FILTERS = (landlock.abi() > 0, seccomp.available())


def found(*without: str, allow_weak: bool = False) -> Isolation:
    return find_isolation(SandboxConfig(without=list(without), allow_weak=allow_weak))


def needs_filters() -> None:
    if not all(FILTERS):
        pytest.skip("no Landlock or no seccomp here")


@pytest.fixture(autouse=True)
def _nothing_found_before() -> None:
    module._find_isolation.cache_clear()


def test_candidates_come_in_the_order_of_their_strength() -> None:
    def modes(*without: str) -> list[tuple[str, bool]]:
        return [(each.mode, each.user_namespace) for each in module._candidates(SandboxConfig(without=list(without)))]

    as_root = [(ROOT, True), (ROOT, False)] if os.geteuid() == 0 else []
    assert modes() == [*as_root, (USER, True), (NONE, False)]
    assert modes("user_namespace") == [*as_root[1:], (NONE, False)]
    assert modes("namespaces") == [(NONE, False)]
    assert modes("landlock", "seccomp", "cgroup") == modes()


def test_layers_are_left_out_by_their_names() -> None:
    needs_filters()
    weak = {"allow_weak": True}
    everything = found(**weak)
    assert (everything.landlock, everything.seccomp) == (True, True)
    assert not found("landlock", **weak).landlock
    assert not found("seccomp", **weak).seccomp
    assert not found("user_namespace", **weak).user_namespace
    assert found("namespaces").mode == NONE
    assert set(SANDBOX_LAYERS) == {"user_namespace", "namespaces", "landlock", "seccomp", "cgroup"}
    assert zone_settings(SandboxConfig(without=["cgroup"]), everything)["cgroup"] is False


@pytest.mark.parametrize(
    ("without", "missing"),
    [
        (["namespaces", "landlock"], "file-system"),
        (["namespaces", "seccomp"], "network, process"),
        (["namespaces", "landlock", "seccomp"], "file-system, network, process"),
    ],
)
def test_what_is_missing_is_named_and_forgiven_by_allow_weak_alone(without: list[str], missing: str) -> None:
    needs_filters()
    with pytest.raises(UserError) as refusal:
        found(*without)
    text = str(refusal.value)
    assert text.startswith(f"code rewards need {missing} isolation, which this machine does not allow (")
    for word in (
        "left out by sandbox.without",
        "user namespaces",
        "root",
        "sandbox.allow_weak=true",
        "acereason sandbox",
    ):
        assert word in text
    weak = found(*without, allow_weak=True)
    assert ", ".join(weak.missing) == missing
    with closing(Zone(zone_settings(SandboxConfig(), weak))) as zone:
        assert run(zone, "print(7)")[0] == "7\n"


def test_nothing_is_missing_with_namespaces_or_with_both_filters() -> None:
    assert Isolation(NONE, False, True, True).missing == []
    for mode in (ROOT, USER):
        assert Isolation(mode, mode == USER, False, False).missing == []


def test_what_was_refused_is_remembered_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    # Flags of which the kernel knows none: so it refuses namespaces of any kind, as some machines do.
    monkeypatch.setattr(module, "NAMESPACES", {"unknown": 1})
    try:
        isolation = find_isolation(SandboxConfig())
        said = "; ".join(isolation.refused)
        assert isolation.mode == NONE
    except UserError as error:
        needs_filters()
        said = str(error)
    for mode in (ROOT, USER) if os.geteuid() == 0 else (USER,):
        assert re.search(f"no sandbox of mode {mode}: .*Invalid argument", said)
    with pytest.raises(UserError, match=r"no sandbox of mode user: .*allow_weak=true"):
        find_isolation(SandboxConfig(without=["landlock"]))


def test_a_machine_on_which_no_program_runs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def few(config: SandboxConfig, isolation: Isolation) -> dict[str, object]:
        settings = zone_settings(config, isolation)
        return {**settings, "limits": {**settings["limits"], "FSIZE": 0}}  # nothing can be printed

    monkeypatch.setattr(module, "zone_settings", few)
    with pytest.raises(UserError, match=r"no sandbox can be made here: .*programs do not run"):
        find_isolation(SandboxConfig(allow_weak=True))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"without": ["selinux"]},
            'sandbox.without=["selinux"]: there is no selinux; valid: user_namespace, namespaces',
        ),
        ({"packages": ["no_such_package"]}, "sandbox.packages: no_such_package is not installed"),
        ({"time_limit_seconds": 0.0}, "sandbox.time_limit_seconds=0.0: must be a number above 0"),
        ({"time_limit_seconds": float("nan")}, "sandbox.time_limit_seconds=nan: must be a finite number above 0"),
        ({"total_time_limit_seconds": -1.0}, "sandbox.total_time_limit_seconds=-1.0: must be a number above 0"),
        ({"memory_mib": 0}, "sandbox.memory_mib=0: must be a whole number from 64"),
        ({"memory_mib": 63}, "sandbox.memory_mib=63: must be a whole number from 64 (the interpreter needs that much)"),
        ({"output_mib": 0}, "sandbox.output_mib=0: must be a whole number from 1"),
        ({"tmp_mib": -5}, "sandbox.tmp_mib=-5: must be a whole number from 1"),
        ({"processes": 7}, "sandbox.processes=7: must be a whole number from 8"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as refusal:
        find_isolation(SandboxConfig(**settings))  # type: ignore[arg-type]
    assert str(refusal.value).startswith(said)


@pytest.mark.parametrize("settings", [{"time_limit_seconds": float("inf")}, {"total_time_limit_seconds": float("inf")}])
def test_a_limit_that_is_none_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"sandbox.{next(iter(settings))}=inf"):
        find_isolation(SandboxConfig(**settings))  # type: ignore[arg-type]


def test_the_smallest_settings_work() -> None:
    config = SandboxConfig(memory_mib=64, output_mib=1, tmp_mib=1, processes=8, packages=[])
    with closing(Zone(zone_settings(config, find_isolation(config)))) as zone:
        assert run(zone, "import threading\nthreading.Thread(target=print, args=(7,)).start()\n")[0] == "7\n"


def test_packages_that_are_not_installed_are_left_out() -> None:
    assert module.package_folders("no_such_package") == []
    config = SandboxConfig(packages=["rich"])
    settings = zone_settings(config, find_isolation(config))
    assert [os.path.basename(folder) for folder in settings["packages"]] == ["rich"]
    with closing(Zone(settings)) as zone:
        assert run(zone, "import rich.text\nprint(rich.text.Text('7'))\n")[0] == "7\n"
        assert run(zone, "try:\n    import yaml\nexcept ImportError:\n    print(7)\n")[0] == "7\n"


def test_a_sandbox_travels_as_text() -> None:
    isolation = Isolation(USER, True, True, False, ("no sandbox of mode root: because",))
    sandbox = Sandbox(SandboxConfig(packages=["numpy"], without=["seccomp"], time_limit_seconds=0.5), isolation)
    arrived = Sandbox.from_json(sandbox.to_json())
    assert arrived.config == sandbox.config
    assert (arrived.isolation.mode, arrived.isolation.landlock, arrived.isolation.seccomp) == (USER, True, False)
    assert list(arrived.isolation.refused) == list(isolation.refused)


def test_a_zone_of_a_kind_that_is_not_allowed_is_refused() -> None:
    if os.geteuid() == 0:
        pytest.skip("root may")
    with pytest.raises(NoZone, match="no sandbox of mode root: Operation not permitted"):
        Zone(zone_settings(SandboxConfig(), Isolation(ROOT, False, *FILTERS)))
