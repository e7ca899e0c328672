import subprocess
import sys

import pytest

from acereason.problems.problem import Problem
from acereason.rewards.math.compare import compare
from acereason.rewards.math.extraction import after_thinking, extract_boxed
from acereason.rewards.math.verifier import MathVerifier, verify_math


def reason_for(gold: str, answer: str) -> str:
    return verify_math(gold, f"<think> so </think> The answer is $\\boxed{{{answer}}}$.").reason


# --- extraction


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{5}", "5"),
        (r"first \boxed{4}, then \boxed{5}.", "5"),
        (r"\boxed{\frac{1}{\sqrt{2}}} done", r"\frac{1}{\sqrt{2}}"),
        (r"\boxed {5}", "5"),
        (r"\boxed{ 5 }", "5"),
        (r"\fbox{5}", "5"),
        (r"\boxed 5", "5"),
        (r"so $\boxed 12$.", "12"),
        (r"\boxed \frac{1}{2}.", r"\frac{1}{2}"),
        (r"\boxed{\boxed{5}}", r"\boxed{5}"),
        (r"\boxed{x=\fbox{3}}", r"x=\fbox{3}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"a stray } and { before \boxed{5}", "5"),
        (r"\boxed{4 never closed, \boxed{5}", "5"),
        (r"\boxedness \boxed{5} \boxedup{6}", "5"),
    ],
)
def test_last_box(text: str, answer: str) -> None:
    assert extract_boxed(text) == (answer, "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("the answer is 5", "no_answer"),
        ("", "no_answer"),
        (r"\boxed", "no_answer"),
        (r"\boxed{}", "empty"),
        (r"\boxed{  }", "empty"),
        (r"\boxed{5", "unbalanced"),
        (r"\boxed{4} and finally \boxed{\frac{5", "unbalanced"),
        (r"\boxed{5\}", "unbalanced"),
    ],
)
def test_no_box(text: str, reason: str) -> None:
    assert extract_boxed(text) == ("", reason)


def test_only_what_follows_the_last_think_end_counts() -> None:
    assert after_thinking(r"a</think>b</think>c") == "c"
    assert after_thinking("a") is None
    assert verify_math("5", r"\boxed{5}").reason == "no_think_end"
    assert verify_math("5", r"\boxed{5}</think> I forgot to answer").reason == "no_answer"
    assert verify_math("5", r"</think>\boxed{4}</think>\boxed{5}").reward == 1.0
    assert verify_math("5", r"</think>\boxed{5}</think>\boxed{4}").reward == 0.0


def test_verdict_names_what_was_found() -> None:
    verdict = MathVerifier().judge(Problem("p", "math", "2+3?", answer="5"), "6")
    assert (verdict.reward, verdict.extracted, verdict.reason) == (0.0, "6", "wrong")
    assert verdict.seconds > 0


# --- equality

