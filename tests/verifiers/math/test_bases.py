import pytest

from acereason.verifiers.math.bases import same_base


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
