"""A curriculum that is killed in each stage ends as if it had not been."""

import pytest
from perf_scripts import PATIENCE_SECONDS, smoke, tables

pytestmark = pytest.mark.timeout(PATIENCE_SECONDS + 60)


def test_killed_in_each_stage_in_a_refilter_and_at_the_end_of_one_a_curriculum_ends_as_if_it_had_not_been() -> None:
    # With the engine that starts sooner; `test_kills.py` kills the other one.
    said = smoke("perf.resume.curriculum_kills")
    assert len(tables(said)[0]) == 4
    assert "killed while the end of short is evaluated" in said
    assert "killed in the middle of the refilter of longer" in said
    assert "killed in code" in said
    assert "killed in longest" in said
    assert "identical on 1 rank(s)" in said
