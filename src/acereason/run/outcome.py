"""How a run ends: what went wrong becomes one line, known to all ranks, and an exit code."""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Callable

from acereason.errors import UserError
from acereason.ranks.environment import Place, find_place
from acereason.ranks.lifeline import Lifeline

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


def run_to_the_end(run: Callable[[Place, Lifeline], int]) -> int:
    """Calls `run` with this rank's place and its lifeline to the others; returns the exit code of the process.

    It is what `run` returns, 2 when the user has something to mend, which is said in one line, and 1 for anything
    else, with a traceback.
    """
    lifeline = None
    try:
        place = find_place()
        lifeline = Lifeline(launched=bool(place.launcher))
        code = run(place, lifeline)
    except (KeyboardInterrupt, SystemExit):
        raise
    except UserError as error:
        return _failed(lifeline, str(error), 2)
    except BaseException as error:  # torch's CheckpointException is not an Exception
        full = _full_disk(error)
        if full:
            return _failed(lifeline, full, 2)
        traceback.print_exc()
        return _failed(lifeline, f"rank {place.rank} failed: {type(error).__name__}: {_last_line(error)}", 1)
    lifeline.close()
    return code


def _failed(lifeline: Lifeline | None, cause: str, code: int) -> int:
    if lifeline is None:
        print(f"error: {cause}", file=sys.stderr)
    else:
        lifeline.fail(cause, code)
    return code


def _full_disk(error: BaseException) -> str:
    """What to say when the disk is full, somewhere down the chain of causes; empty when it is not."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in FULL_DISK:
            where = f" ({seen.filename})" if seen.filename else ""
            return f"the disk of the run's folder is full{where}: free some space, then go on with ckpt=last"
        seen = seen.__cause__ or seen.__context__
    return ""


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else ""
