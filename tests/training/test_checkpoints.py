"""Checkpoints are whole or missing, the newest and the best stay, and a resumed run equals one that was not killed."""

import errno
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from fresh_process import fresh_environment
from lightning.pytorch import Callback, Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import Fitted, Then, fit, problems, starts_with_a, tiny_config, transformers_engine

from acereason.config.schema import Config
from acereason.engines.engine import Generation, Request, Sampling
from acereason.errors import StopRequested, UserError
from acereason.problems.problem import Problem
from acereason.training.checkpoint_files import find_checkpoint, read_manifest, what_is_missing
from acereason.training.rewind import cut_back

ROOT = Path(__file__).resolve().parents[2]
Points = dict[str, list[tuple[int, float | str]]]


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def points(folder: Path) -> Points:
    """Return every scalar and text in TensorBoard as (step, value), in the order of writing, except times."""
    events = EventAccumulator(str(folder / "events"), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    found: Points = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    for tag in events.Tags()["tensors"]:
        found[tag] = [(e.step, e.tensor_proto.string_val[0].decode()) for e in events.Tensors(tag)]
    return {tag: values for tag, values in found.items() if not tag.startswith(("time/", "throughput/"))}


def rollouts(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {path.name: pq.read_table(path).to_pylist() for path in sorted((folder / "rollouts").iterdir())}


def assert_same_run(resumed: Fitted, whole: Fitted) -> None:
    expected = whole.weights()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in resumed.weights().items())
    assert resumed.policy.curriculum == whole.policy.curriculum
    assert resumed.trainer.global_step == whole.trainer.global_step
    assert rollouts(resumed.folder) == rollouts(whole.folder)
    assert points(resumed.folder) == points(whole.folder)


def colder(trainer: Trainer, module: Any) -> None:
    """Change the curriculum as `finished_run` does after each step."""
    curriculum = module.curriculum
    rates = {"p": curriculum.step / 4}
    curriculum.change("a test", "to see it", temperature=curriculum.temperature - 0.05, solve_rates=rates)


def as_finished_run(root: Path, *overrides: str) -> Config:
    return tiny_config(
        root,
        "trainer.max_steps=4",
        "grpo.updates_per_batch=2",
        "evaluation.every_n_steps=2",
        "checkpoint.every_n_steps=2",
        *overrides,
    )


def test_tensorboard_has_every_point_of_a_step_once(finished_run: Fitted) -> None:
    found = points(finished_run.folder)
    assert [step for step, _ in found["reward/mean"]] == [1, 2, 3, 4]
    assert [value for _, value in found["reward/mean"]] == pytest.approx(finished_run.recorder.of("reward/mean"))
    assert [step for step, _ in found["eval/pass@1"]] == [0, 2, 4]


@pytest.mark.parametrize("killed", ["between saves", "during a save"])
def test_a_run_that_was_killed_and_resumed_equals_one_that_was_not(
    finished_run: Fitted, tmp_path: Path, killed: str
) -> None:
    """A kill leaves rollouts and points after the last complete checkpoint, and perhaps half of the next checkpoint."""
    shutil.copytree(finished_run.folder, tmp_path / "tiny")
    later = tmp_path / "tiny" / "checkpoints" / "step-000004"
    if killed == "during a save":
        (later / "meta.pt").unlink()
        later.rename(later.with_name("step-000004.partial"))
    else:
        shutil.rmtree(later)
    cut_back(tmp_path / "tiny", 2)
    assert checkpoints(tmp_path / "tiny") == ["step-000002"]
    resumed = fit(as_finished_run(tmp_path, "ckpt=last"), callbacks=[Then(colder)], whole=True)
    assert [batch.step for batch in resumed.recorder.batches] == [2, 3]
    assert_same_run(resumed, finished_run)
    assert checkpoints(resumed.folder) == ["step-000002", "step-000004"]


class StoppedEngine:
    """An engine that is asked to stop in the middle of one generation."""

    def __init__(self, generation: int) -> None:
        self.engine, self.left = transformers_engine(), generation

    def generate(self, requests: Iterable[Request], sampling: Sampling, *rest: Any) -> Iterator[Generation]:
        self.left -= 1
        for generation in self.engine.generate(requests, sampling, *rest):
            if self.left == 0:
                raise StopRequested
            yield generation

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


@pytest.mark.parametrize(
    ("generation", "saved"),
    # Generations: evaluation 0, steps 0 and 1, evaluation 2, steps 2 and 3, evaluation 4.
    [(3, 1), (4, 2), (6, 3), (7, 4)],
    ids=["before any save", "in an evaluation", "in a step", "in the last evaluation"],
)
def test_a_run_that_was_asked_to_stop_saves_and_resumes_as_if_it_was_not(
    finished_run: Fitted, tmp_path: Path, generation: int, saved: int
) -> None:
    config = as_finished_run(tmp_path)
    with pytest.raises(StopRequested):
        fit(config, engine=StoppedEngine(generation), callbacks=[Then(colder)], whole=True)
    newest = find_checkpoint("last", tmp_path / "tiny" / "checkpoints")
    assert newest == tmp_path / "tiny" / "checkpoints" / f"step-{saved:06d}"
    assert read_manifest(newest).evaluation_due == (generation in (4, 7))
    cut_back(tmp_path / "tiny", saved)
    config.ckpt = "last"
    resumed = fit(config, callbacks=[Then(colder)], whole=True)
    assert_same_run(resumed, finished_run)


def test_a_run_stopped_before_its_first_step_saves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StopRequested):
        fit(as_finished_run(tmp_path), engine=StoppedEngine(2), whole=True)
    assert find_checkpoint("auto", tmp_path / "tiny" / "checkpoints") is None


