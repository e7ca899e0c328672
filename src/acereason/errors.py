"""The error that a user can fix, and the request to stop."""


class UserError(Exception):
    """A setting, file or model that cannot work. The message is one line: its name, its value and what to do instead.

    `train.py` and the `acereason` command print it without a traceback and exit with code 2.
    """


class StopRequested(Exception):
    """A request to end the run (SIGTERM, or SIGUSR1 under SLURM), raised on every rank between the same two updates."""
