"""Programs that were written without sight of the judge get the verdicts that plain Python says they deserve."""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from code_problems import found_isolation
from fairness_cases import CASES, FAIR, LIMITS, WRONG, Case

from acereason.config.schema import SandboxConfig
from acereason.evaluation.verify.answer_rows import code_problem
from acereason.problems.problem import Problem
from acereason.sandbox.isolation import NONE, Isolation
from acereason.verifiers.pool.pool import VerifierPool
from acereason.verifiers.verifier import Verdict

PATIENCE = 250.0
MAKES_A_PROCESS = ("subprocess", "os.fork", "multiprocessing")


def problem(case: Case) -> Problem:
    """The problem of a row as `acereason verify` reads it."""
    tests = {"inputs": case.inputs, "outputs": case.outputs, "fn_name": case.fn_name}
    row = {"kind": case.kind, "tests": tests, "time_limit_s": case.time_limit_s}
    return code_problem(row, Problem(case.name, "code", ""))


@pytest.fixture(scope="module")
def isolation() -> Isolation:
    return found_isolation(SandboxConfig())


@pytest.fixture(scope="module")
def verdicts(isolation: Isolation) -> Iterator[dict[str, Future[Verdict]]]:
    """All programs go through one pool at once, the slowest first."""
    with VerifierPool(workers=3, timeout_seconds=PATIENCE, memory_mib=2048, domains=("code",)) as pool:
        yield {case.name: pool.submit_answer(problem(case), source(case)) for case in (*LIMITS, *FAIR, *WRONG)}


def source(case: Case) -> str:
    """A blank program would be `empty` without a judgement."""
    return case.code or "# nothing\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_verdict_is_what_plain_python_says(
    case: Case, verdicts: dict[str, Future[Verdict]], isolation: Isolation
) -> None:
    if isolation.mode == NONE and any(word in case.code for word in MAKES_A_PROCESS):
        pytest.skip("programs cannot start processes here")
    verdict = verdicts[case.name].result(PATIENCE)
    assert verdict.reason in case.reasons
    assert verdict.reward == float(case.reasons == ("passed",))
    assert verdict.extracted == source(case)
    assert (verdict.first_failing_test is None) == (verdict.reason == "passed")


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
