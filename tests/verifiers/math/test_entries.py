from fractions import Fraction

import pytest

from acereason.verifiers.math.compare import read
from acereason.verifiers.math.entries import MAX_SIGNS, Entry, entries, named_entry, records_of, sign_choices
from acereason.verifiers.math.exact import exact
from acereason.verifiers.math.reading.expressions import children


def listed(text: str) -> list[tuple[str | None, str]]:
    """What every entry has before its equals sign, if anything, and behind it as far as the test wrote it."""
    return [(entry.name, WRITTEN[entry.value]) for entry in entries(read(text).node)]


WRITTEN = {
    read(text).node: text for text in ("1", "2", "3", "-3", "4", "5", "6", "(1,2)", "(3,4)", r"\{1,2\}", "[0,1)", "2x")
}
WRITTEN |= {entry.value: text for text, entry in zip(("+3", "-3"), entries(read(r"\pm3").node), strict=True)}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("5", "5"),
        ("1,2", "1 2"),
        ("1;2", "1 2"),
        (r"1\text{ or }2", "1 2"),
        ("1,2, and 3", "1 2 3"),
        (r"\{1,2\}", "1 2"),
        (r"\{\}", ""),
        (r"\pm3", "+3 -3"),
        (r"\{1,\pm3\}", "1 +3 -3"),
        ("(1,2)", "(1,2)"),
        ("(1,2),(3,4)", "(1,2) (3,4)"),
        ("1,2;3,4", "(1,2) (3,4)"),
        (r"\{\{1,2\},3\}", r"\{1,2\} 3"),
        ("[0,1)", "[0,1)"),
        (r"\begin{cases}1\\2\end{cases}", "1 2"),
    ],
)
def test_what_is_listed(text: str, values: str) -> None:
    assert listed(text) == [(None, value) for value in values.split()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x=5", [("x", "5")]),
        ("5=x", [("x", "5")]),
        ("x=1,2", [("x", "1"), ("x", "2")]),
        (r"x=1\text{ or }x=2", [("x", "1"), ("x", "2")]),
        ("x=1,y=2", [("x", "1"), ("y", "2")]),
        (r"x=\pm3", [("x", "+3"), ("x", "-3")]),
        ("(x,y)=(1,2)", [("tuple(x,y)", "(1,2)")]),
        ("f(x)=2x", [("apply f(x)", "2x")]),
    ],
)
def test_entries_with_names(text: str, found: list[tuple[str, str]]) -> None:
    assert listed(text) == found


@pytest.mark.parametrize("text", ["7=11a+c", "x+y=1", "x<5", "a=b=3", "5", "2x=10"])
def test_what_has_no_name(text: str) -> None:
    assert named_entry(read(text).node) is None


def test_of_two_names_the_first_is_the_name() -> None:
    assert named_entry(read("x=y").node) == Entry("x", read("y").node)


def values_of(text: str) -> list[dict[str, str]]:
    records = records_of(entries(read(text).node))
    return [{name: WRITTEN[value] for name, value in record.items()} for record in records]


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("x=1,y=2", [{"x": "1", "y": "2"}]),
        ("x=1,y=2;x=3,y=4", [{"x": "1", "y": "2"}, {"x": "3", "y": "4"}]),
        ("x=1,y=2,x=3,y=4", [{"x": "1", "y": "2"}, {"x": "3", "y": "4"}]),
        (r"x=1\text{ and }y=2", [{"x": "1", "y": "2"}]),
        ("x=5", []),
        ("x=1,x=2", []),
        ("1,2", []),
        ("(x,y)=(1,2)", [{"x": "1", "y": "2"}]),
    ],
)
def test_entries_of_several_names_are_records(text: str, records: list[dict[str, str]]) -> None:
    assert values_of(text) == records


def sign_values(text: str) -> list[Fraction | None]:
    return [exact(node, {}) for node in sign_choices(read(text).node)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", [5]),
        (r"\pm3", [3, -3]),
        (r"\mp3", [-3, 3]),
        (r"1\pm2", [3, -1]),
        (r"2(1\pm3)+1", [9, -3]),
        (r"\frac{1\pm3}{2}", [2, -1]),
        (r"\pm1\pm2", [3, 1, -1, -3]),
        (r"\pm1\mp2", [-1, 1]),
        (r"(1\pm2)(3\mp1)", [6, -4]),
    ],
)
def test_every_value_that_the_signs_can_give(text: str, expected: list[int]) -> None:
    assert sorted(sign_values(text)) == sorted(expected)


def test_signs_in_brackets_vary_with_the_others() -> None:
    points = sign_choices(read(r"(\pm1,\mp2)").node)
    assert [[exact(part, {}) for part in children(point)] for point in points] == [[1, -2], [-1, 2]]


def test_an_expression_of_more_signs_is_its_only_value() -> None:
    assert len(sign_choices(read(r"\pm1" * MAX_SIGNS).node)) == 2**MAX_SIGNS
    many = read(r"\pm1" * (MAX_SIGNS + 1)).node
    assert sign_choices(many) == [many]
