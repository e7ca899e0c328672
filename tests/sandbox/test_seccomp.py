import errno
import re
import struct
from pathlib import Path

import pytest
from refused_calls import REFUSED, REFUSED_ON_X86_64, XATTR
from simulated_bpf import answer

from acereason.sandbox import seccomp, seccomp_policy
from acereason.sandbox.syscall_numbers import numbers_of

MACHINES = ["x86_64", "aarch64"]
ONLY_ON_X86_64 = """
open creat access stat lstat getdents rename mkdir rmdir link unlink symlink readlink chmod chown lchown
utime utimes futimesat pipe poll select epoll_create epoll_wait eventfd dup2 alarm pause time getpgrp fork vfork
arch_prctl
"""
"""Calls that asm-generic left out for newer ones, and one about segment registers."""


def code_of(forks: bool, machine: str, pid: int = 0) -> bytes:
    program = seccomp.build_filter(forks, machine)
    for offset in program.own_pid_at:
        struct.pack_into("<I", program.code, offset, pid)
    return bytes(program.code)


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_those_of_the_kernel_headers(machine: str) -> None:
    if machine == "x86_64":
        header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    else:
        header = Path("/usr/include/asm-generic/unistd.h")
    if not header.exists():
        pytest.skip(f"no {header}")
    # asm-generic has numbers under another name where 32-bit machines have another call.
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    theirs = {{"fstatat": "newfstatat"}.get(name, name): int(number) for name, number in found}
    ours = numbers_of(machine)
    both = set(ours) & set(theirs)
    assert len(both) > 300
    assert {name: ours[name] for name in both} == {name: theirs[name] for name in both}


def test_calls_of_the_policy_exist_on_both_architectures_but_for_old_ones() -> None:
    policy = seccomp_policy
    names = {*policy.ALLOWED.split(), *policy.ALLOWED_WITH_FORKS.split(), *policy.RULES, *policy.RULES_WITH_FORKS}
    names |= {*policy.RULES_WITHOUT_FORKS, *" ".join(policy.REFUSED_OTHERWISE.values()).split()}
    x86_64, aarch64 = numbers_of("x86_64"), numbers_of("aarch64")
    assert names <= set(x86_64)
    assert names - set(aarch64) == set(ONLY_ON_X86_64.split())


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("forks", [True, False])
def test_every_number_has_its_answer(machine: str, forks: bool) -> None:
    code, numbers = code_of(forks, machine), numbers_of(machine)
    allowed = seccomp_policy.ALLOWED + (seccomp_policy.ALLOWED_WITH_FORKS if forks else "")
    ruled = {*seccomp_policy.RULES, *seccomp_policy.RULES_WITHOUT_FORKS} - set(allowed.split())
    names = {number: name for name, number in numbers.items()}
    for number in range(600):
        name = names.get(number)
        if name in allowed.split():
            expected: str | int = "allow"
        elif name is None or name == "clone3":
            expected = errno.ENOSYS
        elif not forks and name in seccomp_policy.WITHOUT_EFFECT_WITHOUT_FORKS.split():
            expected = 0
        else:
            expected = errno.ENOTSUP if name in XATTR.split() else errno.EPERM
        if name not in ruled:
            assert answer(code, machine, number, [-1] * 6) == expected, name
            assert answer(code, machine, number) == expected, name


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("forks", [True, False])
def test_families_that_reach_outside_are_refused(machine: str, forks: bool) -> None:
    code, numbers = code_of(forks, machine), numbers_of(machine)
    names = REFUSED + (REFUSED_ON_X86_64 if machine == "x86_64" else "")
    assert {name for name in names.split() if answer(code, machine, numbers[name]) != errno.EPERM} == set()
    assert {name for name in XATTR.split() if answer(code, machine, numbers[name]) != errno.ENOTSUP} == set()


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("forks", [True, False])
def test_other_architectures_are_killed(machine: str, forks: bool) -> None:
    code = code_of(forks, machine)
    other = MACHINES[1 - MACHINES.index(machine)]
    for number in (0, 1, 57, 63, 435, 0x40000000):
        assert answer(code, other, number) == answer(code, "i386", number) == "kill"
    for number in (0x40000000, 0x40000000 + 39, 0x40000000 + 520, 0xFFFFFFFF):
        assert answer(code, machine, number) == "kill"


