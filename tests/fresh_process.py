"""The environment of a process that has nothing to do with the process group of the tests."""

import os

PROCESS_GROUP = ("MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


def fresh_environment(**changes: str) -> dict[str, str]:
    """This process's environment less what Lightning left in it, with some changes."""
    return {name: value for name, value in os.environ.items() if name not in PROCESS_GROUP} | changes
