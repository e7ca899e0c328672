"""An interrupted refilter resumes with what was measured, but not with what was measured of something else."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_runs
from refiltering import IDS, Clock, Quarters, config_of, drawn, histograms, is_seven
from tiny_runs import MODEL, Fitted, fit, problems

from acereason.config.schema import Config
from acereason.errors import StopRequested
from acereason.evaluation import attempts as measured_attempts
from acereason.training.rewind import cut_back


def resumable(root: Path) -> Config:
    """Return the settings of a run that refilters at steps 0 and 2, and saves at step 2 and at the end."""
    overrides = ("trainer.max_steps=4", "checkpoint.every_n_steps=2", "curriculum.max_response_tokens=1")
    return config_of(root, *overrides, every_n_steps=2, keep_solved_at_most=3)


TABLES = ["step-000000.parquet", "step-000002.parquet"]


def fit_with_clock(config: Config, engine: Quarters) -> Fitted:
    return fit(config, engine=engine, judge=is_seven, callbacks=[Clock(engine)], whole=True)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    return fit_with_clock(resumable(tmp_path_factory.mktemp("whole")), Quarters())


def assert_nothing_is_lost(resumed: Fitted, uninterrupted: Fitted, since: int) -> None:
    """Compare pools, draws, histograms and tables with those of a run that resumed after `since` steps."""
    assert resumed.policy.curriculum == uninterrupted.policy.curriculum
    assert drawn(resumed) == drawn(uninterrupted)[since:]
    assert histograms(resumed) == histograms(uninterrupted)
    for name in TABLES:
        path = Path("solve_rates") / name
        assert (resumed.folder / path).read_bytes() == (uninterrupted.folder / path).read_bytes()


class Killed(BaseException):
    """A kill: nothing is saved when it comes."""


# Evaluation of 4 × 2, refilter of 8 × 4, steps 0 and 1 of 8 each, refilter of 6 × 4 in chunks of 8, step 2 of 8.
@pytest.mark.parametrize(
    ("error", "stop_after", "again"),
    [
        (Killed, 56 + 1, 24),
        (Killed, 56 + 17, 8),
        (Killed, 56 + 24 + 5, 0),
        (StopRequested, 56 + 17, 8),
        (StopRequested, 56 + 24 + 5, 0),
    ],
    ids=["killed at its start", "killed in it", "killed after it", "asked to leave in it", "asked to leave after it"],
)
def test_a_run_that_was_interrupted_has_the_same_pool_and_rates(
    uninterrupted: Fitted,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
    stop_after: int,
    again: int,
) -> None:
    monkeypatch.setattr(measured_attempts, "_busy", lambda engines, attempts: 2)
    config = resumable(tmp_path)
    # One that is asked to leave saves there and then; one that is killed had to save before.
    config.checkpoint.every_n_steps = 0 if error is StopRequested else 2
    with pytest.raises(error):
        fit_with_clock(config, Quarters(stop_after, error))
    assert [path.name for path in (tmp_path / "tiny" / "checkpoints").iterdir()] == ["step-000002"]
    cut_back(tmp_path / "tiny", 2)
    config.ckpt = "last"
    engine = Quarters()
    resumed = fit_with_clock(config, engine)
    assert len(engine.asked) == again + 2 * 8 + 4 * 2  # the refilter's rest, two steps, an evaluation
    assert_nothing_is_lost(resumed, uninterrupted, since=2)
    assert resumed.policy.curriculum.pool == [IDS[0], IDS[1], IDS[2], IDS[6], IDS[7]]
    assert sorted(histograms(resumed)) == ["after", "before"]
    for run in (resumed, uninterrupted):
        assert sorted(path.name for path in (run.folder / "solve_rates").iterdir()) == TABLES


# Evaluation of 4 × 2, refilter of 8 × 4 in chunks of 8; nothing is saved before it is over.
@pytest.mark.parametrize(
    ("error", "stop_after", "again"),
    [(Killed, 8 + 1, 32), (Killed, 8 + 17, 16), (StopRequested, 8 + 17, 16), (Killed, 8 + 32 + 5, 0)],
    ids=["killed at its start", "killed in it", "asked to leave in it", "killed after it"],
)
def test_a_run_that_was_interrupted_before_its_first_step_resumes_with_what_was_measured(
    uninterrupted: Fitted,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
    stop_after: int,
    again: int,
) -> None:
    monkeypatch.setattr(measured_attempts, "_busy", lambda engines, attempts: 2)
    config = resumable(tmp_path)
    config.ckpt = "auto"
    with pytest.raises(error):
        fit_with_clock(config, Quarters(stop_after, error))
    assert not (tmp_path / "tiny" / "checkpoints").exists()
    cut_back(tmp_path / "tiny", 0)
    engine = Quarters()
    resumed = fit_with_clock(config, engine)
    # The last evaluation, four steps, and the refilter at step 2, besides what was left of the first refilter.
    assert len(engine.asked) == again + 8 + 4 * 8 + 6 * 4
    assert_nothing_is_lost(resumed, uninterrupted, since=0)


def other_weights(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(Path(config.model.path) / "model.safetensors", (1, 1))


def other_path(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    config.model.path = str(shutil.copytree(config.model.path, f"{config.model.path}-2"))


def other_answers(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = [replace(problem, answer="1234") for problem in problems(12)]
    monkeypatch.setattr(tiny_runs, "problems", lambda count: changed[:count])


def other_quantization(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    config.engine.options = {"quantization": "fp8"}


def nothing_else(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "again"),
    [(other_weights, 32), (other_path, 32), (other_answers, 32), (other_quantization, 32), (nothing_else, 16)],
)
def test_what_was_measured_of_another_policy_or_of_other_problems_is_measured_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Config, pytest.MonkeyPatch], None],
    again: int,
) -> None:
    monkeypatch.setattr(measured_attempts, "_busy", lambda engines, attempts: 2)
    config = config_of(tmp_path, "ckpt=auto", "trainer.max_steps=1", keep_solved_at_most=3)
    config.model.path = str(shutil.copytree(MODEL, tmp_path / "model"))
    with pytest.raises(StopRequested):
        fit(config, engine=Quarters(17), judge=is_seven)
    change(config, monkeypatch)
    engine = Quarters()
    fit(config, engine=engine, judge=is_seven)
    assert len(engine.asked) == again + 8
