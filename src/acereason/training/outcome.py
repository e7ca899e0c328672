"""The end of a run: what went wrong becomes one line, known to all ranks, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from acereason.distributed.environment import RankInfo, read_rank_info
from acereason.distributed.lifeline import Lifeline
from acereason.errors import UserError


def run_to_the_end(run: Callable[[RankInfo, Lifeline], int]) -> int:
    """Call `run` with this process's rank and its lifeline to the others; return the exit code that `run` gives.

    If it fails, the process ends here: with code 2 and one line if the user can fix it, with code 1 and a traceback
    otherwise.
    """
    lifeline = None
    try:
        rank_info = read_rank_info()
        lifeline = Lifeline(launched=bool(rank_info.launcher))
        code = run(rank_info, lifeline)
    except (KeyboardInterrupt, SystemExit):
        raise
    except UserError as error:
        if lifeline is not None and rank_info.local_rank and not lifeline.joined:
            os._exit(2)  # the node's first rank has read the same settings and files, and reports it
        _failed(lifeline, str(error), 2)
    except BaseException as error:  # torch's CheckpointException is not an Exception
        from acereason.training.full_disk import names_full_disk

        if names_full_disk(error):
            _failed(lifeline, "the disk of the run's folder is full: free some space, then resume with ckpt=last", 2)
        traceback.print_exc()
        _failed(lifeline, f"rank {rank_info.rank} failed: {type(error).__name__}: {_last_line(error)}", 1)
    lifeline.close()
    return code


def _failed(lifeline: Lifeline | None, cause: str, code: int) -> NoReturn:
    """Print the cause and exit without exit handlers: those of a process group wait for others or print after it."""
    sys.stdout.flush()
    if lifeline is None:
        print(f"error: {cause}", file=sys.stderr)
    else:
        lifeline.fail(cause, code)
    sys.stderr.flush()
    os._exit(code)


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else ""
