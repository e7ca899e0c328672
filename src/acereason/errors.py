"""The one error that is the user's to mend."""


class UserError(Exception):
    """A setting, file or model that cannot work. The message names it, its value and the way out, on one line.

    `train.py` and the `acereason` command print it without a traceback and exit with code 2.
    """


class StopRequested(Exception):
    """The run was asked to leave (SIGTERM, or SIGUSR1 under SLURM); raised on every rank alike, between two updates."""
