"""The system calls that Python's `os` lacks, as thin as they can be: each returns a number or raises `OSError`.

Nothing here allocates much or imports anything, so that a freshly forked process can call it cheaply.
"""

from __future__ import annotations

import ctypes
import os
import sys

MACHINE = os.uname().machine if sys.maxsize > 2**32 and sys.byteorder == "little" else ""
"""The kernel's name of the architecture, such as "x86_64"; empty unless the interpreter is 64-bit, little-endian."""

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38

_CAPABILITY_VERSION_3 = 0x20080522

# Each page that a freshly forked process writes to, if only to count a reference, costs it a page fault of 1.5 us. So
# functions are looked up once, and have no argument types, which would make objects of numbers.
_libc = ctypes.CDLL(None, use_errno=True)
raw_syscall, raw_prctl, _capset = _libc.syscall, _libc.prctl, _libc.capset
"""C functions without a Python function around them: they return -1 for a failure, which `error()` then names."""
raw_syscall.restype = ctypes.c_long
_CAPABILITY_HEADER = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
_NO_CAPABILITIES = (ctypes.c_uint32 * 6)()
_libc.mount.argtypes = (*(ctypes.c_char_p,) * 3, ctypes.c_ulong, ctypes.c_char_p)


def syscall(number: int, *arguments: int | ctypes.Array) -> int:
    """Make a system call by its number, with all its arguments: numbers below 2^31, and arrays for their address."""
    return _checked(raw_syscall(number, *arguments))


def prctl(option: int, argument: int = 0) -> int:
    """Call `prctl(2)` with one argument."""
    return _checked(raw_prctl(option, argument, 0, 0, 0))


def unshare(flags: int) -> None:
    """Leave the namespaces named by `CLONE_NEW…` for new ones."""
    _checked(_libc.unshare(flags))


def mount(source: str | None, target: str, filesystem: str | None, flags: int = 0, options: str | None = None) -> None:
    """Call `mount(2)`; None for what the operation does not use."""
    kind, text = (None if value is None else value.encode() for value in (filesystem, options))
    _checked(_libc.mount(source and os.fsencode(source), os.fsencode(target), kind, flags, text), target)


def umount(target: str, flags: int = 0) -> None:
    """Call `umount2(2)`."""
    _checked(_libc.umount2(os.fsencode(target), flags), target)


def pivot_root(new_root: str, put_old: str) -> None:
    """Make one mount the root folder and put the old root below another; both may be "."."""
    _checked(_libc.pivot_root(os.fsencode(new_root), os.fsencode(put_old)), new_root)


def capset(effective: int = 0, permitted: int = 0, inheritable: int = 0) -> None:
    """Set this thread's capabilities, each a mask of `1 << CAP_…`; without arguments it keeps none."""
    masks = (effective, permitted, inheritable)
    data = (ctypes.c_uint32 * 6)(*(mask & 0xFFFFFFFF for mask in masks), *(mask >> 32 for mask in masks))
    _checked(_capset(_CAPABILITY_HEADER, data))


def drop_capabilities() -> None:
    """Take all capabilities from this thread without making new objects: for freshly forked processes."""
    _checked(_capset(_CAPABILITY_HEADER, _NO_CAPABILITIES))


def close_range(first: int, last: int = 0x7FFFFFFF) -> None:
    """Close the descriptors from `first` to `last`, both included, where they are open."""
    syscall(436, first, last, 0)


def no_new_privileges() -> None:
    """Forbid this thread, and all it starts, ever to gain privileges by executing a file."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def error(path: str | None = None) -> OSError:
    """Return why the last call failed."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), path)


def _checked(result: int, path: str | None = None) -> int:
    if result == -1:
        raise error(path)
    return result
