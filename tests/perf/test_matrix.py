"""Models of every family that is listed train, in each type, with and without checkpointing, on one rank and on two."""

from itertools import combinations

import pytest
from perf_scripts import PATIENCE_SECONDS, ROOT, smoke, tables

from perf.training.families import FAMILIES
from perf.training.matrix import DTYPES, LAYOUTS, pairs

pytestmark = pytest.mark.timeout(PATIENCE_SECONDS + 60)


def test_each_two_values_of_two_factors_meet_in_a_run() -> None:
    runs = pairs(FAMILIES)
    factors = {"family": FAMILIES, "dtype": DTYPES, "checkpointing": (False, True), "layout": LAYOUTS}
    for first, second in combinations(factors, 2):
        met = {(getattr(run, first), getattr(run, second)) for run in runs}
        assert met == {(a, b) for a in factors[first] for b in factors[second]}


def test_engine_and_policy_agree_and_checkpointing_changes_no_gradient() -> None:
    (rows,) = tables(smoke("perf.training.matrix"))
    assert len(rows) == 4 * len(FAMILIES)
    assert not [row for row in rows if row.endswith("BEYOND")]


def test_the_page_lists_the_families() -> None:
    page = (ROOT / "docs" / "reference" / "models.md").read_text("utf-8")
    for name, family in FAMILIES.items():
        engine = "both" if family.engine.value == "vllm" else "`transformers`"
        assert f"| {name} | `{family.model_type}` | {family.shown} | {engine} |" in page
