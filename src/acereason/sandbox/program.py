"""What runs in a fork of the zygote: the program, its calls, or a problem's own tests.

Everything here shares its process with what a model wrote, so nothing here is believed: the parent compares what comes
back. The exit status only tells apart why a program failed.
"""

from __future__ import annotations

import _thread
import atexit
import builtins
import contextlib
import io
import json
import marshal
import os
import resource
import struct
import sys
from types import CodeType, ModuleType
from typing import Any

from acereason.sandbox import wire

JOB = 3
"""File descriptor of the job, closed before the program begins."""
CHANNEL = 1000
"""File descriptor of the socket to the parent, for messages."""
JOB_HEADER = struct.Struct("<qq")
"""Before a job: its size in bytes, then that of the compiled code behind it, 0 until a first fork has compiled it."""
READY, SPENT = b"r", b"s"
"""Messages after a run of the program: whether the process can take another."""
SPENT_KIB = 1 << 18
"""A process that once had so much memory makes way for a fresh one."""
RECURSION_LIMIT = 50_000
"""The limit that LiveCodeBench sets."""
UNCONFINED, EXCEPTION, SYNTAX, MEMORY, NO_FUNCTION = 100, 101, 102, 103, 104
"""Exit statuses."""
MESSAGE_HEADER = struct.Struct("<I")
"""Before each message on the channel: its size in bytes."""


def job(mode: str, code: str, prelude: str = "", entry: str | None = None, iterators: bool = False) -> dict[str, Any]:
    """Return a job for a zone, which `main` then runs.

    Args:
        mode: `stdin`, `call` or `examine`.
        code: the program, or the tests of an examiner.
        prelude: code that runs before it.
        entry: name of the function that tests call.
        iterators: whether to run iterators that the function returns.
    """
    code = code.removeprefix("\ufeff")  # a byte order mark
    return {"mode": mode, "code": code, "prelude": prelude, "entry": entry, "iterators": iterators}


def main(job: dict[str, Any]) -> int:
    """Run a job in this process and return the exit status."""
    try:
        compiled = _compiled(job)
    except MemoryError:
        return MEMORY
    except Exception:  # the compiler may raise anything: recorded by the exit status
        return SYNTAX
    os.close(JOB)
    try:
        if job["mode"] == "stdin":
            return _serve_runs(compiled, job)
        module = fresh_module("solution" if job["mode"] == "call" else "__main__")
        return _serve_calls(compiled, job, module) if job["mode"] == "call" else _examine(compiled, job, module)
    except MemoryError:
        return MEMORY
    except BaseException:
        return EXCEPTION


def read_job() -> dict[str, Any]:
    """Return the job, without moving the file offset that all forks share."""
    size, compiled_size = JOB_HEADER.unpack(os.pread(JOB, JOB_HEADER.size, 0))
    job: dict[str, Any] = marshal.loads(_pread(size, JOB_HEADER.size))
    job["size"] = size
    job["compiled"] = _pread(compiled_size, JOB_HEADER.size + size) if compiled_size else b""
    return job


def _pread(size: int, offset: int) -> bytes:
    parts = []
    while size:
        part = os.pread(JOB, size, offset)
        if not part:
            raise EOFError("the job is cut short")
        parts.append(part)
        size, offset = size - len(part), offset + len(part)
    return b"".join(parts)


def _compiled(job: dict[str, Any]) -> CodeType:
    """Return the compiled program; the first fork compiles it and leaves it behind the job for all other tests."""
    if job["compiled"]:
        compiled: CodeType = marshal.loads(job["compiled"])
        return compiled
    compiled = compile(job["code"], "program.py", "exec", dont_inherit=True)
    marshalled = marshal.dumps(compiled)
    os.pwrite(JOB, marshalled, JOB_HEADER.size + job["size"])
    os.pwrite(JOB, JOB_HEADER.pack(job["size"], len(marshalled)), 0)
    return compiled


def fresh_module(name: str) -> ModuleType:
    """Return the module that code runs as: not `__main__` where functions are called, so that a main guard is false."""
    module = ModuleType(name)
    module.__dict__["__builtins__"] = builtins
    sys.modules[name] = module
    sys.argv = ["program.py"]
    return module


# Standard input and output


def _serve_runs(compiled: CodeType, job: dict[str, Any]) -> int:
    """Run the program on one input after the other, as long as it leaves the process as it was."""
    files, process = _standard_files(), os.getpid()
    while receive() is not None:
        had_threads = _execute(compiled, job, fresh_module("__main__").__dict__)
        if os.getpid() != process:
            os._exit(0)  # a fork that ran to its end; the messages are its parent's to answer
        if had_threads or _is_spent() or _standard_files() != files:
            send(SPENT)
            return 0
        _fresh_streams()
        send(READY)
    return 0


def _standard_files() -> list[int]:
    """Return the files open as standard input and output; a program's `open(0)` closes one when it is deleted."""
    try:
        return [os.fstat(descriptor).st_ino for descriptor in (0, 1)]
    except OSError:
        return []


def _execute(compiled: CodeType, job: dict[str, Any], namespace: dict[str, Any]) -> bool:
    """Run a program to its end as the interpreter would: its threads, its exit functions, its open files.

    Returns:
        Whether it had threads besides the main one, which the interpreter waits for only once.
    """
    had_threads = False
    try:
        if job["prelude"]:
            exec(compile(job["prelude"], "prelude.py", "exec", dont_inherit=True), namespace)
        exec(compiled, namespace)
    except SystemExit:
        pass
    finally:
        had_threads = bool(_thread._count())
        if had_threads:
            sys.modules["threading"]._shutdown()
        atexit._run_exitfuncs()
        files = [value for value in namespace.values() if isinstance(value, io.TextIOWrapper | io.BufferedWriter)]
        for file in (*files, sys.stdout, sys.__stdout__):
            with contextlib.suppress(Exception):  # it is closed, or the program put something else in its place
                file.flush()  # type: ignore[union-attr]
        namespace.clear()
    return had_threads


