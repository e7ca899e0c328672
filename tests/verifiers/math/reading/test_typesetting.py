import pytest

from acereason.verifiers.math.reading.typesetting import clean


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  5  ", "5"),
        ("5.", "5"),
        ("5,;", "5"),
        ("1,2,..", "1,2,.."),
        ("$5$", "5"),
        ("$$5$$", "5"),
        (r"\(5\)", "5"),
        (r"\[5\]", "5"),
        ("**5**", "5"),
        (r"\boxed{5}", "{5}"),
        (r"\left(1,\,2\right)", "(1, 2)"),
        (r"\bigl(1\bigr)", "(1)"),
        (r"\left.x\right|", "x|"),
        (r"\dfrac12+\tfrac12+\cfrac12", r"\frac12+\frac12+\frac12"),
        (r"\dbinom52", r"\binom52"),
        (r"\displaystyle x", "x"),
        (r"\sum\limits_{k}", r"\sum_{k}"),
        (r"x\quad y~z\;w", "x y z w"),
        (r"2\!\sqrt5", r"2\sqrt5"),
        (r"\phantom{0}5\hspace{1em}", "5"),
        (r"x\tag{1}", "x"),
        (r"\$5", r"\dollar 5"),
        (r"5\%", "5%"),
        (r"\approx 5", "5"),
        ("= 5", "5"),
        (r"a\not=b", r"a\neq b"),
        ("a\u200bb", "ab"),
    ],
)
def test_what_typesetting_alone_asks_for_is_taken_away(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("−5", "-5"),
        ("x²", "x^{2}"),
        ("x⁻¹⁰", "x^{-10}"),
        ("a₁₂", "a_{12}"),
        ("√5", r"\sqrt 5"),
        ("∛8", r"\sqrt[3]8"),
        ("½", r"\frac{1}{2}"),
        ("3½", r"3\frac{1}{2}"),
        ("2π", r"2\pi"),
        ("5 × 3", r"5 \times 3"),
        ("5·3", r"5\cdot 3"),
        ("a ≤ b", r"a \leq b"),
        ("a ≠ b", r"a \neq b"),
        ("x ∈ ℝ", r"x \in \mathbb{R}"),
        ("∞", r"\infty"),
        ("∅", r"\emptyset"),
        ("90°", r"90^{\circ}"),
        ("±2", r"\pm 2"),
        ("\uff08\uff11\uff0c\uff12\uff09", "(1,2)"),
        ("1、2。", "1, 2"),
        ("⟨1,2⟩", r"\langle 1,2\rangle"),
        ("5¢", r"5\text{ cents}"),
    ],
)
def test_unicode_is_written_as_latex(text: str, latex: str) -> None:
    assert clean(text).split() == latex.split()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1{,}234{,}567", "1234567"),
        (r"1,\!234", "1234"),
        (r"1\,234", "1 234"),
        ("3{,}14", "3.14"),
        ("3{,}1415", "3.1415"),
        ("1,234", "1,234"),
    ],
)
def test_commas_in_braces_group_three_digits_or_stand_for_the_point(text: str, number: str) -> None:
    assert clean(text) == number


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (r"2n+1 \text{ for all integers } n", "2n+1"),
        (r"2n+1\text{, where }n\text{ is an integer}", "2n+1"),
        (r"2k\pi, k\in\mathbb{Z}", r"2k\pi"),
        (r"2k\pi,\ k,m \in \mathbf{Z}^+", r"2k\pi"),
        (r"x^2 \quad \forall x \in \mathbb{R}", "x^2"),
        (r"3.14 \text{ (approximately)}", "3.14"),
        (r"x^2 \text{ if } x>0", r"x^2 \text{ if } x>0"),
        (r"x^2 \text{ for all } x>0", r"x^2 \text{ for all } x>0"),
    ],
)
def test_a_qualifier_at_the_end_goes_where_it_limits_nothing(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_two_backslashes_are_one_written_twice_or_end_a_row() -> None:
    assert clean(r"\\frac{1}{2}") == r"\frac{1}{2}"
    assert clean(r"\begin{pmatrix}1\\2\end{pmatrix}") == r"\begin{pmatrix}1 \newline 2\end{pmatrix}"
    assert clean(r"\begin{pmatrix}1\\[2pt]2\end{pmatrix}") == r"\begin{pmatrix}1 \newline 2\end{pmatrix}"


def test_a_letter_u_between_intervals_joins_them() -> None:
    assert clean("[0,1] U [2,3]") == r"[0,1]\cup [2,3]"
    assert clean("2U") == "2U"


def test_a_modulus_in_brackets_has_one_spelling() -> None:
    assert clean("3 (mod 5)") == clean(r"3 (\text{mod } 5)") == clean(r"3 \pmod{5}")


@pytest.mark.parametrize("text", ["(1,2)", r"\frac{1}{2}", r"x\in[0,1)", r"\{1,2\}", r"\text{no solution}"])
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    assert clean(text) == text
