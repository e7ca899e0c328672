import pytest

from acereason.verifiers.math.compare import MAX_CHARS, compare, decide

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
    # expressions
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
    ("50^2", r"50\%^2"),
    ("x", "X"),
    ("3R^2", "3r^2"),
    ("204_5", "204_6"),
    ("(0,9)", "[0,9)"),
    ("(1,2)", "(2,1)"),
    ("1", r"\{1, 2\}"),
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
    assert compare(gold, answer) == "correct"
    assert compare(answer, gold) == "correct"


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_different(gold: str, answer: str) -> None:
    assert compare(gold, answer) in {"wrong", "unparsed"}
    assert compare(answer, gold) in {"wrong", "unparsed"}


@pytest.mark.parametrize("answer", sorted({side for pair in EQUAL + DIFFERENT for side in pair}))
def test_everything_equals_itself(answer: str) -> None:
    assert compare(answer, answer) == "correct"


# Where it matters which of the two is the gold one: what it leaves open, the answer may fix, not the other way round.
ONE_WAY = [
    ("3:4", r"\frac{3}{4}"),
    ("204_5", "204"),
    ("10", "1010_2"),
    (r"0.5\%", "0.5"),
    ("2,3", "2,3,3"),
]


@pytest.mark.parametrize(("gold", "answer"), ONE_WAY)
def test_what_only_the_gold_may_leave_open(gold: str, answer: str) -> None:
    assert compare(gold, answer) == "correct"
    assert compare(answer, gold) == "wrong"


@pytest.mark.parametrize(
    ("gold", "answer", "stage"),
    [
        ("12", "012.0", "number"),
        ("12", "13", "number"),
        (r"\dfrac{1}{2}", r"\frac{1}{2}", "text"),
        (r"\text{Yes}", "yes", "text"),
        ("C", "(C)", "text"),
        ("9:30", "9:30 a.m.", "text"),
        ("March 5", "5 March", "text"),
        ("204_5", "(204)_5", "text"),
        ("0.5", r"\frac12", "structure"),
        ("[0,1)", "0<x<1", "structure"),
        (r"\int_0^2 x dx", "2", "sympy"),
        ("5", r"5 \star 1", "none"),
    ],
)
def test_the_cheapest_means_that_can_tell_decides(gold: str, answer: str, stage: str) -> None:
    assert decide(gold, answer)[1] == stage


@pytest.mark.parametrize(("gold", "answer"), [("", "5"), (" ", "5"), ("$ $", "5"), ("", "")])
def test_a_problem_without_an_answer_says_so(gold: str, answer: str) -> None:
    assert compare(gold, answer) == "no_gold"


def test_an_answer_that_is_only_layout_is_wrong() -> None:
    assert compare("5", "$ $") == "wrong"
    assert compare("5", "") == "wrong"


@pytest.mark.parametrize("answer", [r"\begin{pmatrix}5", r"\star", "5+", "(5", "5)", r"\frac{5}", "五"])
def test_what_cannot_be_read_says_so(answer: str) -> None:
    assert compare("5", answer) == "unparsed"
    assert compare(answer, answer + ".") == "correct"


@pytest.mark.parametrize("answer", ["9^{9^{9^9}}", "(10^9)!", r"\binom{10^9}{10^8}", r"\sum_{k=1}^{10^9} k"])
def test_what_cannot_be_computed_says_so(answer: str) -> None:
    assert compare("5", answer) == "too_large"
    assert compare(answer, f"({answer})") == "correct"


def test_long_texts_are_compared_as_numbers_or_as_text() -> None:
    sum_of_ones = "1+" * (MAX_CHARS // 2) + "1"
    assert len(sum_of_ones) > MAX_CHARS
    assert compare("5", sum_of_ones) == "too_long"
    assert compare(sum_of_ones, f" {sum_of_ones} ") == "correct"
    assert compare("7" * 2 * MAX_CHARS, "7" * 2 * MAX_CHARS + ".0") == "correct"


def test_numbers_beyond_pythons_digit_limit_compare_exactly() -> None:
    million = "7" * 1_000_000
    assert compare(million, "0" + million + ".0") == "correct"
    assert compare(million, million[:-1] + "6") == "wrong"
    assert compare("7", million) == "wrong"


def test_commas_between_three_digits_group_them_or_part_them() -> None:
    assert compare("1,234", "1234") == "correct"
    assert compare("1,234", "234,1") == "correct"
    assert compare("1,234", "235,1") == "wrong"
    assert compare("(1,234)", "1234") == "wrong"
