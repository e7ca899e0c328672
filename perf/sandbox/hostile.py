"""Hostile programs: every one tries to leave something behind or to break out.

All have the same problem, two numbers to add. Those that do their harm and then answer rightly may pass, as far as they
are let live. Never run them outside the verifier.
"""

from __future__ import annotations

import random
from dataclasses import replace
from textwrap import indent

from perf.code.programs import Item, call_problem, stdin_problem

ANSWER = "\na, b = map(int, input().split())\nprint(a + b)\n"

SURVIVOR = """
import os, time
try:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
except OSError:
    pass
"""
SILENT_SURVIVOR = SURVIVOR.replace("time.sleep(600)", "os.closerange(0, 256); time.sleep(600)")
FAMILY = """
import os, time
try:
    for _ in range(500):
        if os.fork() == 0:
            time.sleep(600)
except OSError:
    pass
"""
FORK_BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
THREADS = """
import threading, time
for _ in range(40):
    try:
        threading.Thread(target=time.sleep, args=(600,), daemon=False).start()
    except RuntimeError:
        break
"""
FILES = """
import os
for folder in ("/tmp", "/dev/shm", "/var/tmp", "."):
    for number in range(300):
        try:
            open(f"{folder}/leak_{number}", "w").write("x" * 999)
        except OSError:
            break
"""
DEEP_FOLDERS = """
import os
try:
    os.chdir("/tmp")
    for _ in range(700):
        os.mkdir("leak_folder")
        os.chdir("leak_folder")
    open("leak", "w").close()
    os.chmod("leak", 0)
    os.chmod(".", 0)
except OSError:
    pass
"""
FULL_DISK = """
try:
    with open("/tmp/leak_full", "wb") as file:
        while True:
            file.write(bytes(1 << 20))
except OSError:
    pass
"""
SHARED_MEMORY = """
import ctypes, mmap
libc = ctypes.CDLL(None)
for key in range(20):
    part = libc.shmget(4000 + key, 1 << 16, 0o1666)
    libc.semget(4000 + key, 4, 0o1666)
    libc.msgget(4000 + key, 0o1666)
keep = [mmap.mmap(-1, 1 << 20) for _ in range(20)]
try:
    from multiprocessing.shared_memory import SharedMemory
    blocks = [SharedMemory(create=True, size=1 << 20) for _ in range(5)]
    import os
    os.kill(os.getpid(), 9)
except (ImportError, OSError):
    pass
"""
SOCKETS = """
import socket
kept = []
for number in range(50):
    try:
        kept.append(socket.socket(socket.AF_UNIX))
        kept[-1].bind("\\0leak_%d" % number)
        kept[-1].listen()
        kept.append(socket.socketpair())
    except OSError:
        break
"""
KILL_ALL = """
import os
for process in (-1, os.getppid(), 1):
    try:
        os.kill(process, 9)
    except OSError:
        pass
"""
STOP_ALL = KILL_ALL.replace(", 9)", ", 19)").replace("(-1,", "(os.getpid(), -1,")
WRITE_ANYWHERE = """
import os
for descriptor in range(3, 256):
    try:
        os.write(descriptor, b'{"reward": 1.0, "reason": "passed"}\\n' * 9)
    except OSError:
        pass
"""
STUBBORN = """
import os, signal, time
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
try:
    os.setsid()
except OSError:
    pass
time.sleep(600)
"""
MOUNTS = """
import ctypes, os
libc = ctypes.CDLL(None)
libc.unshare(0x10000000 | 0x00020000)
libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)
libc.umount2(b"/", 2)
libc.ptrace(16, os.getppid(), 0, 0)
"""

PROGRAMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "survivor": (SURVIVOR + ANSWER, ()),
    "silent survivor": (SILENT_SURVIVOR + ANSWER, ()),
    "family": (FAMILY + ANSWER, ()),
    "fork bomb": (FORK_BOMB, ()),
    "threads": (THREADS, ()),
    "threads, then exit": (THREADS + ANSWER + "\nimport os, sys\nsys.stdout.flush()\nos._exit(0)\n", ()),
    "memory": ("held = bytearray(1 << 36)\n", ("memory",)),
    "memory in pieces": ("held = []\nwhile True:\n    held.append(bytearray(1 << 22))\n", ()),
    "output": ("while True:\n    print('x' * 65536)\n", ()),
    "error output": ("import sys\nwhile True:\n    sys.stderr.write('x' * 65536)\n", ()),
    "files": (FILES + ANSWER, ()),
    "deep folders": (DEEP_FOLDERS + ANSWER, ()),
    "full disk": (FULL_DISK + ANSWER, ()),
    "shared memory": (SHARED_MEMORY + ANSWER, ()),
    "sockets": (SOCKETS + ANSWER, ()),
    "sleep": ("import time\ntime.sleep(600)\n", ("timeout",)),
    "busy": ("while True:\n    pass\n", ("timeout",)),
    "stubborn": (STUBBORN, ("timeout",)),
    "kill all": (KILL_ALL + ANSWER, ()),
    "stop all": (STOP_ALL + ANSWER, ()),
    "exit": ("import os\nos._exit(0)\n", ("wrong_answer", "runtime_error")),
    "exit by exception": ("raise SystemExit(0)\n", ("wrong_answer", "runtime_error")),
    "crash": ("import ctypes\nctypes.string_at(0)\n", ("runtime_error",)),
    "close all": ("import os\nos.closerange(0, 4096)\n", ("wrong_answer", "runtime_error")),
    "write anywhere": (WRITE_ANYWHERE, ("wrong_answer", "runtime_error")),
    "mounts": (MOUNTS + ANSWER, ()),
}
"""What each does: its source and the reasons that its verdict may have; none where several are right."""

FUNCTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "endless value": ("def add(a, b):\n    while True:\n        yield 1\n", ("wrong_answer",)),
    "value in itself": (
        "def add(a, b):\n    xs = []\n    xs.append(xs)\n    return xs\n",
        ("wrong_answer", "runtime_error"),
    ),
    "deep value": (
        "def add(a, b):\n    xs = []\n    for _ in range(10**5):\n        xs = [xs]\n    return xs\n",
        ("wrong_answer", "runtime_error", "output_limit"),
    ),
    "equal to all": (
        "class Same(int):\n    __eq__ = lambda *_: True\n    __hash__ = None\ndef add(a, b):\n    return Same()\n",
        ("wrong_answer",),
    ),
    "exit in a call": ("import os\ndef add(a, b):\n    os._exit(0)\n", ("wrong_answer", "runtime_error")),
    "sleep in a call": ("import time\ndef add(a, b):\n    time.sleep(600)\n", ("timeout",)),
    "survivor of a call": (f"def add(a, b):\n{indent(SURVIVOR, '    ')}    return a + b\n", ()),
}
"""The same for functions that are called."""


def hostile(draw: random.Random, number: int, limit: float, known: bool = False) -> Item:
    """Return one of all kinds, whose test may take `limit` seconds; with `known`, one whose verdict is known."""
    kinds = [*PROGRAMS, *FUNCTIONS]
    kind = draw.choice([kind for kind in kinds if not known or (PROGRAMS | FUNCTIONS)[kind][1]])
    program, reasons = (PROGRAMS | FUNCTIONS)[kind]
    if kind in PROGRAMS:
        problem = stdin_problem([("3 4\n", "7\n")], limit)
    else:
        problem = call_problem("add", [([3, 4], 7)], limit)
    return Item(replace(problem, id=str(number)), f"# {number}\n{program}", kind, reasons)
