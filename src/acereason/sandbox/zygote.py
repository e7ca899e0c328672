"""The forking parent of programs: a clean, warm interpreter behind every layer of isolation the machine allows.

Started as a script by `zone.py`, it becomes two processes. The *keeper* makes the namespaces and waits; its child, the
*zygote*, is the first process in them, imports what programs expect, and forks one process a program. The zygote never
runs what a model wrote, and no expected output ever reaches it. When it ends, the kernel ends all that it forked.

The control socket brings `RUN`, with the files that the program is to have open; the answer is `ENDED`, once the
program and all it started are gone. `KILL` ends a program at once. The job, which says what to run, is shared memory.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.abspath(__file__).rsplit("/", 3)[0])

import _socket
import array
import contextlib
import fcntl
import json
import resource
import select
import signal
import struct
from typing import Any, NoReturn

from acereason.sandbox import filesystem, kernel, landlock, leftovers, prelude, program, seccomp

JOB, CONTROL = 3, 4
"""File descriptors that it is started with."""
RUN = struct.Struct("<cq")
"""`R` and seconds of processor time; the program's socket to the parent, its input and its output come along."""
_DESCRIPTORS = 3
KILL = b"K"
ENDED = struct.Struct("<cidq")
"""`E`, wait status, CPU seconds, peak memory in bytes."""
READY = b"Y"
FIRST_ID, PROGRAM_ID = 2_000_000_000, 1000
"""User of the zygote where it starts as root, and of programs beside it: PROGRAM_ID, as the user namespace counts."""
THREAD_STACK = 16 * 2**20
_PR_SET_CHILD_SUBREAPER = 36
DESCRIPTORS = 256
"""Most files that a program may have open."""


def main() -> NoReturn:
    """Become the keeper, which starts the zygote; never returns."""
    settings: dict[str, Any] = json.loads(sys.argv[1])
    _renumber(settings["descriptors"], (JOB, CONTROL))
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != settings["parent"]:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an init is deaf to signals it has no handler for
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where memory runs out, programs go first, and not the training
    sys.path += settings["roots"]
    prelude.import_modules(settings["preload"])
    try:
        _run_keeper(settings)
    except (OSError, ValueError) as error:
        _report_refusal(error)
    os._exit(1)


def _renumber(descriptors: list[int], numbers: tuple[int, ...]) -> None:
    """Give the descriptors that this process was started with their numbers, and close all others."""
    copies = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, max(numbers) + 1) for descriptor in descriptors]
    for copy, number in zip(copies, numbers, strict=True):
        os.dup2(copy, number)
    kernel.close_range(max(numbers) + 1)


def _report_refusal(error: Exception) -> None:
    """Tell the parent why there is no zone here."""
    control = _socket.socket(fileno=CONTROL)
    control.send(b"N" + str(error).encode())
    control.detach()


def _run_keeper(settings: dict[str, Any]) -> None:
    """Make the namespaces, start the zygote in them, and end with it."""
    paths = filesystem.library_paths(settings["packages"])
    proc = os.open("/proc", os.O_PATH | os.O_CLOEXEC)  # the zygote's new root will be the root of this process too
    mode, spaces = settings["mode"], settings["namespaces"]
    if mode == "user":
        user, group = os.getuid(), os.getgid()
        kernel.unshare(kernel.CLONE_NEWUSER)
        _write(proc, "self/setgroups", "deny")
        _write_maps(proc, "self", f"{user} {user} 1", f"{group} {group} 1")
    kernel.unshare(spaces)
    asks, answers = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        try:
            for end in (proc, asks[0], answers[1]):
                os.close(end)
            _become_zygote(settings, paths, asks[1], answers[0])
        except (OSError, ValueError) as error:
            _report_refusal(error)
        os._exit(1)
    os.close(asks[1])
    if mode == "root" and settings["user_namespace"] and os.read(asks[0], 1):
        ids = f"0 {FIRST_ID} 1\n{PROGRAM_ID} {FIRST_ID + PROGRAM_ID} 1"
        _write_maps(proc, str(pid), ids, ids)
        os.write(answers[1], b"m")
    kernel.close_range(JOB)
    kernel.drop_capabilities()
    if mode == "none":  # the kernel ends no namespace here: a program of a zygote that was killed is the keeper's
        kernel.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    os.waitpid(pid, 0)
    _end_children()
    os._exit(0)


def _lower_limit(kind: int, limit: int) -> None:
    """Lower a limit, soft and hard, unless it is lower already."""
    _, hard = resource.getrlimit(kind)
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (limit, limit))


def _write_maps(proc: int, process: str, users: str, groups: str) -> None:
    _write(proc, f"{process}/uid_map", users)
    _write(proc, f"{process}/gid_map", groups)


