"""A seccomp filter made of `seccomp_policy.py`: built once, installed in each fresh fork by two system calls.

Calls of another architecture (32-bit, x32) kill the process. A call that is allowed whatever its arguments costs next
to nothing: since Linux 5.11 the kernel finds out which those are when a filter is installed, and does not run it for
them. It does so by trying every number, so the filter is a search tree: a list takes five times as long to install.
"""

import ctypes
import errno
import os
import struct

from acereason.sandbox import classic_bpf, kernel, seccomp_policy
from acereason.sandbox.syscall_numbers import numbers_of

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
"""Numbers from here on belong to x32; other architectures have none."""
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
"""Offsets in `struct seccomp_data`."""
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
"""Answers of a filter; to the last an error number is added."""
_SET_MODE_FILTER, _GET_ACTION_AVAILABLE = 1, 2
_SPEC_ALLOW = 4
"""Without it kernels before 5.16 switch off speculation for the program, which slows it down."""


class Filter:
    """A filter in memory, ready to be installed; made by `build_filter`.

    Attributes:
        code: its instructions.
        own_pid_at: offsets in the code where the process writes its own number.
        header: the kernel's `struct sock_fprog`.
        seccomp: number of the system call.
    """

    __slots__ = ("code", "header", "own_pid_at", "seccomp")

    def __init__(self, code: bytes, own_pid_at: tuple[int, ...], seccomp: int) -> None:
        self.code = ctypes.create_string_buffer(code, len(code))
        header = struct.pack("<HxxxxxxQ", len(code) // classic_bpf.SIZE, ctypes.addressof(self.code))
        self.header = ctypes.create_string_buffer(header, len(header))
        self.own_pid_at = own_pid_at
        self.seccomp = seccomp

    def write_own_pid(self) -> None:
        """Write the number of this process into the code."""
        for offset in self.own_pid_at:
            struct.pack_into("<I", self.code, offset, os.getpid())


def available() -> bool:
    """Return whether this kernel has seccomp filters and there is a table for this machine."""
    number = numbers_of(kernel.MACHINE).get("seccomp")
    if number is None:
        return False
    try:
        kernel.syscall(number, _GET_ACTION_AVAILABLE, 0, (ctypes.c_uint32 * 1)(_KILL))
    except OSError:
        return False
    return True


def build_filter(forks: bool, machine: str = kernel.MACHINE) -> Filter:
    """Build a filter: once, in the process that forks.

    Args:
        forks: whether the program may start processes, execute files and signal the processes it sees: only in its own
            PID namespace.
        machine: architecture, as `kernel.MACHINE`.

    Raises:
        OSError: ENOSYS when there is no table for the machine.
    """
    numbers = numbers_of(machine)
    if not numbers:
        raise OSError(errno.ENOSYS, f"seccomp filters are made for x86_64 and aarch64, not for {machine or 'this'}")
    answers, rules = _answers(numbers, forks)
    out = classic_bpf.Assembler()
    out.add(classic_bpf.LOAD, _ARCH_AT)
    out.add(classic_bpf.IF_EQUAL, _AUDIT_ARCH[machine], no="KILL")
    out.add(classic_bpf.LOAD, _NUMBER_AT)
    _add_search(out, _ranges(answers))
    for (rule, error), label in rules.items():
        _add_rule(out, label, rule, error)
    for label in dict.fromkeys(("KILL", *answers.values(), *(str(error) for _, error in rules))):
        if label not in rules.values():
            out.mark(label)
            out.add(classic_bpf.RETURN, {"ALLOW": _ALLOW, "KILL": _KILL}.get(label) or _FAIL | int(label))
    return Filter(out.packed(), out.operands(seccomp_policy.OWN_PID), numbers["seccomp"])


def install(program: Filter) -> None:
    """Put this thread and all it starts under a filter, for good; executing a file gives it no more privileges either.

    Raises:
        OSError: the kernel refused.
    """
    if program.own_pid_at:
        program.write_own_pid()
    if kernel.raw_prctl(kernel.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or kernel.raw_syscall(
        program.seccomp, _SET_MODE_FILTER, _SPEC_ALLOW, program.header
    ):
        raise kernel.error()


def _answers(numbers: dict[str, int], forks: bool) -> tuple[dict[int, str], dict[tuple[seccomp_policy.Rule, int], str]]:
    """Return labels of the answers to numbers ("ALLOW", an error number, "name()" for a rule), and of the rules."""
    policy = seccomp_policy
    by_name = dict.fromkeys(numbers, str(errno.EPERM))
    for error, names in policy.REFUSED_OTHERWISE.items():
        by_name |= dict.fromkeys(names.split(), str(error))
    by_name |= dict.fromkeys(policy.ALLOWED.split(), "ALLOW")
    if forks:
        by_name |= dict.fromkeys(policy.ALLOWED_WITH_FORKS.split(), "ALLOW")
    else:
        by_name |= dict.fromkeys(policy.WITHOUT_EFFECT_WITHOUT_FORKS.split(), "0")
    labels: dict[tuple[policy.Rule, int], str] = {}
    for name, rule in (policy.RULES | (policy.RULES_WITH_FORKS if forks else policy.RULES_WITHOUT_FORKS)).items():
        by_name[name] = labels.setdefault((rule, policy.RULE_ERRORS.get(name, errno.EPERM)), name + "()")
    return {number: by_name[name] for name, number in numbers.items()}, labels


def _ranges(answers: dict[int, str]) -> list[tuple[int, str]]:
    """Return where runs of equal answers begin, ascending from 0; a number without a name is no call."""
    ranges: list[tuple[int, str]] = []
    for number in range(max(answers) + 2):
        answer = answers.get(number, str(errno.ENOSYS))
        if not ranges or answer != ranges[-1][1]:
            ranges.append((number, answer))
    return [*ranges, (_X32, "KILL")]


def _add_search(out: classic_bpf.Assembler, ranges: list[tuple[int, str]]) -> None:
    """Add a binary search for the range that holds the number."""
    if len(ranges) > 1:
        middle = len(ranges) // 2
        below, above = ranges[:middle], ranges[middle:]
        out.mark(_search_label(ranges))
        out.add(classic_bpf.IF_AT_LEAST, above[0][0], _search_label(above), _search_label(below))
        _add_search(out, below)
        _add_search(out, above)


def _search_label(ranges: list[tuple[int, str]]) -> str:
    return ranges[0][1] if len(ranges) == 1 else f"search {ranges[0][0]} and {len(ranges) - 1} more"


def _add_rule(out: classic_bpf.Assembler, label: str, rule: seccomp_policy.Rule, error: int) -> None:
    """Add the code that allows a call if its arguments meet all conditions."""
    for count, (half, mask, values) in enumerate(rule, 1):
        met = "ALLOW" if count == len(rule) else f"{label} {count}"
        if count == 1:
            out.mark(label)
        out.add(classic_bpf.LOAD, _ARGUMENTS_AT + 4 * half)
        if mask != seccomp_policy.WHOLE:
            out.add(classic_bpf.AND, mask)
        for value in values[:-1]:
            out.add(classic_bpf.IF_EQUAL, value, met)
        out.add(classic_bpf.IF_EQUAL, values[-1], met, str(error))
        if met != "ALLOW":
            out.mark(met)
