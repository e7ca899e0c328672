import pytest

from acereason.verifiers.math.reading.expressions import Unreadable
from acereason.verifiers.math.reading.tokens import COMMAND, LETTER, MAX_TOKENS, WORD, tokenise


def texts(text: str, kind: str | None = None) -> str:
    """The tokens between spaces, or those of one kind."""
    return " ".join(token.text for token in tokenise(text) if kind in (None, token.kind))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("xy", "x y"),
        ("abc", "a b c"),
        ("ABCD", "A B C D"),
        ("lnx", "ln x"),
        ("sin2x", "sin 2 x"),
        ("pir", "p i r"),
        ("xcm", "x c m"),
        ("5m", "5 m"),
        ("10cmx", "10 c m x"),
    ],
)
def test_a_run_of_letters_is_a_product(text: str, tokens: str) -> None:
    assert texts(text) == tokens
    assert texts(text, WORD) == ""


@pytest.mark.parametrize("text", ["east", "East", "odd", "yes", "no", "area", "Tuesday", "apples", "two"])
def test_a_run_of_letters_is_a_word(text: str) -> None:
    assert texts(text, WORD) == text


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("2*sqrt(3)*pi", "sqrt pi"),
        ("sqrtx", "sqrt"),
        ("theta", "theta"),
        ("oo", "infty"),
        ("infinity", "infty"),
        ("[0,1] union [2,3]", "cup"),
        ("gcd(2,4)+max(1,2)", "gcd max"),
        (r"\operatorname{lcm}(2,3)", "lcm"),
        (r"\mathrm{sin}x", "sin"),
        (r"\foo 5", "foo"),
    ],
)
def test_a_run_of_letters_is_a_command(text: str, commands: str) -> None:
    assert texts(text, COMMAND) == commands


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5 cm", "cm"),
        ("5cm^2", "cm"),
        ("5 km/h", "km h"),
        (r"5\text{ m}", "m"),
        (r"5\mathrm{m}", "m"),
        (r"5\text{ m/s}", "m s"),
        (r"5\text{ sq ft}", "sq ft"),
        (r"\mathrm{m}", ""),
        ("5 m", ""),
        ("5cm+x", ""),
    ],
)
def test_a_unit_is_a_word_behind_a_number(text: str, words: str) -> None:
    assert texts(text, WORD) == words


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (r"\text{if}", "if"),
        (r"\text{the area}", "the area"),
        (r"\text{o'clock}", "o'clock"),
        (r"\text{x-axis}", "x-axis"),
        (r"\text{Yes!}", "Yes"),
        (r"\text{42}", "42"),
        (r"\text{1,234}", "1234"),
        (r"\text{(a)}", "( a )"),
        (r"\text{é}", ""),
        (r"x_{\text{min}}", "x _ { min }"),
        (r"\textbf{a}\mathrm{b}", "a b"),
    ],
)
def test_text_is_cut_into_words(text: str, tokens: str) -> None:
    assert texts(text) == tokens


def test_single_letters_in_text_stay_letters() -> None:
    assert texts(r"\text{a}^2", LETTER) == "a"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("1.5", "1.5"),
        (".5", ".5"),
        ("5.", "5."),
        ("1.5.2", "1.5 .2"),
        ("1e5", "1e5"),
        ("1.2E-3", "1.2E-3"),
        ("2e", "2 e"),
        ("2ex", "2 e x"),
        ("1,234,567.5", "1234567.5"),
        ("12,34", "12 , 34"),
        ("0,123", "0 , 123"),
        ("1 234 567", "1234567"),
        ("1 23", "1 23"),
        ("(1,234)", "( 1 , 234 )"),
        (r"\{1,234\}", "\\{ 1 , 234 \\}"),
    ],
)
def test_numbers(text: str, tokens: str) -> None:
    assert texts(text) == tokens


def test_commas_between_three_digits_part_them_when_asked_to() -> None:
    assert [token.text for token in tokenise("1,234", commas_group=False)] == ["1", ",", "234"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (r"a\le b\leq c<=d", "a <= b <= c <= d"),
        (r"a\ge b>=c", "a >= b >= c"),
        (r"a\ne b\neq c!=d", "a != b != c != d"),
        ("3!=6", "3 ! = 6"),
        ("3 != 6", "3 != 6"),
        ("x==2**3", "x = 2 ^ 3"),
        (r"2\cdot3\times4\ast5", "2 * 3 * 4 * 5"),
        (r"6\div2", "6 / 2"),
        (r"1,\ldots,\dots,...", "1 , … , … , …"),
        (r"\lvert x\rvert", "| x |"),
        (r"\lbrace1\rbrace", "\\{ 1 \\}"),
        (r"1\land2\lor3", "1 and 2 or 3"),
    ],
)
def test_marks_have_one_spelling(text: str, tokens: str) -> None:
    assert texts(text) == tokens


def test_a_token_knows_whether_white_space_stands_before_it() -> None:
    assert [token.spaced for token in tokenise("2 1/2")] == [False, True, False, False]


@pytest.mark.parametrize("text", ["五", "é", r"\text{never closed", r"\text{a{b}"])
def test_what_no_mathematics_has_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        tokenise(text)


def test_no_more_than_so_many_tokens_are_cut() -> None:
    assert len(tokenise("x+" * (MAX_TOKENS // 2))) == MAX_TOKENS
    with pytest.raises(Unreadable, match="too many"):
        tokenise("x+" * (MAX_TOKENS // 2) + "x")