def _write(folder: int, path: str, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    os.write(file, text.encode())
    os.close(file)


def _become_zygote(settings: dict[str, Any], paths: list[str], asks: int, answers: int) -> NoReturn:
    """Enter the empty file system, give up the rights that are not needed, and serve."""
    mode = settings["mode"]
    scratch: filesystem.ScratchFolder | None = None
    if mode != "none":
        filesystem.build_root(paths)
        if mode == "root" and settings["user_namespace"]:
            kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
            os.write(asks, b"u")
            if not os.read(answers, 1):
                os._exit(1)
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # new credentials cleared it
        scratch = filesystem.ScratchFolder(filesystem.working_folder(paths), settings["tmp_mib"])
    if mode == "root":
        os.setgroups([])
    kernel.no_new_privileges()
    os.close(asks)
    os.close(answers)
    Zygote(settings, paths, scratch).serve()


class Zygote:
    """The process that forks programs, one at a time."""

    def __init__(self, settings: dict[str, Any], paths: list[str], scratch: filesystem.ScratchFolder | None) -> None:
        import gc
        import threading

        self.settings, self.scratch, self.process = settings, scratch, os.getpid()
        self.namespaced = settings["mode"] != "none"
        self.folder = scratch.folder if scratch else settings["folder"]
        os.environ["HOME"] = self.folder
        os.chdir(self.folder)
        if not self.namespaced:
            kernel.prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self.readable = ["/"] if self.namespaced else filesystem.readable_paths(paths)
        self.ruleset = self._make_ruleset() if settings["landlock"] else -1
        self.filter = seccomp.build_filter(forks=self.namespaced) if settings["seccomp"] else None
        self.control = _socket.socket(fileno=CONTROL)
        prelude.add_names()
        threading.stack_size(THREAD_STACK)
        for name in [name for name in sys.modules if name.startswith("acereason")]:
            del sys.modules[name]  # programs find the standard library and nothing of ours
        sys.path[:] = [path for path in sys.path if path.startswith(paths[0])] + settings["roots"]
        for name, limit in settings["limits"].items():
            _lower_limit(getattr(resource, f"RLIMIT_{name}"), limit)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        gc.collect()
        gc.freeze()  # so that no fork's collector touches the memory that all of them share

    def _make_ruleset(self) -> int:
        return landlock.make_ruleset(self.readable, [self.folder, "/dev/null"])

    def serve(self) -> NoReturn:
        """Run programs until the parent is gone."""
        self.control.send(READY)
        while True:
            message, descriptors = self._receive()
            if not message:
                os._exit(0)
            if len(descriptors) != _DESCRIPTORS:
                continue  # a kill that came too late
            _, cpu_seconds = RUN.unpack(message)
            self.control.send(self._run(cpu_seconds, *descriptors))

    def _receive(self) -> tuple[bytes, array.array[int]]:
        message, ancillary, _, _ = self.control.recvmsg(64, _socket.CMSG_SPACE(4 * _DESCRIPTORS))
        descriptors = array.array("i")
        for level, kind, data in ancillary:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                descriptors.frombytes(data)
        return message, descriptors

    def _run(self, cpu_seconds: int, channel: int, stdin: int, stdout: int) -> bytes:
        pid = os.fork()
        if pid == 0:
            status = program.UNCONFINED
            try:
                self._confine(cpu_seconds, channel, stdin, stdout)
                status = program.main(program.read_job())
            finally:
                os._exit(status)
        for descriptor in (channel, stdin, stdout):
            os.close(descriptor)
        self._wait_for_end(pid)
        _, status, usage = os.wait4(pid, 0)
        memory = max(usage.ru_maxrss, _end_namespace() if self.namespaced else _end_children())
        if self.scratch:
            if self.scratch.renew() and self.ruleset >= 0:
                os.close(self.ruleset)
                self.ruleset = self._make_ruleset()
        elif os.listdir(self.folder):
            leftovers.empty(self.folder)
        return ENDED.pack(b"E", status, usage.ru_utime + usage.ru_stime, memory * 1024)

    def _wait_for_end(self, pid: int) -> None:
        """Wait for the program's end, or for the order to kill it."""
        handle = os.pidfd_open(pid)
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        waiting.register(CONTROL, select.POLLIN)
        ready = dict(waiting.poll())
        if handle not in ready:
            self.control.recv(64)  # a kill, or the end of the parent
            os.kill(pid, signal.SIGKILL)
        os.close(handle)

    def _confine(self, cpu_seconds: int, channel: int, stdin: int, stdout: int) -> None:
        """Give the fork its own descriptors, limits and rights, before it reads anything of the program's."""
        settings = self.settings
        if self.ruleset >= 0:
            landlock.restrict(self.ruleset)
        os.dup2(stdin, 0)
        os.dup2(stdout, 1)
        os.dup2(channel, program.CHANNEL)  # out of reach of programs that close every descriptor they may have open
        os.closerange(JOB + 1, program.CHANNEL)
        os.setsid()
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
        if settings["mode"] == "root":
            user = settings["user"]
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        kernel.drop_capabilities()
        if not self.namespaced:  # the kernel ends a PID namespace with its first process, this one's parent
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != self.process:
                os._exit(program.UNCONFINED)
        if self.filter:
            seccomp.install(self.filter)


def _end_namespace() -> int:
    """End everything in this PID namespace but its first process, this one: one signal to all, and none escapes.

    Returns:
        The most resident memory that one of them had, in KiB.
    """
    memory = 0
    with contextlib.suppress(ProcessLookupError):  # nobody is left
        while True:
            os.kill(-1, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while True:
                    memory = max(memory, os.wait4(-1, 0)[2].ru_maxrss)
    return memory


def _end_children() -> int:
    """Do as `_end_namespace` where there is none: a process that loses its parent becomes a child of this one."""
    memory = 0
    while children := _children():
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            memory = max(memory, os.wait4(pid, 0)[2].ru_maxrss)
    return memory


def _children() -> list[int]:
    with contextlib.suppress(OSError), open("/proc/thread-self/children") as file:
        return [int(pid) for pid in file.read().split()]
    return []


if __name__ == "__main__":
    main()
