"""Landlock: a process gives up all files but those it names, TCP, and signals to processes outside.

A ruleset is made once (`make_ruleset`) and put on each freshly forked process (`restrict`), by three system calls that
need no privileges. What is open already stays usable. A seccomp filter forbids these calls, so it comes after.
"""

import ctypes
import os
import stat
import struct

from acereason.sandbox import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Numbers of the calls, the same on every architecture."""
_GET_ABI = 1
_PATH_BENEATH = 1
_NO_LOG = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG, _MAKE_SYM = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 12
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_HANDLED = (0, 0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF)
"""Rights over files that each ABI knows: 13 at first, then REFER, TRUNCATE and IOCTL_DEV, which is never given."""
_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SYM | _REFER
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
"""The rights that a rule may give on something other than a folder."""
_TCP_BIND_AND_CONNECT = 3
_SIGNALS_AND_ABSTRACT_SOCKETS = 3


def abi() -> int:
    """Return the version of Landlock that this kernel has switched on; 0 for none."""
    try:
        return kernel.syscall(_CREATE_RULESET, 0, 0, _GET_ABI)
    except OSError:
        return 0


_RESTRICT_FLAGS = _NO_LOG if abi() >= 7 else 0
"""Keeps refusals out of the machine's audit log: a program can cause millions of them."""


def make_ruleset(readable: list[str], writable: list[str], executable: list[str] | None = None) -> int:
    """Make a ruleset that allows what it names and nothing else, and return its file descriptor.

    From ABI 4 on it forbids TCP as well, from ABI 6 on signals and abstract Unix sockets to processes outside.

    Args:
        readable: files, and folders with all that is below them.
        writable: where a program may also write, make files, folders and symbolic links, move and delete them.
        executable: what it may execute; to map shared libraries, reading is enough.

    Raises:
        OSError: a path cannot be opened; ENOSYS or EOPNOTSUPP where `abi()` is 0.
    """
    version = abi()
    handled = _HANDLED[min(version, len(_HANDLED) - 1)]
    tcp = _TCP_BIND_AND_CONNECT if version >= 4 else 0
    scoped = _SIGNALS_AND_ABSTRACT_SOCKETS if version >= 6 else 0
    # Older kernels take the larger structure as long as what they do not know is zero.
    attributes = ctypes.create_string_buffer(struct.pack("<QQQ", handled, tcp, scoped), 24)
    ruleset = kernel.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for paths, rights in ((readable, _READ), (writable, _WRITE), (executable or [], _EXECUTE)):
            for path in paths:
                _allow(ruleset, path, rights & handled)
    except OSError:
        os.close(ruleset)
        raise
    return ruleset


def restrict(ruleset: int) -> None:
    """Put this thread and all it starts under a ruleset, for good, and close the descriptor.

    Raises:
        OSError: the kernel refused.
    """
    if kernel.raw_prctl(kernel.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or kernel.raw_syscall(
        _RESTRICT_SELF, ruleset, _RESTRICT_FLAGS
    ):
        raise kernel.error()
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(folder).st_mode):
            rights &= _OF_FILES
        rule = ctypes.create_string_buffer(struct.pack("<Qi", rights, folder), 12)
        kernel.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
    finally:
        os.close(folder)
