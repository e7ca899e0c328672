"""A run that was asked to stop says correctly how to resume."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from acereason.distributed.lifeline import Lifeline
from acereason.training.stopping import say_goodbye


@pytest.fixture
def stopped() -> Iterator[Lifeline]:
    """The lifeline of a process that received SIGTERM."""
    lifeline = Lifeline(launched=False)
    lifeline.install_handlers()
    os.kill(os.getpid(), signal.SIGTERM)
    while not lifeline.stop_requested:
        time.sleep(0.01)
    yield lifeline
    lifeline.close()


@pytest.mark.parametrize(
    ("step", "rank", "said"),
    [
        (3, 0, "stopped by SIGTERM after 3 rollout steps: checkpoint saved; resume with ckpt=last\n"),
        (
            0,
            0,
            "stopped by SIGTERM after 0 rollout steps: no checkpoint yet; ckpt=auto with the same run.name starts "
            "again and keeps the responses judged so far\n",
        ),
        (3, 1, ""),
    ],
)
def test_it_says_what_there_is_to_resume_from(
    stopped: Lifeline, capsys: pytest.CaptureFixture[str], step: int, rank: int, said: str
) -> None:
    say_goodbye(step, rank, stopped)
    assert capsys.readouterr().out == said
