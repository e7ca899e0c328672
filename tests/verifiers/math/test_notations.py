import pytest

from acereason.verifiers.math.notations import same_base, same_date, same_time


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        ("20:34", "20:34:00", True),
        ("20:34", "8:34 PM", True),
        ("20:34", r"08{:}34\text{ p.m.}", True),
        ("8:34", "8:34 AM", True),
        ("8:34", "8:34 PM", True),
        ("5 PM", "17:00", True),
        ("12:30 AM", "0:30", True),
        ("12:30 PM", "12:30", True),
        ("20:34", "8:34", False),
        ("8:34 AM", "20:34", False),
        ("8:34 AM", "8:34 PM", False),
        ("20:34", "20:43", False),
        ("20:34:10", "20:34:11", False),
        ("12:00", "1:00", False),
    ],
)
def test_times_of_day(gold: str, answer: str, equal: bool) -> None:
    assert same_time(gold, answer) is equal
    assert same_time(answer, gold) is equal


@pytest.mark.parametrize("text", ["5", "1:2", "25:10", "10:75", "1:2:3", "17", "5 cm", "noon", ""])
def test_what_is_no_time(text: str) -> None:
    assert same_time(text, "10:30") is None
    assert same_time("10:30", text) is None


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        ("March 5", "5 March", True),
        ("March 5", "March 5th", True),
        ("March 5", r"5^{th}\text{ of March}", True),
        ("March 5", "the 5th of MARCH", True),
        ("March 5", "Mar. 5", True),
        ("March 5", r"\text{March }5,\ 2020", True),
        ("March 5", "Thursday, March 5", True),
        ("March 2020", "2020 March", True),
        ("March 5, 2020", "March 5, 2021", False),
        ("March 5", "March 6", False),
        ("March 5", "March 15", False),
        ("March 5", "May 5", False),
        ("March 2020", "March 5", False),
    ],
)
def test_dates(gold: str, answer: str, equal: bool) -> None:
    assert same_date(gold, answer) is equal
    assert same_date(answer, gold) is equal


@pytest.mark.parametrize("text", ["5", "March", "5/3", "March 5 or 6", "March 5 + 1", "May I have 5 apples", ""])
def test_what_is_no_date(text: str) -> None:
    assert same_date(text, "March 5") is None
    assert same_date("March 5", text) is None


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        ("204_5", "204_{5}", True),
        ("204_5", "(204)_5", True),
        ("204_5", "0204_5", True),
        (r"1010_2", r"1010_{\text{two}}", True),
        ("1A3_{16}", "1a3_{16}", True),
        ("10.1_2", "10.10_2", True),
        ("-12_3", "-12_3", True),
        ("204_5", "204_6", False),
        ("204_5", "203_5", False),
        ("12_3", "-12_3", False),
        ("11_2", "3_{10}", False),
    ],
)
def test_two_numbers_with_their_bases(gold: str, answer: str, equal: bool) -> None:
    assert same_base(gold, answer) is equal
    assert same_base(answer, gold) is equal


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        ("1010_2", "1010", True),
        ("1010_2", "10", False),
        ("1A3_{16}", "1A3", True),
        ("1A3_{16}", "419", False),
        ("10", "1010_2", True),
        ("1010", "1010_2", False),
        ("0.5", "0.1_2", True),
    ],
)
def test_an_answer_without_a_base_has_the_golds_digits_and_a_gold_without_one_its_value(
    gold: str, answer: str, equal: bool
) -> None:
    assert same_base(gold, answer) is equal


@pytest.mark.parametrize(
    ("gold", "answer"), [("10", "10"), ("x_1", "x_1"), ("205_5", "205"), ("12_{37}", "12"), ("x", "12_3"), ("a_2", "3")]
)
def test_what_names_no_base(gold: str, answer: str) -> None:
    assert same_base(gold, answer) is None
