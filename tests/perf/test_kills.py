"""A run that is killed, all its processes at once, goes on with the numbers of the run that nobody touched."""

import pytest
from perf_scripts import PATIENCE_SECONDS, smoke, tables

pytestmark = pytest.mark.timeout(PATIENCE_SECONDS + 60)


@pytest.mark.parametrize("ranks", [1, 2])
def test_killed_while_saving_and_while_generating_the_run_ends_as_if_it_had_not_been(ranks: int) -> None:
    said = smoke("perf.resume.kills", "--ranks", str(ranks))
    assert len(tables(said)[0]) == 2
    assert "killed while saving" in said
    assert "killed while generating" in said
    assert f"identical on {ranks} rank(s)" in said
