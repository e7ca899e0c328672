"""Which checkpoints count, which one a name means, and which one a run may resume from."""

import json
import os
import re
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

import pytest

from acereason.config.compose import compose, save
from acereason.config.fields import settings
from acereason.config.schema import CallbackConfig, Config
from acereason.errors import UserError
from acereason.training.checkpoint_files import (
    Manifest,
    architecture,
    best_checkpoint,
    check_branch,
    check_fits,
    complete_checkpoints,
    find_checkpoint,
    read_manifest,
    what_is_missing,
    write_manifest,
)

MODEL = json.loads(Path("models/laptop/config.json").read_text())
FREE = {
    *("recipe", "ckpt", "ckpt_changes", "validate_only", "model.path", "model.activation_checkpointing"),
    *("model.cpu_offload", "engine.sleep"),
    *("model.micro_batch_tokens", "model.head_chunk_tokens", "rewards.workers", "evaluation.every_n_steps"),
    *("engine.max_num_seqs", "engine.tensor_parallel_size", "engine.work", "engine.kv_cache_gib"),
    *("engine.gpu_memory_utilization", "engine.max_model_len", "engine.options"),
    *("engine.batch_invariant", "rollout.max_gap"),
    *("sandbox.stop_at_first_failure", "sandbox.failing_first", "sandbox.allow_weak", "sandbox.without"),
}
"""Settings that change the numbers by rounding at most, or how many there are; so does every setting of run, trainer,
checkpoint and log."""


def checkpoint(
    folder: Path, step: int, score: float | None = None, *, name: str = "eval/pass@1", config: Config | None = None
) -> Path:
    """Make a complete checkpoint with 10 bytes of weights."""
    path = folder / f"step-{step:06d}"
    path.mkdir(parents=True)
    (path / "__0_0.distcp").write_bytes(bytes(10))
    save(config or compose([]), path / "config.yaml")
    files = {file.name: file.stat().st_size for file in path.iterdir()}
    scored = None if score is None else {"name": name, "value": score}
    write_manifest(path, Manifest(step, 1, architecture(MODEL), scored, False, files))
    return path


def truncate_weights(path: Path) -> None:
    os.truncate(path / "__0_0.distcp", 4)


def lose(path: Path) -> None:
    (path / "__0_0.distcp").unlink()


def lose_manifest(path: Path) -> None:
    (path / "checkpoint.json").unlink()


def truncate_manifest(path: Path) -> None:
    os.truncate(path / "checkpoint.json", 20)


