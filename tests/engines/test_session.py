"""A session without a Trainer: the code of the page works as it stands, on one rank and on two."""

import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fresh_process import fresh_environment
from tiny_runs import JudgeHere, problems, starts_with_a, tiny_config

from acereason.engines.collect import SamplingJob
from acereason.engines.engine import Sampling
from acereason.engines.session import model_context, open_session
from acereason.errors import UserError
from acereason.tables import RESPONSES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "sample_and_judge.md").read_text(encoding="utf-8")


def run_page(folder: Path, *launcher: str) -> list[str]:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 15
    script = folder / "look.py"
    script.write_text(code)
    (folder / "models").symlink_to(ROOT / "models")
    env = fresh_environment(PYTHONPATH=f"{ROOT / 'src'}:{ROOT}", OMP_NUM_THREADS="1")
    command = [sys.executable, *launcher, str(script)]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    lines = run_page(folder)
    assert len(lines) == 8
    assert all(re.fullmatch(r"Start at .*: [0-4] of 4, \d+ tokens", line) for line in lines)
    return folder / "look.parquet"


def test_the_page_samples_judges_and_leaves_a_table(one_rank: Path) -> None:
    rows = pq.read_table(one_rank).to_pylist()
    assert len(rows) == 8 * 4
    assert list(rows[0]) == list(RESPONSES)
    assert {row["reason"] for row in rows} <= {"correct", "wrong", "no_think_end", "no_answer"}
    assert sum(row["reward"] for row in rows) > 0


def test_the_page_names_every_column(one_rank: Path) -> None:
    named = re.findall(r"^\| (`[^|]*`) \|", PAGE, re.MULTILINE)
    assert {name for cell in named for name in re.findall(r"`(\w+)`", cell)} == set(RESPONSES)


def test_two_ranks_join_share_the_work_and_leave_the_same_bytes(one_rank: Path, tmp_path: Path) -> None:
    lines = run_page(tmp_path, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    assert len(lines) == 8
    assert (tmp_path / "look.parquet").read_bytes() == one_rank.read_bytes()


def test_a_session_has_what_sampling_takes_and_ends_it(tmp_path: Path) -> None:
    config, pool = tiny_config(tmp_path), JudgeHere(starts_with_a)
    with open_session(config, problems(4), pool=pool) as session:  # type: ignore[arg-type]
        assert list(session.prompts) == [problem.id for problem in problems(4)]
        longest = max(len(prompt.ids) for prompt in session.prompts.values())
        assert session.longest_response == model_context("models/laptop") - longest
        job = SamplingJob(list(session.prompts.values()), 2, Sampling(3), lambda problem, sample: sample)
        groups = session.engines.collect(job).groups
        assert [len(group) for group in groups] == [2] * 4
        assert all(r.verdict.reward == starts_with_a(r.problem, r.response) for group in groups for r in group)
        assert not pool.closed
    assert pool.closed


def test_what_decides_responses_is_the_model_the_problems_and_the_verifiers(tmp_path: Path) -> None:
    config, pool = tiny_config(tmp_path), JudgeHere(starts_with_a)
    other = tiny_config(tmp_path, "rewards.timeout_seconds=9")
    more_workers = tiny_config(tmp_path, "rewards.workers=3")
    texts = []
    for settings in (config, other, more_workers):
        with open_session(settings, problems(2), pool=pool) as session:  # type: ignore[arg-type]
            texts.append([session.decided_by(), session.decided_by([problems(2)[0].id]), session.decided_by(step=1)])
    assert len(set(texts[0])) == 3
    assert texts[2] == texts[0]
    assert not set(texts[1]) & set(texts[0])


def test_prompts_that_leave_no_room_are_refused_before_an_engine_starts(tmp_path: Path) -> None:
    pool = JudgeHere(starts_with_a)
    with (
        pytest.raises(UserError, match=r"responses of 4090 tokens .* context of 4096 tokens"),
        open_session(tiny_config(tmp_path), problems(2), longest_response=4090, pool=pool),  # type: ignore[arg-type]
    ):
        pass
    assert pool.closed


def test_ranks_that_nobody_started_and_no_problems_are_refused(tmp_path: Path) -> None:
    alone = tiny_config(tmp_path, "trainer.devices=2")
    with (
        pytest.raises(UserError, match=r"trainer.devices=2: 2 ranks, but nobody started them; use torchrun"),
        open_session(alone, problems(2)),
    ):
        pass
    with pytest.raises(UserError, match="no problems"), open_session(tiny_config(tmp_path), []):
        pass


def test_settings_out_of_bounds_are_refused(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "engine.tensor_parallel_size=2")
    with pytest.raises(UserError, match=r"engine.tensor_parallel_size=2"), open_session(config, problems(2)):
        pass
