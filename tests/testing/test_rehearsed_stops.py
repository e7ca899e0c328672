"""Rehearsed stops: a hook that is called twice for one step has to give the same result, or the rehearsal fails."""

from typing import Any

import pytest

from acereason.curricula.callback import CurriculumCallback
from acereason.testing.rehearsal import assert_resumes, rehearse


class Warms(CurriculumCallback):
    """A callback that adds 0.1 to the temperature every fourth step, or sets it, or notes when it added."""

    def __init__(self, how: str) -> None:
        self.how, self.done_at = how, -1

    def on_rollouts_start(self, trainer: Any, module: Any) -> None:
        curriculum = module.curriculum
        if curriculum.step % 4 or (self.how == "notes" and self.done_at == curriculum.step):
            return
        base = 1 + 0.1 * (curriculum.step // 4) if self.how == "sets" else curriculum.temperature
        self.done_at = curriculum.step
        curriculum.change("warms", f"step {curriculum.step}", temperature=round(base + 0.1, 3))

    def state_dict(self) -> dict[str, int]:
        return {"done_at": self.done_at}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.done_at = state_dict["done_at"]


def test_a_hook_that_adds_is_caught_at_the_first_step_at_which_a_stop_makes_it_add_twice() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_resumes(lambda: Warms("adds"), steps=6)
    assert str(caught.value).startswith(
        "after 4 steps, in on_rollouts_start: curriculum.temperature differs\n"
        "  in the run that was not interrupted: 1.2\n"
        "  when stopped in the rollouts of step 4 and resumed: 1.3\n"
        "  last changes: temperature by warms (step 4)\n"
        "A stop while rollouts are made saves what on_rollouts_start has changed, and calls it again"
    )


@pytest.mark.parametrize("how", ["sets", "notes"])
def test_a_hook_that_sets_or_notes_its_step_passes(how: str) -> None:
    run = rehearse(lambda: Warms(how), steps=6)
    assert [(change.step, change.after) for change in run.curriculum.history] == [(0, 1.1), (4, 1.2)]
    assert_resumes(lambda: Warms(how), steps=6)


def test_a_hook_that_fails_when_it_is_called_again_is_caught() -> None:
    class Once(Warms):
        def on_rollouts_start(self, trainer: Any, module: Any) -> None:
            assert self.done_at < module.curriculum.step, "called twice"
            self.done_at = module.curriculum.step

    with pytest.raises(AssertionError, match=r"in the rollouts of step 1 and resumed: .*called twice(.|\n)*A stop"):
        assert_resumes(lambda: Once("sets"), steps=3)
