from fractions import Fraction

import pytest

from acereason.verifiers.math.compare import compare, read
from acereason.verifiers.math.exact import exact
from acereason.verifiers.math.reading.units import NONE, as_total, is_percent, read_unit, without_unit


@pytest.mark.parametrize(
    ("text", "factor", "dimensions"),
    [
        ("cm", "1/100", {"length": 1}),
        ("Meters", "1", {"length": 1}),
        ("feet", "381/1250", {"length": 1}),
        ("square feet", "145161/1562500", {"length": 2}),
        ("cubic cm", "1/1000000", {"length": 3}),
        ("miles per hour", "1397/3125", {"length": 1, "time": -1}),
        ("mph", "1397/3125", {"length": 1, "time": -1}),
        ("dollars per pound", "100000/45359237", {"money": 1, "mass": -1}),
        ("week", "604800", {"time": 1}),
        ("mL", "1/1000", {"volume": 1}),
        ("units", "1", {}),
        ("square units", "1", {}),
    ],
)
def test_a_unit_in_words(text: str, factor: str, dimensions: dict[str, int]) -> None:
    unit = read_unit(text)
    assert unit is not None
    assert (unit.factor, dict(unit.dimensions)) == (Fraction(factor), dimensions)


@pytest.mark.parametrize("text", ["apples", "big feet", "students per day"])
def test_words_that_are_no_unit(text: str) -> None:
    assert read_unit(text) is None


@pytest.mark.parametrize(
    ("text", "value", "dimensions"),
    [
        (r"5\text{ cm}", "5", {"length": 1}),
        (r"-5\text{ cm}", "-5", {"length": 1}),
        (r"12\text{ cm}^2", "12", {"length": 2}),
        (r"12\text{ square cm}", "12", {"length": 2}),
        (r"\frac{3}{4}\text{ hour}", "3/4", {"time": 1}),
        (r"\$5", "5", {"money": 1}),
        (r"60\text{ km/h}", "60", {"length": 1, "time": -1}),
        (r"10\text{ m/s}^2", "10", {"length": 1, "time": -2}),
        (r"\frac{60\text{ km}}{2\text{ hours}}", "30", {"length": 1, "time": -1}),
        (r"(3\text{ cm})^2", "9", {"length": 2}),
        ("5", "5", {}),
    ],
)
def test_a_value_and_its_unit(text: str, value: str, dimensions: dict[str, int]) -> None:
    node, unit = without_unit(read(text).node)
    assert exact(node, {}) == Fraction(value)
    assert unit is not None
    assert dict(unit.dimensions) == dimensions


def test_other_words_behind_a_value_are_no_unit_and_are_left_out() -> None:
    assert without_unit(read("8 apples").node) == (read("8").node, None)


@pytest.mark.parametrize("text", [r"x\text{ if }x>0", r"10\text{ except }0", r"5\text{ minus }3", r"\text{yes}", "x+y"])
def test_words_that_say_something_stay(text: str) -> None:
    node = read(text).node
    assert without_unit(node) == (node, NONE)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (r"2\text{ hours }42\text{ minutes}", 9720),
        ("1 hour 1 minute 1 second", 3661),
        (r"3\text{ days }4\text{ hours}", 273600),
    ],
)
def test_a_quantity_in_several_units_is_a_sum(text: str, seconds: int) -> None:
    value, unit = without_unit(as_total(read(text).node))
    assert unit is not None
    assert exact(value, {}) == seconds / unit.factor


@pytest.mark.parametrize(
    "text", [r"2\text{ hours }42\text{ cm}", r"2\text{ hours}", r"2x\text{ hours }3\text{ minutes}"]
)
def test_what_is_no_sum_stays(text: str) -> None:
    assert as_total(read(text).node) == read(text).node


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (r"1\text{ m}", r"100\text{ cm}"),
        ("1 ft", "12 in"),
        (r"1\text{ km}^2", r"1000000\text{ m}^2"),
        ("1 kg", "1000 grams"),
        ("2 weeks", "14 days"),
        ("2 years", "24 months"),
        (r"2\text{ hours }42\text{ minutes}", r"2.7\text{ hours}"),
        (r"2\text{ hours }42\text{ minutes}", r"162\text{ minutes}"),
        (r"5\text{ ft }6\text{ in}", r"66\text{ in}"),
        (r"60\text{ mph}", r"60\text{ miles per hour}"),
        (r"60\text{ mph}", r"1\text{ mile per minute}"),
        (r"36\text{ km/h}", r"10\text{ m/s}"),
        (r"\$3.50", "350 cents"),
        ("50 cents", r"\$0.50"),
        ("€5", "5 euros"),
        ("10 cm", "10"),
        ("10 cm", "10 apples"),
        (r"12\text{ sq ft}", r"12\text{ ft}^2"),
        (r"5\text{ students per day}", "5"),
    ],
)
def test_quantities_that_are_equal(gold: str, answer: str) -> None:
    assert compare(gold, answer) == compare(answer, gold) == "correct"


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("5 m", "5 cm"),
        (r"5\text{ m}", r"5\text{ cm}"),
        (r"5\text{ m}", r"5\text{ kg}"),
        (r"12\text{ cm}^2", r"12\text{ cm}^3"),
        (r"10\text{ m/s}", r"10\text{ m/s}^2"),
        (r"60\text{ mph}", r"60\text{ km/h}"),
        ("1 year", "365 days"),
        ("£5", r"\$5"),
        (r"2\text{ hours }42\text{ minutes}", r"2.42\text{ hours}"),
        (r"10\text{ cm if }x>0", "10"),
        ("5 million", "5"),
        ("1 hour", "60"),
        ("3m", "3"),
        ("m", "1"),
    ],
)
def test_quantities_that_differ(gold: str, answer: str) -> None:
    assert "correct" not in (compare(gold, answer), compare(answer, gold))


def test_per_cent_in_words() -> None:
    assert all(is_percent(word) for word in ("percent", "Percent", "percentage"))
    assert not is_percent("cent")
