"""A verifier process: `python -m acereason.rewards.worker PARENT_PID MEMORY_MIB DOMAIN...`, started by `pool.py`.

It reads one judgement a line from standard input and answers one verdict a line, both JSON: first `{"ready": true}`,
then `{"reward", "extracted", "reason", "seconds"}` for `{"id", "domain", "answer", "response"}`, in order.
Wall time is the parent's to bound; memory is bounded here. It ends when its input does, or with its parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from typing import BinaryIO

from acereason.errors import UserError
from acereason.problems.problem import Problem
from acereason.rewards.domains import verifier_for
from acereason.rewards.verifier import Verdict

PR_SET_PDEATHSIG = 1


def main(parent: int, memory_mib: int, domains: list[str]) -> None:
    """Serve judgements until standard input ends."""
    die_with(parent)
    resource.setrlimit(resource.RLIMIT_AS, (memory_mib * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for domain in domains:
        verifier_for(domain).warm_up()
    replies = take_standard_output()
    send(replies, {"ready": True})
    for line in sys.stdin.buffer:
        send(replies, vars(judge(json.loads(line))))


def judge(request: dict[str, str]) -> Verdict:
    """The verdict on one request; having no verifier is one too."""
    problem = Problem(request["id"], request["domain"], "", answer=request["answer"])  # type: ignore[arg-type]
    try:
        verifier = verifier_for(problem.domain)
    except UserError:
        return Verdict(0.0, "", "no_verifier", 0.0)
    found = verifier.extract(request["response"])
    return Verdict(0.0, "", found.reason, 0.0) if found.reason else verifier.judge(problem, found.answer)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends; Linux only, elsewhere input ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("the process that wanted verdicts is gone")


def take_standard_output() -> BinaryIO:
    """The pipe to the parent; from now on whatever prints, prints to nowhere."""
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
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