class StopAfter(Callback):
    """A callback that is asked to stop in the middle of the work that follows a step."""

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: object) -> None:
        if module.curriculum.step == 2:
            raise StopRequested


def test_a_step_whose_callbacks_did_not_all_run_is_not_saved(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "trainer.max_steps=3", "checkpoint.every_n_steps=1", "checkpoint.keep=9")
    with pytest.raises(StopRequested):
        fit(config, callbacks=[StopAfter()], whole=True)
    assert checkpoints(tmp_path / "tiny") == ["step-000001"]


def test_other_errors_save_nothing(tmp_path: Path) -> None:
    def fail(trainer: Trainer, module: Any) -> None:
        raise ValueError("a callback's own")

    with pytest.raises(ValueError, match="a callback's own"):
        fit(tiny_config(tmp_path), callbacks=[Then(fail)], whole=True)
    assert not (tmp_path / "tiny" / "checkpoints").exists()


def test_a_run_that_a_callback_ended_stays_ended(tmp_path: Path) -> None:
    def end(trainer: Trainer, module: Any) -> None:
        trainer.should_stop = module.curriculum.step >= 2

    def endless(trainer: Trainer, module: Any) -> None:
        ran.append(module.curriculum.step)

    ran: list[int] = []
    overrides = ["trainer.max_steps=4", "checkpoint.best="]
    ended = fit(tiny_config(tmp_path, *overrides), callbacks=[Then(end)], whole=True)
    assert checkpoints(ended.folder) == ["step-000002"]
    resumed = fit(tiny_config(tmp_path, "ckpt=last", *overrides), callbacks=[Then(endless)], whole=True)
    assert ran == []
    assert_same_run(resumed, ended)
    fit(tiny_config(tmp_path, "ckpt=last", "ckpt_changes=true", *overrides), callbacks=[Then(endless)], whole=True)
    assert ran == [3, 4]


def test_a_run_that_is_over_resumes_to_the_same_end(finished_run: Fitted, tmp_path: Path) -> None:
    shutil.copytree(finished_run.folder, tmp_path / "tiny")
    cut_back(tmp_path / "tiny", 4)
    resumed = fit(as_finished_run(tmp_path, "ckpt=last"), whole=True)
    assert resumed.recorder.batches == []
    assert_same_run(resumed, finished_run)


