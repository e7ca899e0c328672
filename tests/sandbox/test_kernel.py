import errno
import os

import pytest
from confined import run

from acereason.sandbox import kernel


def test_failures_are_errors_with_their_number_and_path() -> None:
    with pytest.raises(OSError) as no_such_call:
        kernel.syscall(100_000)
    with pytest.raises(OSError) as bad_option:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, 1000)
    with pytest.raises(OSError, match="/nowhere") as no_mount:
        kernel.umount("/nowhere")
    assert (no_such_call.value.errno, bad_option.value.errno) == (errno.ENOSYS, errno.EINVAL)
    assert no_mount.value.errno in (errno.EPERM, errno.ENOENT)


def test_descriptors_from_one_on_are_closed() -> None:
    source = """
for number in (50, 51, 90): os.dup2(1, number)
kernel.close_range(51)
print(refusal(os.fstat, 50), refusal(os.fstat, 51), refusal(os.fstat, 90))
"""
    assert run(source).split() == ["allowed", "EBADF", "EBADF"]


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_capabilities_are_dropped_or_chosen() -> None:
    source = """
def effective(): return int(open("/proc/self/status").read().split("CapEff:")[1].split()[0], 16)
kernel.capset(1 << 40 | 1 << 7, 1 << 40 | 1 << 7)
print(effective() == 1 << 40 | 1 << 7)
kernel.drop_capabilities()
print(effective(), refusal(os.setuid, 65534))
"""
    assert run(source).split() == ["True", "0", "EPERM"]


def test_importing_it_all_is_cheap() -> None:
    source = """
import subprocess, sys
code = '''
import sys
before = set(sys.modules)
from acereason.sandbox import kernel, landlock, seccomp
print(*(name for name in sys.modules if name not in before and not name.startswith("acereason")))
'''
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
"""
    cheap = "__future__ _ctypes _struct ctypes ctypes._endian errno struct types"
    assert set(run(source).split()) <= set(cheap.split())
