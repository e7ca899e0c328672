"""Programs that try to get out of the sandbox, for `acereason sandbox`: each prints `held`, or what it reached."""

from __future__ import annotations

_TRY = """
import ctypes, os, socket, sys, tempfile, threading
found = []
def attempt(what, action):
    try:
        result = action()
    except BaseException:
        return
    if result is not None and result is not False:
        found.append(f"{what}: {str(result)[:60]}")
def write(path):
    with open(path, "w") as file:
        file.write("x")
    os.unlink(path)
    return "written"
"""
_TELL = """
print("; ".join(found) or "held")
"""


def _program(attempts: str) -> str:
    return _TRY + attempts + _TELL


PROGRAMS = {
    "reading the machine's files": _program(
        'for path in ("/etc/passwd", "/etc/hostname", "/bin/sh", "/usr/bin/env", "/proc/1/environ", FILE):\n'
        '    attempt(path, lambda: open(path, "rb").read(1) and "read")\n'
        'for path in ("/etc", "/var", "/sys", "/dev/shm"):\n'
        "    attempt(path, lambda: os.listdir(path) or None)\n"
    ),
    "writing outside its folder": _program(
        'for folder in ("/", "/etc", "/var/tmp", "/dev/shm", "/usr", os.path.dirname(os.__file__), "/home", "/root"):\n'
        '    attempt(folder, lambda: write(folder + "/acereason_probe"))\n'
    ),
    "the network": _program(
        'attempt("TCP", lambda: socket.create_connection(("127.0.0.1", PORT), 1) and "connected")\n'
        'attempt("UDP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", PORT)))\n'
    ),
    "other processes": _program(
        "def others():\n"
        "    mine = os.getpid(), os.getppid()\n"
        "    for pid in range(1, 40000):\n"
        "        if pid in mine: continue\n"
        "        try: os.kill(pid, 0)\n"
        "        except PermissionError as error:\n"
        "            if FORKS: return pid\n"
        "            return None\n"
        "        except OSError: continue\n"
        "        return pid\n"
        'attempt("signal", others)\n'
        'attempt("ptrace", lambda: ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0)\n'
    ),
    "starting processes without end": _program(
        "def bomb():\n"
        "    for count in range(LIMIT + 8):\n"
        "        if os.fork() == 0:\n"
        "            import time; time.sleep(60); os._exit(0)\n"
        "    return count\n"
        'attempt("forks", bomb)\n'
    ),
    "gaining rights": _program(
        'attempt("uid 0", lambda: os.setuid(0) or os.getuid() == 0)\n'
        'attempt("mount", lambda: ctypes.CDLL(None).mount(b"x", b"/tmp", b"tmpfs", 0, None) == 0)\n'
        'attempt("namespace", lambda: ctypes.CDLL(None).unshare(0x10000000) == 0)\n'
        'attempt("chroot", lambda: os.chroot("/tmp") or "done")\n'
    ),
    "memory beyond its limit": _program('attempt("memory", lambda: len(bytearray((MIB + 1100) * 2**20)))\n'),
    "the environment of this process": _program(
        'attempt("variables", lambda: sorted(set(os.environ) - {"PATH", "HOME", "LANG", "PYTHONHASHSEED", '
        '"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LC_CTYPE"}) or None)\n'
    ),
}
"""Programs by what they try. FILE, PORT, LIMIT, MIB and FORKS are replaced by values."""