@pytest.mark.parametrize("machine", MACHINES)
def test_clone_makes_no_namespaces_and_without_forks_only_threads(machine: str) -> None:
    number = numbers_of(machine)["clone"]
    thread, fork, spawn = 0x3D0F00, 0x01200011, 0x4111
    with_forks, without = code_of(True, machine), code_of(False, machine)
    assert [answer(with_forks, machine, number, [flags]) for flags in (thread, fork, spawn)] == ["allow"] * 3
    answers = [answer(without, machine, number, [flags]) for flags in (thread, fork, spawn)]
    assert answers == ["allow", errno.EPERM, errno.EPERM]
    namespaces = (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
    parent, pidfd, traced = 0x8000, 0x1000, 0x2000
    for flag in (*namespaces, parent, pidfd, traced):
        for code in (with_forks, without):
            assert answer(code, machine, number, [fork | flag]) == errno.EPERM
            assert answer(code, machine, number, [thread | flag]) == errno.EPERM


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", ["kill", "tkill", "tgkill"])
def test_without_forks_only_the_own_number_is_signalled(machine: str, name: str) -> None:
    code, number, pid = code_of(False, machine, 4711), numbers_of(machine)[name], 4711
    assert answer(code, machine, number, [pid, 9]) == "allow"
    for other in (0, 1, -1, -pid, pid + 1, pid - 1, -2147483648):
        assert answer(code, machine, number, [other, 9]) == errno.EPERM
    assert answer(code_of(True, machine), machine, number, [-1, 9]) == "allow"


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("forks", [True, False])
@pytest.mark.parametrize(
    ("name", "allowed", "refused", "error"),
    [
        ("prlimit64", [[0, 7]], [[1, 7], [-1, 7], [4711, 7]], errno.EPERM),
        ("sched_setaffinity", [[0, 8]], [[1, 8], [4711, 8]], errno.EPERM),
        ("sched_setscheduler", [[0, 3]], [[1, 3], [4711, 3]], errno.EPERM),
        ("setpriority", [[0, 0, 5]], [[0, 1, 5], [1, 0, 5], [2, 0, 5]], errno.EPERM),
        ("ioctl", [[0, 0x5401], [9, 0x541B], [0, 0x5413]], [[0, 0x5412], [0, 0x8901], [0, 0x5402]], errno.ENOTTY),
        # F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY, F_SETPIPE_SZ
        ("fcntl", [[0, 0], [0, 4], [0, 7], [0, 1030]], [[0, c] for c in (8, 10, 15, 1024, 1026, 1031)], errno.EPERM),
        # PR_SET_PDEATHSIG, _SET_DUMPABLE, _SET_SECCOMP, _CAPBSET_DROP, _SET_MM, _SET_CHILD_SUBREAPER, _SCHED_CORE
        ("prctl", [[15], [16], [38, 1]], [[option] for option in (1, 4, 22, 24, 35, 36, 59, 62)], errno.EPERM),
        ("socketpair", [[1, 1], [1, 0x80801]], [[1, 2], [1, 5], [2, 1], [10, 1], [16, 3]], errno.EPERM),
        ("sendto", [[3, 99, 1, 0, 0]], [[3, 99, 1, 0, 99], [3, 99, 1, 0, 1 << 32]], errno.EPERM),
    ],
)
def test_arguments_decide(
    machine: str, forks: bool, name: str, allowed: list[list[int]], refused: list[list[int]], error: int
) -> None:
    code, number = code_of(forks, machine, 4711), numbers_of(machine)[name]
    assert {answer(code, machine, number, arguments) for arguments in allowed} == {"allow"}
    assert {answer(code, machine, number, arguments) for arguments in refused} == {error}


def test_a_machine_without_a_table_is_named() -> None:
    with pytest.raises(OSError, match="not for s390x"):
        seccomp.build_filter(True, "s390x")