EQUAL = [
    # the same text but for typesetting
    ("8", "8"),
    ("8", "8."),
    ("8", r"\boxed{8}"),
    ("8", "$8$"),
    ("8", "{8}"),
    (r"\left(3, 4\right)", "(3,4)"),
    (r"\dfrac{a}{b}", r"\frac ab"),
    (r"\tfrac79", r"\frac{7}{9}"),
    (r"\text{odd}", r"\mathrm{odd}"),
    (r"\text{Tuesday}", "Tuesday"),
    (r"a \le b", r"a\leq b"),
    ("\N{MINUS SIGN}7", "-7"),
    (r"\sqrt5", r"\sqrt{5}"),
    ("204_{5}", "204_5"),
    # exact numbers
    ("5", "5.0"),
    ("5", "05"),
    ("-5", "- 5"),
    ("0", "-0"),
    ("0.25", r"\frac14"),
    ("0.25", ".25"),
    ("1/4", r"\frac{2}{8}"),
    (r"-\frac{3}{4}", r"\frac{-3}{4}"),
    ("3", "6/2"),
    (r"3\frac12", "3.5"),
    ("1234567", "1,234,567"),
    ("1234567", r"1{,}234{,}567"),
    ("1234567", r"1\,234\,567"),
    ("1234567", r"1,\!234,\!567"),
    ("1" + "0" * 5000, "1" + "0" * 5000 + ".00"),
    # sympy
    ("x^2+2x+1", "(x+1)^2"),
    ("n(n+1)", "n^2+n"),
    (r"\sqrt{12}", r"2\sqrt3"),
    (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"),
    (r"2^{100}", "1267650600228229401496703205376"),
    (r"\sin^2 t+\cos^2 t", "1"),
    (r"e^{i\pi}", "-1"),
    (r"\log_2 32", "5"),
    (r"\frac{3\pi}{2}", r"1.5\pi"),
    ("0.1+0.2", "0.3"),
    ("20!", "2432902008176640000"),
    ("1.2 x^{0.5}", r"\frac{6}{5}\sqrt{x}"),
    ("7", "x=7"),
    ("x=7", "7"),
    ("y=2x+3", "y=3+2x"),
    ("a<b", "b>a"),
    ("(1/2, 3)", r"\left(0.5, \frac{6}{2}\right)"),
]

DIFFERENT = [
    ("100000", "100001"),
    ("2^{100}", "2^{100}+1"),
    ("9" * 5000, "9" * 4999 + "8"),
    ("1/3", "0.333333333"),
    (r"\pi", "3.14159265358978"),
    ("5", "-5"),
    ("12", "1 2"),
    ("12", "1, 2"),
    ("1234", "12,34"),
    ("1.234", "1,234"),
    ("1234", "1, 234"),
    (r"2\frac{5}{8}", r"\frac{10}{8}"),
    ("0.5", r"0.5\%"),
    ("50^2", r"50\%^2"),
    ("x", "X"),
    ("3R^2", "3r^2"),
    ("204_5", "204_6"),
    ("(0,9)", "[0,9)"),
    ("(1,2)", "(2,1)"),
    ("1", r"\{1, 2\}"),
    ("3/4", "3:4"),
    (r"3\pm\sqrt2", r"\sqrt2\pm3"),
    (r"\text{stop}", r"\text{spot}"),
    ("0", r"\frac{dy}{dx}"),
    ("-4", "-4, 4"),
    ("x=7", "x=8"),
    ("x=7", "y=7"),
    ("a<b", "a>b"),
    ("1=1", "2=2"),
    (r"\frac{1}{0}", r"\frac{2}{0}"),
    ("x", r"\sqrt{x^2}"),
]


@pytest.mark.parametrize(("gold", "answer"), EQUAL)
def test_equal(gold: str, answer: str) -> None:
    assert reason_for(gold, answer) == "correct"


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_different(gold: str, answer: str) -> None:
    assert reason_for(gold, answer) in {"wrong", "unparsed"}


@pytest.mark.parametrize("answer", sorted({side for pair in EQUAL + DIFFERENT for side in pair}))
def test_everything_equals_itself(answer: str) -> None:
    assert compare(answer, answer) == "correct"


def test_a_problem_without_an_answer_rewards_nothing() -> None:
    assert reason_for("", "5") == "no_gold"
    assert reason_for("$ $", "5") == "no_gold"


def test_what_cannot_be_read_says_so() -> None:
    assert reason_for("5", r"\begin{pmatrix}5") == "unparsed"
    assert reason_for("5", "5+" * 3000 + "0") == "too_long"
    assert reason_for("5", "9^{9^{9^9}}") == "too_large"


def test_numbers_beyond_pythons_digit_limit_compare_exactly() -> None:
    million = "7" * 1_000_000
    assert reason_for(million, "0" + million + ".0") == "correct"
    assert reason_for(million, million[:-1] + "6") == "wrong"
    assert reason_for("7", million) == "wrong"


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


def test_numbers_and_text_do_not_need_sympy() -> None:
    code = (
        "import sys; from acereason.rewards.math.verifier import verify_math as v; "
        r"assert v('1/2', r'</think>\boxed{0.5}').reward == 1; assert v('3', r'</think>\boxed{4}').reward == 0; "
        "assert not {'sympy', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
