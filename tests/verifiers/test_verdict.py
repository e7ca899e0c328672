"""What counts as a judgement of a response, what is the verifier's own failure, and which part is judged."""

import pytest

from acereason.verifiers.verifier import JUDGED_REASONS, NOTHING_TO_JUDGE, Verdict, after_thinking


def test_a_limit_that_a_test_ran_into_is_a_judgement_of_the_program() -> None:
    for reason in ("timeout", "memory", "output_limit", "wrong_answer"):
        assert Verdict(0.0, "p", reason, 1.0, first_failing_test=0).judged
    for reason in ("timeout", "memory", "crashed", "no_worker", "closed", "no_tests", "error_OSError"):
        assert not Verdict(0.0, "p", reason, 1.0).judged


def test_a_response_with_nothing_to_judge_has_earned_its_0() -> None:
    assert NOTHING_TO_JUDGE & JUDGED_REASONS["math"] == {"no_think_end", "no_answer", "empty", "unbalanced"}
    assert NOTHING_TO_JUDGE & JUDGED_REASONS["code"] == {"no_think_end", "no_code", "empty"}
    for reason in ("correct", "wrong", "passed", "syntax_error", *NOTHING_TO_JUDGE):
        assert Verdict(0.0, "", reason, 0.0).judged


@pytest.mark.parametrize(
    ("response", "rest"),
    [("a</think>b", "b"), ("a</think>b</think>c", "c"), ("a</think>", ""), ("a", None), ("a</THINK>b", None)],
)
def test_only_what_follows_the_last_think_end_is_read(response: str, rest: str | None) -> None:
    assert after_thinking(response) == rest
