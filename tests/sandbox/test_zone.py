"""Zones: they run one program after the other, keep its limits, and leave nothing."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import zones
from zones import KINDS, begin, belongings, run, wait_until, zone_of

import acereason
from acereason.config.schema import SandboxConfig
from acereason.sandbox import processes, program
from acereason.sandbox.isolation import NONE, Isolation, zone_settings
from acereason.sandbox.running import EXITED, MEMORY, OUTPUT, STOPPED, TIMEOUT, ZoneLost
from acereason.sandbox.zone import NoZone, Zone

ME = os.getpid()
LIMITS = {"memory_mib": 256, "output_mib": 1, "tmp_mib": 2, "processes": 16}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def zone(request: pytest.FixtureRequest) -> Iterator[Zone]:
    with zone_of(request.param, **LIMITS) as zone:
        yield zone


def forks(zone: Zone) -> bool:
    return zone.settings["mode"] != NONE


# What a program finds


def test_input_goes_in_and_output_comes_out(zone: Zone) -> None:
    printed, ending = run(zone, "import sys\nprint(input()[::-1])\nsys.stdout.write(sys.stdin.read())\n", b"abc\nd\n")
    assert printed == "cba\nd\n"
    assert (ending.why, ending.status) in ((EXITED, 0), (STOPPED, -signal.SIGKILL))
    assert 0 < ending.cpu_seconds < zones.SECONDS
    assert 1 << 20 < ending.memory_bytes < 1 << 30


def test_one_program_after_the_other_finds_the_same(zone: Zone) -> None:
    look = (
        "import os\nprint(os.listdir('.'), os.getcwd(), os.getuid(), sorted(os.environ), __name__, len(sys.modules))\n"
    )
    first, _ = run(zone, look)
    for change in (
        "open('x', 'w').write('x')\nimport os\nos.makedirs('a/b')\nos.symlink('/', 'a/b/c')\n",
        "import os\nfor n in range(100):\n    os.mkdir('x')\n    os.chdir('x')\nos.chmod('.', 0)\n",
        "import os\nos.mkdir('x')\nopen('x/y', 'w').close()\nos.chmod('x', 0)\n",
        "import os, sys\nos.environ['X'] = 'x'\nos.chdir('/')\nsys.modules['x'] = sys\n",
        "import os\nos.rename('.', '../x')\n",
        "import os\nos.chmod('.', 0)\n",
    ):
        if "chmod('.'" in change and not (forks(zone) or zone.settings["seccomp"]):
            continue
        run(zone, change)
        assert run(zone, look)[0] == first, change


def test_a_program_has_no_descriptors_but_its_own(zone: Zone) -> None:
    printed, _ = run(
        zone,
        "import os\n"
        "def is_open(number):\n    try: return bool(os.fstat(number))\n    except OSError: return False\n"
        "print([number for number in range(4096) if is_open(number)])\n",
    )
    assert printed == f"[0, 1, 2, {program.CHANNEL}]\n"


def test_a_program_of_a_namespace_sees_no_process_but_the_zygote(zone: Zone) -> None:
    if not forks(zone):
        pytest.skip("without namespaces")
    look = "import os\nme = os.getpid()\nseen = []\nfor n in range(2, 33000):\n    try: os.kill(n, 0)\n"
    look += "    except ProcessLookupError: continue\n    seen.append(n)\nprint(os.getppid(), seen == [me])\n"
    assert run(zone, look)[0] == "1 True\n"
    printed, _ = run(zone, "import os\nprint(len([name for name in os.listdir('/proc') if name.isdigit()]) <= 2)\n")
    assert printed in ("True\n", "")  # some machines do not let /proc be mounted


# Limits


def test_time_is_up_at_its_limit(zone: Zone) -> None:
    for source in ("import time\ntime.sleep(600)\n", "while True: pass\n", "import os\nos.kill(os.getpid(), 19)\n"):
        started = time.monotonic()
        _, ending = run(zone, source, seconds=0.5)
        assert ending.why == TIMEOUT
        assert time.monotonic() - started >= 0.5
    assert run(zone, "print(7)\n")[0] == "7\n"


def test_memory_is_bounded(zone: Zone) -> None:
    for source in (
        "held = []\nwhile True:\n    held.append(bytearray(b'x') * (1 << 24))\n",
        "import mmap, time\nheld = mmap.mmap(-1, 400 << 20)\nheld[::4096] = b'x' * (100 << 10)\ntime.sleep(600)\n",
    ):
        _, ending = run(zone, source)
        assert ending.why == MEMORY or ending.status == program.MEMORY or ending.memory_bytes > 256 << 20


def test_memory_of_all_processes_is_bounded(zone: Zone) -> None:
    if not forks(zone):
        pytest.skip("programs cannot fork here")
    start = "import os, threading, time\nfor _ in range(5):\n    if os.fork() == 0: break\n"
    start += "held = bytearray(b'x') * (100 << 20)\ntime.sleep(600)\n"
    in_thread = f"import threading\nthreading.Thread(target=exec, args=({start!r}, {{}})).start()\n"
    for source in (start, in_thread):
        assert run(zone, source)[1].why == MEMORY


def test_output_is_bounded(zone: Zone) -> None:
    printed, ending = run(zone, "while True:\n    print('x' * 1000)\n")
    assert len(printed) <= 1 << 20
    assert (ending.why, ending.status) in ((EXITED, -signal.SIGXFSZ), (EXITED, program.EXCEPTION))
    printed, ending = run(zone, "open('x', 'wb').write(bytes(2 << 20))\n")
    assert (ending.why, ending.status) in ((EXITED, -signal.SIGXFSZ), (EXITED, program.EXCEPTION))


def test_the_folder_is_bounded(zone: Zone) -> None:
    source = (
        "import time\nfor n in range(9):\n    open(str(n), 'wb').write(bytes(1 << 19))\nprint('all')\ntime.sleep(600)\n"
    )
    printed, ending = run(zone, source, seconds=5.0)
    assert printed == ""
    assert ending.why == OUTPUT or ending.status == program.EXCEPTION
    assert run(zone, "import os\nprint(os.listdir('.'))\n")[0] == "[]\n"


def test_processes_are_bounded(zone: Zone) -> None:
    count = (
        "import os, threading, time\ncount = 0\ntry:\n    while count < 99:\n        START\n        count += 1\n"
        "except (OSError, RuntimeError): pass\nprint(count < 30)\n"
    )
    assert run(zone, count.replace("START", "if os.fork() == 0: time.sleep(600)"))[0] == "True\n"
    if forks(zone):
        thread = "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()"
        assert run(zone, count.replace("START", thread))[0] == "True\n"


# Ends


def test_all_that_a_program_started_is_gone_with_its_end(zone: Zone) -> None:
    if not forks(zone):
        pytest.skip("programs cannot fork here")
    source = (
        "import os, signal, sys, threading, time\n"
        "def ignore(n):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n"
        "def stay():\n    for n in range(1, 65): ignore(n)\n"
        "    os.setsid()\n    if os.fork() == 0: os.closerange(0, 4096)\n    time.sleep(600)\n"
        "if os.fork() == 0: stay()\n"
        "thread = threading.Thread(target=lambda: os.fork() or stay())\nthread.start()\nthread.join()\n"
        "time.sleep(0.3)\nprint('started', flush=True)\ntime.sleep(TIME)\n"
    )
    with closing(begin(zone, source.replace("TIME", "600"))) as running:
        wait_until(lambda: running.output(99))
        family = zone.descendants()
        assert len(family) >= 5
        assert running.end(0).why == STOPPED
        assert not any(Path(f"/proc/{process}").exists() for process in family)
    printed, _ = run(zone, source.replace("TIME", "0"))
    assert (printed, zone.descendants()) == ("started\n", [])


def test_the_status_of_an_end_is_told(zone: Zone) -> None:
    for source, status in (
        ("import os\nos._exit(7)\n", 7),
        ("raise ValueError\n", program.EXCEPTION),
        ("print(\n", program.SYNTAX),
        ("bytearray(1 << 60)\n", program.MEMORY),
        ("import os\nos.kill(os.getpid(), 9)\n", -signal.SIGKILL),
        ("import os\nos.abort()\n", -signal.SIGABRT),
    ):
        ending = run(zone, source)[1]
        assert (ending.why, ending.status) == (EXITED, status)


def test_a_zone_is_lost_with_its_zygote() -> None:
    with zone_of(KINDS["no_namespaces"]) as zone:
        with closing(begin(zone, "import time\ntime.sleep(600)\n")) as running:
            family = zone.descendants()
            os.kill(processes.descendants(zone._process.pid)[0], signal.SIGKILL)
            with pytest.raises(ZoneLost):
                running.end()
            assert zone.lost
        wait_until(lambda: not any(Path(f"/proc/{process}").exists() for process in family))


# What is left


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_zone_leaves_nothing(kind: str) -> None:
    before = belongings(ME)
    with zone_of(KINDS[kind], **LIMITS) as zone:
        assert belongings(ME) > before
        run(zone, "open('x', 'w').write('x')\n")
    assert belongings(ME) == before
    with zone_of(KINDS[kind], **LIMITS) as zone:
        running = begin(zone, "import os, time\nos.mkdir('x')\nos.chmod('x', 0)\ntime.sleep(600)\n")
        family = [zone._process.pid, *processes.descendants(zone._process.pid)]
        zone.close()
        running.close()
        zone.close()
        assert not any(Path(f"/proc/{process}").exists() for process in family)
    assert belongings(ME) == before
    with zone_of(KINDS[kind], **LIMITS) as zone:
        os.kill(zone._process.pid, signal.SIGKILL)
    assert belongings(ME) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_zone_that_is_refused_says_why_and_leaves_nothing(kind: str) -> None:
    if kind.startswith("root") and os.geteuid() != 0:
        pytest.skip("not root")
    before = belongings(ME)
    settings = zone_settings(SandboxConfig(**LIMITS), KINDS[kind])
    impossible = {**settings, "limits": {"OF_NO_SUCH_NAME": 1}}
    if KINDS[kind].mode != NONE:
        impossible = {**settings, "namespaces": 1}  # no namespace has that number
    with pytest.raises((NoZone, ZoneLost), match=f"no sandbox of mode {KINDS[kind].mode}"):
        Zone(impossible)
    assert belongings(ME) == before


PARENT = """
import json, sys, time
from acereason.sandbox import program
from acereason.sandbox.zone import Zone
zone = Zone(json.loads(sys.argv[1]))
zone.prepare(program.job("stdin", sys.argv[2]))
running = zone.start(600.0, 600)
running.send(b"", 600.0)
while len(zone.descendants()) < int(sys.argv[3]): time.sleep(0.01)
print(zone._process.pid, *zone.descendants(), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("held_up", [False, True])  # a zygote that is killed before it sees that its parent is gone
@pytest.mark.parametrize("kind", KINDS)
def test_a_zone_ends_with_its_parent_and_the_next_one_clears_up(kind: str, held_up: bool) -> None:
    with zone_of(KINDS[kind], **LIMITS) as zone:  # or skip
        settings = zone_settings(SandboxConfig(**LIMITS), KINDS[kind])
        many = forks(zone)
    source = "import os, time\nopen('x', 'w').write('x')\n" + "os.fork()\n" * many + "time.sleep(600)\n"
    command = [sys.executable, "-c", PARENT, json.dumps(settings), source, str(1 + many)]
    environment = os.environ | {"PYTHONPATH": str(Path(acereason.__file__).parents[1])}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        family = [int(number) for number in parent.stdout.readline().split()]
        assert len(family) == 2 + many
        if held_up:
            os.kill(processes.descendants(family[0])[0], signal.SIGSTOP)
        parent.kill()
    try:
        wait_until(lambda: not any(Path(f"/proc/{process}").exists() for process in family))
    except AssertionError:
        for process in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        raise
    with zone_of(KINDS[kind]):
        wait_until(lambda: not {name for name in os.listdir("/tmp") if f"-{parent.pid}-" in name})


def test_settings_of_this_process_are_left_as_they_were() -> None:
    limits = {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")}
    space = os.readlink("/proc/self/ns/mnt"), os.getcwd(), os.getsid(0), os.readlink("/proc/self/ns/pid_for_children")
    with zone_of(KINDS["no_namespaces"]):
        assert limits == {name: resource.getrlimit(getattr(resource, name)) for name in limits}
    assert space == (
        os.readlink("/proc/self/ns/mnt"),
        os.getcwd(),
        os.getsid(0),
        os.readlink("/proc/self/ns/pid_for_children"),
    )


def test_the_environment_of_this_process_stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_MINE", "secret")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("LD_PRELOAD", "")
    for kind in ("root_and_user_namespace" if os.geteuid() == 0 else "user_namespace", "no_namespaces"):
        with zone_of(KINDS[kind]) as zone:
            printed, _ = run(
                zone, "import os, sys\nprint(dict(os.environ), sys.path, open('/proc/self/environ').read())\n"
            )
            assert "SECRET" not in printed
            assert "nowhere" not in printed
            assert "SECRET" not in Path(f"/proc/{zone._process.pid}/environ").read_text()


def test_isolation_is_what_the_zone_has(zone: Zone) -> None:
    isolation = next(each for each in KINDS.values() if _is_of(zone, each))
    source = "for line in open('/proc/self/status'):\n"
    source += "    if line[:6] in ('CapEff', 'NoNewP', 'Seccom'): print(line.split()[1])\n"
    printed, _ = run(zone, source)
    if printed:
        assert printed.split()[:3] == ["0" * 16, "1", "2" if isolation.seccomp else "0"]
    else:  # Landlock hides /proc where there is no mount namespace
        assert isolation.landlock
        assert isolation.mode == NONE


def _is_of(zone: Zone, isolation: Isolation) -> bool:
    names = ("mode", "user_namespace", "landlock", "seccomp")
    return all(zone.settings[name] == getattr(isolation, name) for name in names)
