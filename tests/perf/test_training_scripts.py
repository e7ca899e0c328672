"""Scripts that train, or start engines, at their smallest size."""

import pytest
from perf_scripts import PATIENCE_SECONDS, ROOT, WITH_A_MODEL, scripts, smoke, tables

pytestmark = pytest.mark.timeout(PATIENCE_SECONDS + 60)

BY_THEMSELVES = {
    "perf.resume.kills": "tests/perf/test_kills.py",
    "perf.resume.curriculum_kills": "tests/perf/test_curriculum_kills.py",
    "perf.training.matrix": "tests/perf/test_matrix.py",
}
"""Scripts whose smallest run is a test with more to say."""


@pytest.mark.parametrize(
    "script", [script for script in scripts() if script.startswith(WITH_A_MODEL) and script not in BY_THEMSELVES]
)
def test_at_its_smallest_size_a_script_prints_its_tables(script: str) -> None:
    found = tables(smoke(script))
    assert found
    assert all(found)


@pytest.mark.parametrize("script", BY_THEMSELVES)
def test_the_others_are_run_by_tests_of_their_own(script: str) -> None:
    assert f'smoke("{script}"' in (ROOT / BY_THEMSELVES[script]).read_text("utf-8")
