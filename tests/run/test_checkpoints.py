"""Checkpoints are whole or not there, the newest stay, and a resumed run ends where the other one did."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from tiny_runs import Fitted, Then, fit, tiny_config

from acereason.errors import UserError
from acereason.run.checkpoints import complete_checkpoints, find_checkpoint


def checkpoint(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "meta.pt").touch()
    return folder / name


def test_partial_checkpoints_are_never_listed_and_the_rest_is_oldest_first(tmp_path: Path) -> None:
    for name in ("step-000010", "step-000002", "step-000020.partial", "other"):
        checkpoint(tmp_path, name)
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["step-000002", "step-000010"]
    assert find_checkpoint("last", tmp_path) == tmp_path / "step-000010"


def test_an_empty_name_starts_afresh_and_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, "step-000002")
    assert find_checkpoint("", tmp_path) is None
    assert find_checkpoint(str(path), tmp_path / "elsewhere") == path


def test_what_is_no_checkpoint_is_one_line_that_names_it(tmp_path: Path) -> None:
    partial = checkpoint(tmp_path, "step-000020.partial")
    (tmp_path / "empty").mkdir()
    cases = {"last": "no complete checkpoint", str(partial): "not written to the end", str(tmp_path / "empty"): "not a"}
    for ckpt, reason in cases.items():
        with pytest.raises(UserError, match=re.escape(f"ckpt={ckpt}") + f".*{reason}") as caught:
            find_checkpoint(ckpt, tmp_path)
        assert "\n" not in str(caught.value)


def test_the_newest_stay(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "trainer.max_steps=5", "checkpoint.every_n_steps=1", "checkpoint.keep=2")
    run = fit(config, whole=True)
    names = [path.name for path in sorted((run.folder / "checkpoints").iterdir())]
    assert names == ["step-000004", "step-000005"]


def test_a_run_saves_when_due_and_at_its_end(finished_run: Fitted) -> None:
    names = [path.name for path in sorted((finished_run.folder / "checkpoints").iterdir())]
    assert names == ["step-000002", "step-000004"]


def test_a_save_that_breaks_off_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    def break_second_save(trainer: Trainer, module: Any) -> None:
        if module.curriculum.step == 2:
            save = trainer.save_checkpoint

            def broken(path: Path, **options: Any) -> None:
                save(path, **options)
                raise OSError("disk full")

            trainer.save_checkpoint = broken  # type: ignore[method-assign]

    config = tiny_config(tmp_path, "trainer.max_steps=3", "checkpoint.every_n_steps=1")
    with pytest.raises(OSError, match="disk full"):
        fit(config, callbacks=[Then(break_second_save)], whole=True)
    folder = tmp_path / "tiny" / "checkpoints"
    assert (folder / "step-000002.partial").exists()
    assert find_checkpoint("last", folder) == folder / "step-000001"
    config.ckpt = "last"
    resumed = fit(config, whole=True)
    assert [batch.step for batch in resumed.recorder.batches] == [1, 2]
    assert sorted(path.name for path in folder.iterdir()) == ["step-000002", "step-000003"]


def test_a_resumed_run_samples_and_ends_as_the_uninterrupted_one(finished_run: Fitted, tmp_path: Path) -> None:
    """Two updates a batch, and a callback that cools the curriculum after each step, as `finished_run` had."""

    def colder(trainer: Trainer, module: Any) -> None:
        module.curriculum.temperature -= 0.05
        module.curriculum.solve_rates["p"] = module.curriculum.step / 4

    saved = tmp_path / "tiny" / "checkpoints" / "step-000002"
    shutil.copytree(finished_run.folder / "checkpoints" / "step-000002", saved)
    config = tiny_config(
        tmp_path, "trainer.max_steps=4", "grpo.updates_per_batch=2", "evaluation.every_n_steps=2", "ckpt=last"
    )
    resumed = fit(config, callbacks=[Then(colder)], whole=True)
    assert [batch.step for batch in resumed.recorder.batches] == [2, 3]
    for ours, theirs in zip(resumed.recorder.batches, finished_run.recorder.batches[2:], strict=True):
        assert ours.temperature == theirs.temperature
        assert [r.generation for r in ours.rollouts] == [r.generation for r in theirs.rollouts]
    assert resumed.trainer.global_step == finished_run.trainer.global_step == 8
    assert resumed.policy.curriculum == finished_run.policy.curriculum
    expected = finished_run.weights()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in resumed.weights().items())
    assert set(resumed.evaluation.results) == {4}
    assert resumed.evaluation.results[4].pass_at_1 == finished_run.evaluation.results[4].pass_at_1


def test_a_checkpoint_holds_the_whole_curriculum_as_it_was(finished_run: Fitted) -> None:
    meta = torch.load(finished_run.folder / "checkpoints" / "step-000002" / "meta.pt", weights_only=False)
    curriculum = meta["curriculum"]
    assert curriculum["step"] == 2
    assert curriculum["temperature"] == pytest.approx(0.9)
    assert curriculum["solve_rates"] == {"p": 0.5}
    assert set(curriculum) == set(finished_run.policy.curriculum.state_dict())
