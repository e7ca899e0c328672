"""A rank with a lifeline that does what it reads from standard input; run by test_lifeline.py.

Arguments: rank, then for ranks above 0 port and token, then options and values for `CONSTANTS`.
"""

import ctypes
import os
import signal
import sys
import threading
import time

from acereason.distributed import lifeline as lifelines
from acereason.distributed import peers
from acereason.distributed.lifeline import Lifeline
from acereason.errors import UserError

CONSTANTS = {"HELLO_SECONDS": peers, "HOLD_SECONDS": lifelines, "LEAVE_SECONDS": lifelines}


def say(*words: object) -> None:
    print(*words, flush=True)


def block_in_c() -> None:
    """Never return from a C call, whatever signals come: lock a mutex twice."""
    mutex = ctypes.create_string_buffer(64)
    say("blocking")
    for _ in range(2):
        ctypes.CDLL(None).pthread_mutex_lock(mutex)


def wait_for_stop(lifeline: Lifeline) -> None:
    while not lifeline.stop_requested:
        time.sleep(0.01)
    say(lifeline.stop_signal, lifeline.requeue)


def fork() -> None:
    """A child that lives until a signal ends it, and tells which signal did."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(300)  # however the test ends
        signal.pause()
    say(pid)


def main() -> int:
    rank, *where = sys.argv[1:]
    for name, _, value in (argument.partition("=") for argument in where if "=" in argument):
        setattr(CONSTANTS[name], name, float(value))
    lifeline = Lifeline(launched="--launched" in where)
    if "--hup-ignored" in where:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    lifeline.install_handlers()
    if "--handlers-replaced" in where:
        signal.signal(signal.SIGTERM, lambda number, frame: None)
    if "--asked-to-stop" in where:
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for_stop(lifeline)
    try:
        if int(rank) == 0:
            say(*lifeline.listen())
        elif "--alone" not in where:
            lifeline.connect("127.0.0.1", int(where[0]), where[1], int(rank))
    except UserError as error:
        lifeline.fail(str(error), 2)
        return 2
    say("joined")
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "block":
            block_in_c()
        elif word == "stop?":
            say(lifeline.stop_requested)
        elif word == "wait":
            wait_for_stop(lifeline)
        elif word == "fork":
            fork()
        elif word == "reap":
            say(os.waitstatus_to_exitcode(os.waitpid(int(rest), 0)[1]))
        elif word == "flood":
            threading.Thread(target=lambda: [say("x" * 100_000) for _ in range(100)]).start()
        elif word == "fail":
            code, cause = rest.split(" ", 1)
            lifeline.fail(cause.replace(r"\n", "\n"), int(code))
            os._exit(int(code))
        elif word == "fail-and-block":
            lifeline.fail("out of memory", 7)
            block_in_c()
        elif word == "close":
            lifeline.close()
            say("closed")
        elif word == "raise":
            raise RuntimeError(rest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
