"""A pool holds training problems of the curriculum's domain, each once; anything else ends the run with one line."""

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer
from tiny_runs import Then, fit, problems, tiny_config

from acereason.errors import UserError
from acereason.problems.laptop import laptop_problems
from acereason.rollout.curriculum import Curriculum
from acereason.rollout.data import RolloutDataModule

MATH = [problem.id for problem in problems(8)]
HELD_OUT = problems(12)[8:]
CODE = laptop_problems("code", "train", 4, (1, 2))


def data_module(root: Path) -> RolloutDataModule:
    config = tiny_config(root)
    sources = {"problems": problems(8), "code": CODE}
    return RolloutDataModule(config, Curriculum.from_config(config), sources, HELD_OUT)


def test_without_a_pool_all_training_problems_of_the_domain_are_drawn_from(tmp_path: Path) -> None:
    data = data_module(tmp_path)
    assert data.pool_ids() == MATH
    data.curriculum.change("mine", "a test", domain="code")
    assert data.pool_ids() == [problem.id for problem in CODE]


def test_a_pool_is_what_the_callback_gave_and_changing_the_answer_changes_nothing(tmp_path: Path) -> None:
    data = data_module(tmp_path)
    data.curriculum.change("mine", "a test", pool=MATH[5:2:-1])
    data.pool_ids().clear()
    assert data.pool_ids() == [MATH[5], MATH[4], MATH[3]]


@pytest.mark.parametrize(
    ("pool", "example", "fault"),
    [
        ([*MATH, HELD_OUT[1].id], HELD_OUT[1].id, "held out, for evaluation only"),
        ([MATH[0], "p9"], "p9", "not in this run"),
        ([MATH[0], ["p9"]], '["p9"]', "not in this run"),
        ([MATH[0], CODE[2].id], CODE[2].id, "a code problem, but curriculum.domain is math"),
        ([MATH[0], MATH[1], MATH[0]], MATH[0], "listed twice"),
    ],
)
def test_a_wrong_id_is_named_with_what_is_wrong(tmp_path: Path, pool: list[Any], example: str, fault: str) -> None:
    data = data_module(tmp_path)
    data.curriculum.change("mine", "a test", pool=pool)
    for _ in range(2):
        with pytest.raises(UserError) as caught:
            data.pool_ids()
        assert str(caught.value) == (
            f"curriculum.pool (by mine): {example!r} is {fault}; "
            'draw from trainer.datamodule.problem_ids("math"), each id once'
        )


def test_a_valid_pool_is_checked_again_in_another_domain_and_when_it_has_changed(tmp_path: Path) -> None:
    data, pool = data_module(tmp_path), [MATH[0], MATH[1]]
    data.curriculum.change("mine", "a test", pool=pool)
    assert data.pool_ids() == pool
    data.curriculum.change("other", "a test", domain="code", pool=pool)
    with pytest.raises(UserError, match=r"\(by other\).* is a math problem, but curriculum.domain is code"):
        data.pool_ids()
    data.curriculum.change("mine", "a test", domain="math", pool=pool)
    assert data.pool_ids() == pool
    pool.append(HELD_OUT[0].id)  # without `change`, but it would be drawn from
    with pytest.raises(UserError, match="is held out"):
        data.pool_ids()


def test_a_run_does_not_train_on_held_out_problems_when_a_callback_takes_all_prompts(tmp_path: Path) -> None:
    def everything(trainer: Trainer, module: Any) -> None:
        module.curriculum.change("mine", "more", pool=list(trainer.datamodule.prompts))  # type: ignore[attr-defined]

    then = Then(everything)
    with pytest.raises(UserError, match=r"curriculum\.pool \(by mine\): .* is held out, for evaluation only"):
        fit(tiny_config(tmp_path), callbacks=[then])
