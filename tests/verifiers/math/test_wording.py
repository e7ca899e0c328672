import pytest

from acereason.verifiers.math.compare import compare
from acereason.verifiers.math.reading.tokens import Token, tokenise
from acereason.verifiers.math.reading.typesetting import clean
from acereason.verifiers.math.wording import is_prose, same_choice, same_letters, same_words, spelling


def tokens(text: str) -> list[Token]:
    return tokenise(clean(text))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\text{Yes}", "yes"),
        (r"\text{Yes}", r"\textbf{YES}"),
        ("north east", "northeast"),
        (r"\text{a circle}", "circle"),
        (r"\text{the circle}", r"\text{a Circle}"),
        (r"\text{no solution}", r"\text{No real solutions}"),
        (r"\text{does not exist}", r"\text{DNE}"),
    ],
)
def test_letter_case_spaces_articles_and_small_numbers_do_not_matter_in_words(one: str, other: str) -> None:
    assert same_words(tokens(one), tokens(other))
    assert same_words(tokens(other), tokens(one))


@pytest.mark.parametrize(
    ("one", "other"), [("odd", "even"), ("stop", "spot"), ("yes", "yes because"), ("x", "X"), ("12", "12"), ("", "")]
)
def test_words_do_matter_and_symbols_are_none(one: str, other: str) -> None:
    assert not same_words(tokens(one), tokens(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\text{no solution}", r"\emptyset"),
        (r"\text{no solution}", r"\{\}"),
        (r"\text{all real numbers}", r"\mathbb{R}"),
        (r"\text{Does not exist}", "DNE"),
    ],
)
def test_some_words_mean_a_symbol(one: str, other: str) -> None:
    assert compare(one, other) == compare(other, one) == "correct"


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        (r"2 \sin (x)", r"2\sin(x)"),
        (r"\text{Area} = 5", "area=5"),
        ("1 2", "1 2"),
        ("12", "12"),
        (r"X \leq 1", "X<=1"),
        (r"\text{No solutions}", r"\emptyset"),
    ],
)
def test_tokens_have_one_spelling(text: str, spelled: str) -> None:
    assert spelling(tokens(text)) == spelled


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ("ABC", "ABC", True),
        ("ABC", r"\text{ABC}", None),
        ("ABC", "A B C", True),
        ("ABC", "ACB", False),
        ("ABCD", "ABC", False),
        ("AB", "BA", None),
        ("ABC", "AB", None),
        ("2ABC", "2CBA", None),
        ("ABC", "A+B+C", None),
    ],
)
def test_the_vertices_of_a_figure_have_an_order(one: str, other: str, verdict: bool | None) -> None:
    assert same_letters(tokens(one), tokens(other)) is verdict


@pytest.mark.parametrize("text", ["yes", r"\text{Type A}", "north-east"])
def test_prose(text: str) -> None:
    assert is_prose(tokens(text))


@pytest.mark.parametrize("text", ["", "x", "5", "5 apples", r"\text{area}=4", r"\text{about }\pi"])
def test_what_is_not_only_words(text: str) -> None:
    assert not is_prose(tokens(text))


@pytest.mark.parametrize("answer", ["C", "(C)", r"\text{C}", r"\textbf{(C)}", "(C) 40", "C) 40", "C. 40", "C: 40"])
def test_the_letter_of_a_choice(answer: str) -> None:
    for gold in ("C", "(C)", r"\text{(C)}"):
        assert same_choice(gold, answer) is True
    assert same_choice("D", answer) is False


@pytest.mark.parametrize("answer", ["40", "c", "AC", "C=40", "C+1", "(C)+1", "(C)_1", "(C)!", "X"])
def test_an_answer_that_chooses_nothing(answer: str) -> None:
    assert same_choice("C", answer) is None


def test_a_gold_letter_with_its_content_is_chosen_by_the_letter() -> None:
    assert same_choice("(C) 40", "C") is True
    assert same_choice("(C) 40", r"\text{(D)}") is False
    assert same_choice("(C) 40", "40") is None
    assert same_choice("(C)+1", "C") is None
    assert same_choice("K", "(K)") is None
