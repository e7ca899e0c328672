import subprocess
import sys

import pytest

from acereason.problems.problem import Problem
from acereason.verifiers.math.verifier import MathVerifier, extract_answer, judge_answer, verify_math
from acereason.verifiers.verifier import Extraction


def test_a_response_is_judged_by_its_last_box_after_the_last_think_end() -> None:
    assert verify_math("5", r"\boxed{4}</think>\boxed{4} no, \boxed{5}").reason == "correct"
    assert verify_math("5", r"\boxed{5}").reason == "no_think_end"
    assert verify_math("5", r"\boxed{5}</think> I forgot to answer").reason == "no_answer"
    assert verify_math("5", r"</think>\boxed{4}</think>\boxed{5}").reward == 1.0
    assert verify_math("5", r"</think>\boxed{5}</think>\boxed{4}").reward == 0.0


def test_what_keeps_an_answer_from_being_found_is_its_reason() -> None:
    assert extract_answer(r"</think>\boxed{ 5 }") == Extraction("5", "")
    assert extract_answer(r"\boxed{5}") == Extraction("", "no_think_end")
    assert extract_answer("</think>5") == Extraction("", "no_answer")
    assert extract_answer(r"</think>\boxed{}") == Extraction("", "empty")
    assert extract_answer(r"</think>\boxed{5") == Extraction("", "unbalanced")


def test_the_verdict_names_what_was_found() -> None:
    verdict = MathVerifier().judge(Problem("p", "math", "2+3?", answer="5"), "6")
    assert (verdict.reward, verdict.extracted, verdict.reason) == (0.0, "6", "wrong")
    assert verdict.seconds > 0
    nothing = verify_math("5", "no box</think>")
    assert (nothing.reward, nothing.extracted, nothing.seconds) == (0.0, "", 0.0)


def test_extracting_and_judging_is_verifying() -> None:
    verifier, problem = MathVerifier(), Problem("p", "math", "?", answer=r"\frac12")
    found = verifier.extract(r"</think> It is \boxed{0.5}.")
    assert found == Extraction("0.5", "")
    assert verifier.judge(problem, found.answer).reward == 1.0


def test_only_correct_is_rewarded() -> None:
    reasons = {answer: judge_answer("5", answer) for answer in ("5", "6", "9^{9^9}", r"5 \star 1", "5+" * 3000 + "0")}
    assert [verdict.reason for verdict in reasons.values()] == ["correct", "wrong", "too_large", "unparsed", "too_long"]
    assert [verdict.reward for verdict in reasons.values()] == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert judge_answer("", "").reward == 0.0


@pytest.mark.parametrize(
    "answer",
    [
        "{" * 100_000 + "5" + "}" * 100_000,
        r"\frac{1" * 50_000,
        r"\boxed{" * 100_000,
        r"\text " * 100_000,
        "1," * 200_000,
        "9" * 1_000_000 + "x",
        " " * 500_000 + "x",
        "\\" * 200_001,
        "(" * 450 + "5" + ")" * 450,
        "\x00\ud800\N{ARABIC-INDIC DIGIT FIVE}x",
    ],
)
def test_hostile_text_is_judged_wrong(answer: str) -> None:
    verdict = verify_math("5", f"</think>\\boxed{{{answer}}}")
    assert verdict.reward == 0.0
    assert not verdict.reason.startswith("error")


def test_sympy_is_imported_for_integrals_and_their_like_alone() -> None:
    code = r"""
import sys
from acereason.verifiers.math.verifier import judge_answer
pairs = (
    ("1/2", "0.5"), ("3", "4"), (r"\sin 2x", r"2\sin x\cos x"), (r"[0,1)\cup(2,3]", "0<x<1"), ("x=1,y=2", "(1,2)"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", "(1,2)"), (r"\sqrt{10^{200}+1}", "10^{100}"), (r"\sum_{k=1}^{9}k", "45"),
    (r"5\star 1", "5"),
)
for gold, answer in pairs:
    judge_answer(gold, answer)
assert not {"sympy", "torch"} & set(sys.modules)
assert judge_answer(r"\int_0^1 x dx", r"\frac12").reward == 1
assert "sympy" in sys.modules and "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