DAMAGE = [
    (truncate_weights, "__0_0.distcp has 4 of its 10 bytes"),
    (lose, "__0_0.distcp is missing"),
    (lose_manifest, "checkpoint.json is missing"),
    (truncate_manifest, "checkpoint.json is broken"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGE, ids=lambda value: getattr(value, "__name__", ""))
def test_a_damaged_checkpoint_is_skipped_and_refused_by_name(
    tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    older, newest = checkpoint(tmp_path, 1), checkpoint(tmp_path, 2)
    assert find_checkpoint("last", tmp_path) == newest
    damage(newest)
    assert what_is_missing(newest) == said
    assert find_checkpoint("last", tmp_path) == find_checkpoint("auto", tmp_path) == older
    refusal = re.escape(f"ckpt={newest} is not a complete checkpoint: {said}; use ckpt=last")
    with pytest.raises(UserError, match=refusal):
        find_checkpoint(str(newest), tmp_path)


def test_a_save_that_was_killed_before_its_rename_does_not_count(tmp_path: Path) -> None:
    killed = checkpoint(tmp_path, 2).rename(tmp_path / "step-000002.partial")
    assert complete_checkpoints(tmp_path) == []
    assert find_checkpoint("auto", tmp_path) is None
    with pytest.raises(UserError, match=r"it was not written to the end"):
        find_checkpoint(str(killed), tmp_path)
    with pytest.raises(UserError, match=r"ckpt=last: there is no complete checkpoint in .*; leave ckpt empty"):
        find_checkpoint("last", tmp_path)


def test_the_order_is_that_of_the_steps_and_other_folders_do_not_count(tmp_path: Path) -> None:
    for step in (1_000_000, 999_999, 5):
        checkpoint(tmp_path, step)
    checkpoint(tmp_path, 7).rename(tmp_path / "step-000007-old")
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["step-000005", "step-999999", "step-1000000"]


def test_an_empty_name_starts_afresh_and_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 2)
    assert find_checkpoint("", tmp_path) is None
    assert find_checkpoint(str(path), tmp_path / "elsewhere") == path
    with pytest.raises(UserError, match="there is no such folder"):
        find_checkpoint(str(tmp_path / "step-000003"), tmp_path)


def test_best_is_the_highest_score_and_the_earlier_of_equals(tmp_path: Path) -> None:
    for step, score in {1: 0.5, 2: 0.75, 3: 0.75, 4: None, 5: 0.25}.items():
        checkpoint(tmp_path, step, score)
    assert find_checkpoint("best", tmp_path) == tmp_path / "step-000002"
    lose(tmp_path / "step-000002")
    assert find_checkpoint("best", tmp_path) == tmp_path / "step-000003"


def test_scores_of_different_scalars_are_not_compared(tmp_path: Path) -> None:
    checkpoint(tmp_path, 1, 300.0, name="eval/length_mean")
    checkpoint(tmp_path, 2, 0.5)
    assert best_checkpoint(tmp_path) == best_checkpoint(tmp_path, "eval/pass@1") == tmp_path / "step-000002"
    assert best_checkpoint(tmp_path, "eval/length_mean") == tmp_path / "step-000001"
    assert best_checkpoint(tmp_path, "eval/truncated") is None


def test_best_without_an_evaluated_checkpoint_says_so(tmp_path: Path) -> None:
    checkpoint(tmp_path, 1)
    with pytest.raises(UserError, match=r"ckpt=best: there is no evaluated checkpoint in .*; use ckpt=last"):
        find_checkpoint("best", tmp_path)


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 3, 0.5)
    manifest = read_manifest(path)
    assert (manifest.step, manifest.ranks, manifest.score) == (3, 1, {"name": "eval/pass@1", "value": 0.5})
    assert manifest.files == {"__0_0.distcp": 10, "config.yaml": (path / "config.yaml").stat().st_size}
    assert manifest.model["hidden_size"] == 128
    assert sorted(file.name for file in path.iterdir()) == ["__0_0.distcp", "checkpoint.json", "config.yaml"]


def test_the_same_settings_fit(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 3)
    freely = ["trainer.max_steps=7", "trainer.devices=4", "checkpoint.keep=1", "log.samples=0", "run.name=x"]
    assert check_fits(compose(freely), path) == []


def test_settings_that_decide_the_numbers_must_be_the_same_or_be_changed_on_purpose(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 3, config=compose(["recipe=laptop_math"]))
    overrides = ["recipe=laptop_math"]
    overrides += [
        "curriculum.learning_rate=1e-5",
        "seed=7",
        "problems.levels=[2,3]",
        "grpo.clip_low=0.1",
        "ckpt=last",
    ]
    with pytest.raises(UserError) as caught:
        check_fits(compose([*overrides, "run.name=x"]), path)
    assert str(caught.value) == (
        "ckpt=last was trained with other settings: seed=7 (the checkpoint has 0), problems.levels=[2, 3] (the "
        "checkpoint has [2, 9]), curriculum.learning_rate=1e-05 (the checkpoint has 0.0001) and 1 more; give the same, "
        "or set ckpt_changes=true to resume with the new values"
    )
    changed = check_fits(compose([*overrides, "run.name=x", "ckpt_changes=true"]), path)
    assert changed == ["seed", "problems.levels", "curriculum.learning_rate", "grpo.clip_low"]


@pytest.mark.parametrize(("cap", "words"), [(0.0, []), (3.0, ["grpo.correction=token_cap", "grpo.correction_high=3"])])
def test_a_checkpoint_from_before_the_corrections_fits_what_its_cap_means_now(
    tmp_path: Path, cap: float, words: list[str]
) -> None:
    path = checkpoint(tmp_path, 3)
    saved = (path / "config.yaml").read_text().splitlines()
    lines = [line if "  correction: " not in line else f"  importance_cap: {cap}" for line in saved]
    (path / "config.yaml").write_text("\n".join(line for line in lines if "  correction_" not in line))
    assert check_fits(compose(words), path) == []
    with pytest.raises(UserError, match=r"grpo\.correction"):
        check_fits(compose(["grpo.correction=token_mask"]), path)