def scripted_scores(scores: list[float]) -> Callable[[Problem, str], float]:
    """Return a judge that gives evaluations these scores, in quarters; the four held-out problems have two samples."""
    seen: list[str] = []

    def judge(problem: Problem, response: str) -> float:
        if problem.id not in held_out:
            return starts_with_a(problem, response)
        seen.append(problem.id)
        return float(held_out.index(problem.id) < 4 * scores[(len(seen) - 1) // 8])

    held_out = [problem.id for problem in problems(12)[8:]]
    return judge


def test_the_newest_and_the_best_stay_and_a_resumed_run_knows_the_best(tmp_path: Path) -> None:
    overrides = ["evaluation.every_n_steps=1", "checkpoint.keep=1", "checkpoint.every_n_steps=0"]
    judge = scripted_scores([1.0, 0.25, 0.75, 0.5, 0.75])  # before the first step, then after each
    run = fit(tiny_config(tmp_path, "trainer.max_steps=4", *overrides), judge=judge, whole=True)
    assert checkpoints(run.folder) == ["step-000002", "step-000004"]
    scores = {path.name: read_manifest(path).score for path in (run.folder / "checkpoints").iterdir()}
    assert scores == {name: {"name": "eval/pass@1", "value": 0.75} for name in scores}
    assert find_checkpoint("best", run.folder / "checkpoints") == run.folder / "checkpoints" / "step-000002"
    saved: list[list[str]] = []
    further = fit(
        tiny_config(tmp_path, "trainer.max_steps=7", "ckpt=last", *overrides),
        judge=scripted_scores([0.5, 1.0, 0.5]),
        callbacks=[Then(lambda trainer, module: saved.append(checkpoints(run.folder)))],
        whole=True,
    )
    assert saved == [["step-000002", "step-000004"]] * 2 + [["step-000006"]]
    assert checkpoints(further.folder) == ["step-000006", "step-000007"]


def test_best_can_be_another_scalar_or_none_and_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"checkpoint\.best=eval/pass@4: must be one of eval/pass@1, "):
        fit(tiny_config(tmp_path, "checkpoint.best=eval/pass@4"), whole=True)
    run = fit(tiny_config(tmp_path, "checkpoint.best=", "evaluation.every_n_steps=1"), whole=True)
    assert checkpoints(run.folder) == ["step-000002"]
    assert read_manifest(run.folder / "checkpoints" / "step-000002").score is None


def test_the_newest_stay(tmp_path: Path) -> None:
    overrides = ["trainer.max_steps=5", "checkpoint.every_n_steps=1", "checkpoint.keep=2", "checkpoint.best="]
    run = fit(tiny_config(tmp_path, *overrides), whole=True)
    assert checkpoints(run.folder) == ["step-000004", "step-000005"]


def test_a_damaged_checkpoint_is_replaced_by_a_new_one_of_its_step(tmp_path: Path) -> None:
    damaged = tmp_path / "tiny" / "checkpoints" / "step-000002"
    damaged.mkdir(parents=True)
    (damaged / "meta.pt").touch()
    assert what_is_missing(damaged) == "checkpoint.json is missing"
    run = fit(tiny_config(tmp_path), whole=True)
    assert what_is_missing(damaged) == ""
    assert checkpoints(run.folder) == ["step-000002"]


def test_a_run_saves_when_due_and_at_its_end(finished_run: Fitted) -> None:
    assert checkpoints(finished_run.folder) == ["step-000002", "step-000004"]


def test_a_checkpoint_says_what_it_holds(finished_run: Fitted) -> None:
    saved = finished_run.folder / "checkpoints" / "step-000002"
    manifest = read_manifest(saved)
    assert (manifest.step, manifest.ranks, manifest.evaluation_due) == (2, 1, False)
    assert manifest.score == {
        "name": "eval/pass@1",
        "value": finished_run.evaluation.results[2].domains["math"].pass_at_1,
    }
    assert {"model_type": "qwen2", "hidden_size": 128, "vocab_size": 272}.items() <= manifest.model.items()
    assert {"__0_0.distcp", ".metadata", "meta.pt", "config.yaml"} == set(manifest.files)
    assert "max_steps: 4" in (saved / "config.yaml").read_text()


def test_a_checkpoint_holds_the_whole_curriculum_as_it_was(finished_run: Fitted) -> None:
    meta = torch.load(finished_run.folder / "checkpoints" / "step-000002" / "meta.pt", weights_only=False)
    curriculum = meta["curriculum"]
    assert curriculum["step"] == 2
    assert curriculum["temperature"] == pytest.approx(0.9)
    assert curriculum["solve_rates"] == {"p": 0.5}
    assert set(curriculum) == set(finished_run.policy.curriculum.state_dict())


def test_an_error_that_is_not_the_disks_is_raised_as_it_is(tmp_path: Path) -> None:
    def break_second_save(trainer: Trainer, module: Any) -> None:
        if module.curriculum.step == 2:
            trainer.save_checkpoint = broken  # type: ignore[method-assign]

    def broken(path: Path) -> None:
        raise PermissionError(errno.EACCES, "no")

    config = tiny_config(tmp_path, "trainer.max_steps=3", "checkpoint.every_n_steps=1")
    with pytest.raises(PermissionError):
        fit(config, callbacks=[Then(break_second_save)], whole=True)
    assert checkpoints(tmp_path / "tiny") == ["step-000001"]


FULL_DISK_RUN = '''
import shutil
import sys
from pathlib import Path
from lightning.pytorch import Callback
from tiny_runs import fit, tiny_config
from acereason.errors import UserError

class Ballast(Callback):
    """Fills rank 0's part of a checkpoint, which torch writes without telling why it failed."""
    def __init__(self, size):
        self.size, self.step = size, 0
    def on_train_batch_end(self, trainer, module, *_):
        self.step = module.curriculum.step
    def state_dict(self):
        return {"ballast": bytes(self.size if self.step == 2 else 1)}

root = Path(sys.argv[1])
for name, weights_left, ballast in [("weights", 6, 0), ("meta", 15, 32)]:
    space = shutil.disk_usage(root).free // 2**20
    (root / "other").write_bytes(bytes((space - 10 - weights_left) * 2**20))
    overrides = ["trainer.max_steps=3", "checkpoint.every_n_steps=1", "evaluation.every_n_steps=9", f"run.name={name}"]
    try:
        fit(tiny_config(root, *overrides), callbacks=[Ballast(ballast * 2**20)], whole=True)
    except UserError as error:
        print("error:", error)
    (root / "other").unlink()
    shutil.move(root / name, sys.argv[2])
'''


def test_a_full_disk_is_one_line_and_costs_nothing_that_was_saved(tmp_path: Path) -> None:
    """Checkpoints of 10 MiB on a disk with room for one and a half, and for two but not for all of rank 0's file."""
    disk, left = tmp_path / "disk", tmp_path / "left"
    disk.mkdir()
    left.mkdir()
    mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f"mount -t tmpfs -o size=40m none {disk}"]
    if shutil.which("unshare") is None or subprocess.run(mount).returncode:
        pytest.skip("mounting a small disk takes user namespaces")
    (tmp_path / "run.py").write_text(FULL_DISK_RUN)
    mount[-1] += f' && "$0" {tmp_path / "run.py"} {disk} {left}'
    environment = fresh_environment(PYTHONPATH=f"{ROOT / 'src'}:{ROOT / 'tests'}", OMP_NUM_THREADS="1")
    done = subprocess.run([*mount, sys.executable], cwd=ROOT, env=environment, capture_output=True, text=True)
    said = "".join(
        rf"error: the disk of {disk}/{name}/checkpoints is full \(a checkpoint needs about 9\.\d MiB\): "
        "free some space or set checkpoint\\.keep=1; ckpt=last resumes from step-000001\n"
        for name in ("weights", "meta")
    )
    assert re.fullmatch(said, done.stdout), done.stdout + done.stderr[-2000:]
    for name in ("weights", "meta"):
        assert checkpoints(left / name) == ["step-000001"]
        assert what_is_missing(left / name / "checkpoints" / "step-000001") == ""
