import pytest

from acereason.verifiers.math.symbolic import MAX_CHARS, same_by_sympy


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (r"\int_0^1 x dx", r"\frac{1}{2}"),
        (r"\int_0^1 x dx", "0.5"),
        (r"\int_0^1 x dx", r"\int_0^1 y dy"),
        (r"\int 2x dx", "x^2"),
        (r"\int_0^\pi \sin x dx", "2"),
        (r"\int_{0}^{\infty} e^{-x} dx", "1"),
        (r"\sum_{k=1}^{\infty} 2^{-k}", "1"),
        (r"\sum_{k=1}^{\infty} \frac1{k^2}", r"\frac{\pi^2}6"),
        (r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}"),
        (r"\lim_{x\to0} \frac{\sin x}{x}", "1"),
        (r"\lim_{x\rightarrow\infty} \frac{2x}{x+1}", "2"),
        (r"\frac{d}{dx} x^2", "2x"),
        (r"\int_0^1 a(x+1) dx", r"\frac{3a}{2}"),
        (r"F=\int_0^1 x dx", r"F=\frac12"),
    ],
)
def test_integrals_sums_limits_and_derivatives_are_carried_out(gold: str, answer: str) -> None:
    assert same_by_sympy(gold, answer) is True
    assert same_by_sympy(answer, gold) is True


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (r"\int_0^1 x dx", r"\frac{1}{3}"),
        (r"\int_0^1 x dx", "0.05"),
        (r"\int 2x dx", "x^2+C"),
        (r"\sum_{k=1}^{\infty} 2^{-k}", "2"),
        (r"\frac{d}{dx} x^2", "2y"),
    ],
)
def test_what_sympy_can_tell_apart(gold: str, answer: str) -> None:
    assert same_by_sympy(gold, answer) is False


@pytest.mark.parametrize("text", ["x", "1/2", r"\frac{x}{2}", r"\sin x", r"\sqrt2", "(1,2)", r"\begin{pmatrix}1"])
def test_what_our_own_reader_knows_is_never_asked_for(text: str) -> None:
    assert same_by_sympy(text, text) is None


@pytest.mark.parametrize(
    "text",
    [
        "[x]",
        "3:4",
        "2 3",
        "1.2.3",
        "1,2",
        "n!!",
        "area",
        r"\star x",
        r"\text{about }x",
        r"\overline{x}",
        r"x\%",
        r"\sqrt[n]{x}",
        r"\begin{pmatrix}x\end{pmatrix}",
        "五",
        "x" + "+x" * MAX_CHARS,
        "",
        ")",
        r"\frac{1}",
        r"\lim",
        "x=1=y",
        r"\frac{1}{0}",
    ],
)
def test_what_sympy_would_misread_is_never_given_to_it(text: str) -> None:
    assert same_by_sympy(r"\int_0^1 x dx", text) is None
    assert same_by_sympy(text, r"\int_0^1 x dx") is None


def test_a_letter_before_a_bracket_multiplies_it_unless_it_names_a_function() -> None:
    assert same_by_sympy(r"\int_0^1 a(1) dx", r"\int_0^1 a dx") is True
    assert same_by_sympy(r"\int_0^1 f(1) dx", r"\int_0^1 f dx") is None