def test_callbacks_decide_the_numbers_too(tmp_path: Path) -> None:
    had = compose([])
    had.callbacks = {"stop": CallbackConfig("a.Stop", {"reward": 0.9}), "gone": CallbackConfig("a.Gone")}
    path = checkpoint(tmp_path, 3, config=had)
    now = compose([])
    now.callbacks = {"stop": CallbackConfig("a.Stop", {"reward": 0.8}), "new": CallbackConfig("a.New")}
    with pytest.raises(UserError) as caught:
        check_fits(now, path)
    for said in (
        "callbacks.stop.init_args.reward=0.8 (the checkpoint has 0.9)",
        "callbacks.new.class_path=a.New (the checkpoint has none)",
        "callbacks.gone.class_path is not set (the checkpoint has a.Gone)",
    ):
        assert said in str(caught.value)


def test_more_problems_decide_the_numbers_too(tmp_path: Path) -> None:
    path, now = checkpoint(tmp_path, 3), compose(["more_problems.code.levels=[1,2]"])
    with pytest.raises(UserError, match=r"more_problems\.code\.levels=\[1, 2\] \(the checkpoint has \[1, 4\]\)"):
        check_fits(now, path)


def test_every_setting_either_decides_the_numbers_or_is_known_not_to(tmp_path: Path) -> None:
    path, config = checkpoint(tmp_path, 3), compose(["ckpt_changes=true"])
    checked = [
        key
        for key in settings()
        if not key.startswith(("run.", "trainer.", "checkpoint.", "log.", "callbacks", "more_problems"))
    ]
    for key in checked:
        group, _, name = key.rpartition(".")
        owner = attrgetter(group)(config) if group else config
        if key not in ("model.path", "ckpt_changes"):
            before = getattr(owner, name)
            setattr(owner, name, {"x": 1} if isinstance(before, dict) else f"{before}x")
    assert set(checked) - set(check_fits(config, path)) == FREE


def test_a_checkpoint_of_another_model_never_fits(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "checkpoints", 3)
    (tmp_path / "wide").mkdir()
    (tmp_path / "wide" / "config.json").write_text(json.dumps(MODEL | {"hidden_size": 896}))
    config = compose(["ckpt=last", "run.name=x", "ckpt_changes=true"])
    config.model.path = str(tmp_path / "wide")
    said = f"ckpt=last is of another model: hidden_size is 128 there, 896 in model.path={tmp_path / 'wide'}"
    with pytest.raises(UserError, match=re.escape(said)):
        check_fits(config, path)


def test_the_same_model_in_another_folder_fits(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "checkpoints", 3)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "config.json").write_text(json.dumps({**MODEL, "head_dim": None, "use_cache": False}))
    config = compose([])
    config.model.path = str(tmp_path / "copy")
    assert check_fits(config, path) == []


def test_a_model_on_the_hub_is_identified_by_its_name(tmp_path: Path) -> None:
    trained = compose([])
    trained.model.path = "owner/model"
    path = checkpoint(tmp_path, 3, config=trained)
    assert check_fits(trained, path) == []
    other = compose([])
    other.model.path = "owner/other"
    with pytest.raises(UserError, match=r"model\.path=owner/other \(the checkpoint has owner/model\)"):
        check_fits(other, path)


def test_a_run_that_is_to_end_before_its_checkpoint_is_refused_and_one_that_is_over_is_not(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 30)
    assert check_fits(compose(["trainer.max_steps=30"]), path) == []
    refusal = r"trainer\.max_steps=29: .*step-000030 has 30 steps already; give as many or more"
    with pytest.raises(UserError, match=refusal):
        check_fits(compose(["trainer.max_steps=29"]), path)


def test_a_run_resumes_from_its_newest_checkpoint_only(tmp_path: Path) -> None:
    folder = tmp_path / "x" / "checkpoints"
    older, newest = checkpoint(folder, 20), checkpoint(folder, 40)
    check_branch(newest, folder)
    with pytest.raises(UserError, match=r"holds newer checkpoints \(step-000040\): .*branch off from step-000020"):
        check_branch(older, folder)
    lose(newest)
    check_branch(older, folder)
    check_branch(older, tmp_path / "branch" / "checkpoints")
    with pytest.raises(UserError, match=f"{tmp_path}/x holds checkpoints of its own: name a new run"):
        check_branch(checkpoint(tmp_path / "y", 50), folder)


def test_a_fresh_start_takes_a_folder_without_checkpoints(tmp_path: Path) -> None:
    folder = tmp_path / "x" / "checkpoints"
    check_branch(None, folder)
    path = checkpoint(folder, 20)
    with pytest.raises(UserError, match=f"{tmp_path}/x holds checkpoints already: resume with ckpt=last, or "):
        check_branch(None, folder)
    lose(path)
    check_branch(None, folder)
    assert path.exists()