def _is_spent() -> bool:
    """Return whether a run left something that the next one could meet: processes, much memory."""
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > SPENT_KIB:
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _fresh_streams() -> None:
    """Put standard streams in place that have read and written nothing yet, on the same descriptors."""
    for name, descriptor, mode in (("stdin", 0, "r"), ("stdout", 1, "w")):
        stream = open(descriptor, mode, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.setrecursionlimit(RECURSION_LIMIT)
    sys.modules["random"].seed(0)


# Calls


def _serve_calls(compiled: CodeType, job: dict[str, Any], module: ModuleType) -> int:
    """Answer one call after the other until the parent has no more."""
    namespace = module.__dict__
    if job["prelude"]:
        exec(compile(job["prelude"], "prelude.py", "exec", dont_inherit=True), namespace)
    classes = own_classes(namespace)
    with contextlib.suppress(SystemExit):
        exec(compiled, namespace)
    by_name = {name: cls for cls, name in classes.items()}
    process = os.getpid()
    while (message := receive()) is not None:
        name, arguments, keywords = wire.decode(message, by_name)
        function = find_function(namespace, name)
        if function is None:
            return NO_FUNCTION
        answer = _answer(function, arguments, keywords, classes, job["iterators"])
        if os.getpid() != process:
            os._exit(0)
        send(answer)
    return 0


def _answer(function: Any, arguments: Any, keywords: Any, classes: dict[type, str], iterators: bool) -> bytes:
    try:
        return b"v" + wire.encode(function(*arguments, **keywords), classes, iterators)
    except MemoryError:
        return b"m"
    except BaseException as error:  # any that the program raises
        return b"e" + wire.encode([type(error).__name__, str(error)[:500]])


def own_classes(namespace: dict[str, Any]) -> dict[type, str]:
    """Return the classes that a problem's prelude defines, such as a list's node: their instances travel."""
    classes = [(name, value) for name, value in namespace.items() if isinstance(value, type)]
    return {value: name for name, value in classes if value.__module__ == namespace["__name__"]}


def find_function(namespace: dict[str, Any], name: str) -> Any:
    """Return a function or method by its name: `add`, `Solution().add`; a fresh `Solution` for each call."""
    owner, dot, method = name.replace("()", "").rpartition(".")
    cls = namespace.get(owner if dot else "Solution")
    if isinstance(cls, type) and hasattr(cls, method):
        return getattr(cls(), method)
    function = namespace.get(method)
    return function if callable(function) else None


# A problem's own tests


class RemoteFunction:
    """A function of the program as an examiner calls it: the arguments go out, what comes back is returned."""

    calls = 0
    raised: Exception | None = None

    def __init__(self, name: str, classes: dict[type, str]) -> None:
        self._name, self._classes = name, classes
        self._by_name = {name: cls for cls, name in classes.items()}

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Return what the program returns, or raise an exception like the one it raised."""
        RemoteFunction.calls += 1
        send(b"c" + wire.encode([self._name, list(arguments), keywords], self._classes, iterators=True))
        reply = receive()
        if reply is None:
            raise ProgramError("the parent is gone")
        if reply[:1] == b"v":
            return wire.decode(reply[1:], self._by_name)
        kind, text = wire.decode(reply[1:])
        builtin = getattr(builtins, kind, None)
        if isinstance(builtin, type) and issubclass(builtin, Exception) and builtin not in _ENDS:
            error: Exception = builtin(text)
        else:
            error = ProgramError(text)
        RemoteFunction.raised = error
        raise error


_ENDS = (StopIteration, StopAsyncIteration)
"""Exceptions that would end a loop of the tests as if all were well."""


class ProgramError(Exception):
    """The program raised an exception that this process does not know."""


def _examine(compiled: CodeType, job: dict[str, Any], module: ModuleType) -> int:
    """Run a problem's own tests here against the program in another process; tell the parent what came of it."""
    namespace = module.__dict__
    exec(compile(job["prelude"], "prelude.py", "exec", dont_inherit=True), namespace)
    function = RemoteFunction(job["entry"], own_classes(namespace))
    namespace["candidate"] = namespace[job["entry"]] = function
    owner, dot, method = job["entry"].replace("()", "").rpartition(".")
    if dot:
        namespace[owner] = type(owner, (), {method: staticmethod(function)})
    try:
        exec(compiled, namespace)
        outcome = {"failed": "", "raised": False}
    except MemoryError:
        raise
    except BaseException as error:
        outcome = {"failed": type(error).__name__, "raised": error is RemoteFunction.raised}
    send(b"d" + json.dumps(outcome | {"calls": RemoteFunction.calls}).encode())
    return 0


# Messages


def send(message: bytes) -> None:
    """Send one message to the parent."""
    view = memoryview(MESSAGE_HEADER.pack(len(message)) + message)
    while view:
        view = view[os.write(CHANNEL, view) :]


def receive() -> bytes | None:
    """Return the parent's next message; None when there is none."""
    header = _read(MESSAGE_HEADER.size)
    return None if header is None else _read(*MESSAGE_HEADER.unpack(header))


def _read(size: int) -> bytes | None:
    parts = []
    while size:
        part = os.read(CHANNEL, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
