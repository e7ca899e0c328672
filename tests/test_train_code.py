"""Code rewards in training: real programs of the laptop policy, run in the real sandbox, on one rank and on two."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from test_train_run import TINY, run, succeed, values

CODE = [*TINY, "problems.domain=code", "problems.levels=[1,3]", "problems.held_out=0", "checkpoint.export=false"]


@pytest.mark.parametrize("ranks", [1, 2])
def test_programs_are_rewarded_for_passing_their_tests(tmp_path: Path, ranks: int) -> None:
    succeed(f"run.root={tmp_path}", "run.name=code", *CODE, "trainer.max_steps=2", f"trainer.devices={ranks}")
    folder = tmp_path / "code"
    assert 0 < max(values(folder, "reward/mean")) <= 1
    assert values(folder, "reward/unjudged") == [0, 0]
    assert all(seconds >= 0 for seconds in values(folder, "time/verify_exposed"))
    rows = [row for file in sorted((folder / "rollouts").glob("*.parquet")) for row in pq.read_table(file).to_pylist()]
    assert {row["reward"] for row in rows if row["reason"] == "passed"} == {1.0}
    assert {row["reward"] for row in rows if row["reason"] != "passed"} <= {0.0}


def test_code_rewards_that_cannot_be_isolated_refuse_to_start(tmp_path: Path) -> None:
    done = run(f"run.root={tmp_path}", *CODE, "sandbox.without=[namespaces,landlock]", "trainer.max_steps=1")
    assert done.returncode == 2
    assert "code rewards need file-system isolation" in done.stderr
    assert not list(tmp_path.iterdir())
