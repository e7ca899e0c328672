"""A rank that start_ranks starts; run by test_launcher.py.

Arguments: a folder, and what each rank does, separated by commas: a number to exit with, `echo` (write down what it was
given), `sleep` (until another rank is gone), `kill` (itself, once all have met), `save` (and exit with 0 when asked to
stop), `stubborn` (stay whatever happens), `after` (exit with 7 once rank 0 is gone).
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from acereason.distributed.environment import read_rank_info
from acereason.distributed.lifeline import Lifeline

folder, plan = Path(sys.argv[1]), sys.argv[2].split(",")
rank_info = read_rank_info()
todo = plan[rank_info.rank]


def written(path: Path) -> str:
    """The text of a file that another rank writes."""
    while not path.exists():
        time.sleep(0.01)
    return path.read_text()


def write(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


def meet() -> Lifeline:
    """Join the ranks that have a lifeline."""
    lifeline = Lifeline(launched=True)
    lifeline.install_handlers()
    if rank_info.rank == 0:
        write(folder / "address", "{} {}".format(*lifeline.listen()))
    else:
        port, token = written(folder / "address").split()
        lifeline.connect("127.0.0.1", int(port), token, rank_info.rank)
    write(folder / f"met-{rank_info.rank}", "")
    for rank in range(rank_info.world_size):
        written(folder / f"met-{rank}")
    return lifeline


if todo == "echo":
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")
    variables = {name: os.environ[name] for name in (*names, "OMP_NUM_THREADS")}
    write(folder / f"rank-{rank_info.rank}", json.dumps([rank_info.launcher, sys.argv[3:], variables]))
elif todo == "after":
    pid = int(written(folder / "pid"))
    while Path(f"/proc/{pid}").exists():  # until the launcher has seen it end
        time.sleep(0.01)
    sys.exit(7)
elif todo == "stubborn":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Lifeline(launched=True)  # but not without the launcher
    os.write(1, b"ready\n")  # in one piece: all ranks have the same standard output
    while True:
        signal.pause()
elif todo.isdecimal():
    if rank_info.rank == 0:
        write(folder / "pid", str(os.getpid()))
    sys.exit(int(todo))
else:
    lifeline = meet()
    os.write(1, b"ready\n")
    if todo == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    while not lifeline.stop_requested:
        time.sleep(0.01)
    write(folder / f"saved-{rank_info.rank}", lifeline.stop_signal)
    lifeline.close()
