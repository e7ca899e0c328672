"""A verifier process of `pool.py`: `python -m acereason.verifiers.pool.worker PARENT_PID MEMORY_MIB SANDBOX DOMAIN...`.

It reads one judgement a line from standard input and answers one verdict a line, both JSON: first `{"ready": true}`,
then `{"reward", "reason", "seconds", "failing_test"}` for `{"domain", "gold", "answer"}`, in order. The gold of code is
the key of a suite of tests, which came before on its own line. The parent bounds wall time; memory is bounded here, and
that of programs in the sandbox. The worker ends with its input, with its parent, when it is out of memory, or when it
has grown too large.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO, NoReturn

from acereason.problems.problem import Problem
from acereason.verifiers.domains import verifier_for
from acereason.verifiers.pool.suites import WorkerSuites, read_suite
from acereason.verifiers.verifier import Verdict, Verifier

PR_SET_PDEATHSIG = 1
OUT_OF_MEMORY = 12
"""Exit status: the current judgement needs more memory than there is."""
GREW_TOO_LARGE = 13
"""Exit status: after a judgement too little memory was left for the next."""


def main(parent: int, memory_mib: int, sandbox: str, domains: list[str]) -> NoReturn:
    """Serve judgements until standard input ends; then exit at once, since a large heap takes long to clear up."""
    die_with(parent)
    limit = memory_mib * 2**20
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))  # programs in the sandbox have their own limit
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    verifiers = {domain: verifier_for(domain, sandbox) for domain in domains}
    for verifier in verifiers.values():
        verifier.warm_up()
    replies = take_standard_output()
    send(replies, {"ready": True})
    try:
        status = serve(replies, verifiers, (address_space() + limit) // 2)
    except MemoryError:
        status = OUT_OF_MEMORY
    for verifier in verifiers.values():
        verifier.close()
    os._exit(status)


def serve(replies: BinaryIO, verifiers: Mapping[str, Verifier], max_bytes: int) -> int:
    """Judge line by line, up to `max_bytes` of address space, and return the exit status.

    What judgements leave behind, in caches and in fragments, would be missing from the next one's memory.
    """
    suites = WorkerSuites()
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "suite" in message:
            suites.add(message["suite"], read_suite(message))
            continue
        verdict = judge(message, verifiers, suites)
        if verdict.reason == "memory" and message["domain"] == "math":
            return OUT_OF_MEMORY
        reply = {"reward": verdict.reward, "reason": verdict.reason, "seconds": verdict.seconds}
        send(replies, reply | {"failing_test": verdict.first_failing_test})
        if address_space() > max_bytes:
            return GREW_TOO_LARGE
    return 0


def judge(request: dict[str, Any], verifiers: Mapping[str, Verifier], suites: WorkerSuites) -> Verdict:
    """Return the verdict on one request."""
    if request["domain"] == "code":
        problem = suites.problem(request["gold"])
    else:
        problem = Problem("", request["domain"], "", answer=request["gold"])
    return verifiers[problem.domain].judge(problem, request["answer"])


def address_space() -> int:
    """Return the bytes of this process that `RLIMIT_AS` counts."""
    with open("/proc/self/statm", "rb", buffering=0) as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends; elsewhere than on Linux, input ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("the parent process is gone")


def take_standard_output() -> BinaryIO:
    """Return the pipe to the parent; from now on all that is printed is discarded."""
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return replies


def send(replies: BinaryIO, message: dict[str, object]) -> None:
    """Write one message as a line."""
    replies.write(json.dumps(message).encode() + b"\n")
    replies.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
