"""Outputs and values are compared exactly, but for the last digits of decimals, and whatever they hold."""

import copy
import math
import time
from collections import deque
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from acereason.verifiers.code.compare import same_output, same_value

examples = settings(derandomize=True, deadline=None, max_examples=300)
nan, inf = math.nan, math.inf


# --- outputs


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("7\n", "7"),
        ("7", "7\n\n\n"),
        ("7\n", "7\r\n"),
        ("7\n8\n", "7  \n8\t\n"),
        ("7\n8\n", "7 \t \r\n8\n \n\t\n"),
        ("7 \n8 \n", "7\n8"),
        ("a\n\nb", "a\n\t\nb"),
        ("", "\n"),
        ("", ""),
        ("a\x0b\f\n", "a"),
    ],
)
def test_white_space_at_line_ends_is_ignored(expected: str, printed: str) -> None:
    assert same_output(expected, printed)
    assert same_output(printed, expected)


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("YES", "Yes"),
        ("7", " 7"),
        ("1 2", "1  2"),
        ("1 2", "1\n2"),
        ("a\nb", "a\n\nb"),
        ("a", "\na"),
        ("7", ""),
        ("", "0"),
        ("a", "a\n."),
        ("a b", "a\tb"),
        ("a b", "a\u00a0b"),
        ("a", "a\u00a0"),
        ("a", "a\x00"),
        ("a\nb", "a\rb"),
        ("10", "1_0"),
        ("10", "\uff11\uff10"),
        ("10", "10.0"),
        ("10", "1e1"),
        ("10", "+10"),
        ("10", "010"),
        ("1000000", "1000001"),
        ("1" * 5000 + "0", "1" * 5000 + "1"),
    ],
)
def test_all_else_is_exact(expected: str, printed: str) -> None:
    assert not same_output(expected, printed)


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("0.333333333333", "0.3333333333333333"),
        ("0.5", "0.50"),
        ("0.5", ".5"),
        ("0.5", "+5e-1"),
        (".5", "0.5"),
        ("2.0", "2"),
        ("2.0", "2."),
        ("1e3", "1000"),
        ("1E+03", "1000.0"),
        ("1e20", "1" + "0" * 20),
        ("-0.0", "0.0"),
        ("0.0", "1e-10"),
        ("1000000.0", "1000000.9"),  # 9e-7 of it
        ("-1.5", "-1.50"),
        ("Area: 1.5, (2.50,-3.0) [4.0]", "Area: 1.50, (2.5,-3) [4.00000001]"),
        ("x=1.5%", "x=1.50%"),
        ("It is 1.5.", "It is 1.50."),
        ("It is 1.5...", "It is 1.50..."),
        ("1.5 - 2.5", "1.50 - 2.50"),
        ("3 0.5\n2.5 7", "3 0.50\r\n2.50 7\n"),
        ("0.5 " * 3, "0.50 .5 0.500 \n"),
    ],
)
def test_decimals_within_tolerance(expected: str, printed: str) -> None:
    assert same_output(expected, printed)


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("0.5", "0.5000011"),
        ("1000000.0", "1000001.1"),
        ("0.0", "1e-8"),
        ("1.5", "-1.5"),
        ("0.5", "0,5"),
        ("0.5", "1/2"),
        ("0.5", "0.5x"),
        ("0.5", "0.5 0.5"),
        ("0.5 0.5", "0.5"),
        ("0.5", "0.5.0"),
        ("0.5", "\uff10.\uff15"),
        ("0.5", "\u0660.\u0665"),
        ("10.5", "1_0.5"),
        ("0.5", "nan"),
        ("0.5", "inf"),
        ("nan", "NaN"),
        ("inf", "Infinity"),
        ("1e999", "2e999"),
        ("1e999", "inf"),
        ("0.5 3", "0.50 4"),
        ("3 0.5", "3.0 0.50"),
        ("0.5  3", "0.50 3"),
        ("0.5\n3", "0.50 3"),
    ],
)
def test_decimals_out_of_tolerance(expected: str, printed: str) -> None:
    assert not same_output(expected, printed)


@pytest.mark.parametrize(
    "text",
    ["v1.5", "1.5x", "1.2.5", "1.5-2", "2-1.5", "1.5+2", "a_1.5", "1.5e", "0x1.5", "py-1.5", "1.5é", "\uff111.5"],
)
def test_what_is_no_number_by_itself_is_text(text: str) -> None:
    assert same_output(text, text)
    assert not same_output(text, text.replace("5", "50"))


def test_a_number_beyond_all_floats_is_text_among_decimals() -> None:
    assert same_output("1e999 0.5", "1e999 0.50")
    assert not same_output("1e999 0.5", "1e998 0.50")


texts = st.text(st.sampled_from("01.5e+-_ \n\r\tax") | st.characters(exclude_categories=()), max_size=40)
trailing = st.text(" \t\r\f\v", max_size=4)


@examples
@given(text=texts, spaces=st.lists(trailing, min_size=41, max_size=41), end=st.text(" \n\t\r", max_size=5))
def test_any_text_equals_itself_with_other_line_ends(text: str, spaces: list[str], end: str) -> None:
    lines = [line + space for line, space in zip(text.split("\n"), spaces, strict=False)]
    assert same_output(text, "\n".join(lines) + end)
    assert same_output("\n".join(lines) + end, text)


@examples
@given(one=texts, other=texts)
def test_texts_without_decimals_are_equal_when_their_lines_are(one: str, other: str) -> None:
    assume("." not in one and "e" not in one.lower())
    lines, others = ([line.rstrip(" \t\r\f\v") for line in text.split("\n")] for text in (one, other))
    while lines and not lines[-1]:
        lines.pop()
    while others and not others[-1]:
        others.pop()
    assert same_output(one, other) == (lines == others)


@examples
@given(
    numbers=st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=6),
    place=st.integers(0, 5),
    change=st.floats(2e-6, 1.0) | st.floats(-1.0, -2e-6),
)
def test_each_decimal_has_its_tolerance(numbers: list[float], place: int, change: float) -> None:
    expected = " ".join(f"{number:.12f}" for number in numbers)
    assert same_output(expected, ", ".join(map(repr, numbers)).replace(", ", " "))
    assert same_output(expected, " ".join(f"{number:.9e}" for number in numbers))
    changed = list(numbers)
    changed[place % len(numbers)] += change * max(1.0, abs(changed[place % len(numbers)]))
    assert not same_output(expected, " ".join(map(repr, changed)))


def seconds(one: str, other: str) -> float:
    """Processor time of a comparison, the best of three."""
    times = []
    for _ in range(3):
        started = time.process_time()
        same_output(one, other)
        times.append(time.process_time() - started)
    return min(times)


@pytest.mark.parametrize(
    "unit", ["1", "1.", "0.5 ", "1e", "+-", "9e9", " ", "\t", " \t\n", "\r\n", "\n", "x", "-", "_"]
)
def test_the_time_to_compare_grows_with_the_length(unit: str) -> None:
    short, long = (unit * (count // len(unit)) for count in (20_000, 320_000))
    # Sixteen times the text: 16 times as long, or 256 times if every place looked at all others.
    assert seconds(long + "a", long + "b") < 60 * seconds(short + "a", short + "b") + 0.05
    assert seconds("0.5 a", long + "b") < 60 * seconds("0.5 a", short + "b") + 0.05


def test_ten_megabytes_that_are_equal_take_no_look_at_each_line() -> None:
    expected = "123456789\n" * 1_000_000
    assert seconds(expected, expected[:-1]) < 0.5
    assert seconds(expected, expected.replace("\n", "\r\n")) < 2.0


# --- values


class AlwaysEqual:
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


class EqualInt(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


@pytest.mark.parametrize(
    ("expected", "returned"),
    [
        (None, None),
        (True, True),
        (2, 2),
        (2, 2.0),
        (10**400, 10**400),
        (0.3, 0.1 + 0.2),
        (2.0, 2),
        (1e6, 1_000_000.9),
        (0.0, -0.0),
        (1e20, 10**20 + 1),
        (nan, float("nan")),
        (inf, inf),
        (1 + 2j, 1 + 2.0000000001j),
        (1 + 0j, 1),
        ("é", "é"),
        (b"a", b"a"),
        ([1, 2], (1, 2)),
        ((1, [2, (3,)]), [1, (2, [3])]),
        ([], ()),
        ([0.3], (0.1 + 0.2,)),
        ([1, "a", None], [1.0, "a", None]),
        ({}, {}),
        ({"a": [1]}, {"a": (1,)}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"1": "a", "2": "b"}, {1: "a", 2: "b"}),
        ({"1": 1, "2": 2}, {1: 1, "2": 2}),
        ({"1.5": 1, "true": 2, "null": 3, "1": 4}, {1.5: 1, True: 2, None: 3, "1": 4}),
        ({"NaN": 1, "-Infinity": 2, "1e+30": 3, "-7": 4}, {nan: 1, -inf: 2, 1e30: 3, -7: 4}),
        ({1: "a"}, {1.0: "a"}),
        ({(1, (2, 3)): "a"}, {(1, (2, 3)): "a"}),
        ({1: "a", "1": "b"}, {"1": "b", 1: "a"}),
        ({1, 2}, frozenset({2, 1})),
        (set(), frozenset()),
        ({1, 2}, {1.0, 2.0}),
        ({0.3, 1}, {0.1 + 0.2, 1}),
        ({0.3, 1.0}, {0.1 + 0.2, 1}),
        ({nan, 0.3}, {0.1 + 0.2, float("nan")}),
        ({"a", (1, 2), frozenset({3})}, {"a", (1, 2), frozenset({3})}),
        ({(nan,), True}, {(float("nan"),), True}),
        ([{1}, {2}], ({1}, {2})),
    ],
)
def test_values_that_are_equal(expected: Any, returned: Any) -> None:
    assert same_value(expected, returned)


@pytest.mark.parametrize(
    ("expected", "returned"),
    [
        (True, 1),
        (1, True),
        (False, 0),
        (1.0, True),
        (True, 1.0),
        (None, 0),
        (None, False),
        (None, ""),
        (1, "1"),
        ("1", 1),
        ("a", b"a"),
        ("a", "a "),
        ("a", "A"),
        ("a", ["a"]),
        (2, 2.0000001),
        (2, 2 + 0j),
        (2**53 + 1, float(2**53)),
        (10**400, 10**400 + 1),
        (10**400, inf),
        (inf, 10**400),
        (1e308, 10**400),
        (0.3, 0.3001),
        (1e6, 1_000_001.1),
        (0.0, 1e-8),
        (nan, 0.0),
        (0.0, nan),
        (nan, None),
        (inf, -inf),
        (inf, 1e308),
        (1 + 2j, 1 - 2j),
        (1j, 10**400),
        ([1, 2], [2, 1]),
        ([1, 2], [1, 2, 3]),
        ([1, 2], [1]),
        ([1], {1}),
        ({1}, [1]),
        ([1], [True]),
        ([1, 2, "a"], [1, True, "a"]),
        ([], None),
        ([], {}),
        ({}, set()),
        ([[1]], [1]),
        ([1], [[1]]),
        ([1, 2], range(1, 3)),
        ([1, 2], deque([1, 2])),
        ([1], iter([1])),
        ("a", ["a"]),
        (b"a", bytearray(b"a")),
        (1, Decimal(1)),
        (0, AlwaysEqual()),
        (0, EqualInt(0)),
        ([0, 1], [0, AlwaysEqual()]),
        ([0, 1], [0, EqualInt(1)]),
        ({0}, {AlwaysEqual()}),
        ({1}, {EqualInt(1)}),
        ({0: 1}, {AlwaysEqual(): 1}),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 1}, {"a": 1}),
        ({"a": 1}, [("a", 1)]),
        ({1: "a"}, {"1": "a"}),
        ({1: "a"}, {True: "a"}),
        ({"1": "a"}, {True: "a"}),
        ({"1": "a"}, {1.0: "a"}),
        ({"1.0": "a"}, {1: "a"}),
        ({"True": "a"}, {True: "a"}),
        ({"1": "a", "1.0": "a"}, {1: "a", 2: "a"}),
        ({"1": "a", 1: "a"}, {1: "a", 2: "a"}),
        ({"01": "a"}, {1: "a"}),
        ({0.3: "a"}, {0.1 + 0.2: "a"}),
        ({1}, {True}),
        ({1, 2}, {1, 3}),
        ({1, 2}, {1}),
        ({1, 0.5}, {0.5, True}),
        ({0.3, 1}, {0.1 + 0.2, 1.0000001}),
        ({0.3, 0.5}, {0.1 + 0.2, "0.5"}),
        ({nan}, {0.5}),
        ({(0.3,)}, {(0.1 + 0.2,)}),
        ({(1, 2)}, {(1, True)}),
        ({(1, 2)}, {frozenset({1, 2})}),
        ({frozenset({1})}, {frozenset({True})}),
    ],
)
def test_values_that_differ(expected: Any, returned: Any) -> None:
    assert not same_value(expected, returned)


def test_what_is_no_plain_data_does_not_even_equal_itself() -> None:
    for unknown in (AlwaysEqual(), EqualInt(1), object(), Decimal(1), int, range(3), deque()):
        assert not same_value(unknown, unknown)
        assert not same_value([unknown], [unknown])


def nested(depth: int, value: Any = None) -> Any:
    for _ in range(depth):
        value = [value]
    return value


def test_depth_is_no_danger() -> None:
    assert same_value(nested(100_000), nested(100_000))
    assert not same_value(nested(100_000, 1), nested(100_000, 2))
    assert not same_value(nested(100_000), nested(99_999))
    assert not same_value([1], nested(100_000))
    left: Any = {}
    right: Any = {}
    for _ in range(100_000):
        left, right = {"a": left}, {"a": right}
    assert same_value(left, right)
    deep: Any = ()
    for _ in range(500):
        deep = (deep,)
    assert not same_value({deep}, {deep})
    assert not same_value({deep: 1}, {deep: 1})


def test_what_holds_itself_or_shares_its_parts_is_followed_as_far_as_the_expected_value_goes() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert not same_value(nested(50), loop)
    assert not same_value([1], loop)
    shared: Any = [1]
    for _ in range(200):
        shared = [shared, shared]
    assert not same_value(nested(200), shared)


def test_size_is_no_danger() -> None:
    digits = 10**1_000_000
    assert same_value(digits, 10**1_000_000)
    assert not same_value(digits, digits + 1)
    assert not same_value(1.5, digits)
    assert not same_value(digits, 1.5)
    assert same_value({digits: 1}, {digits: 1})
    assert not same_value({"1": 1}, {digits: 1})
    numbers = list(range(300_000))
    assert same_value(numbers, tuple(numbers))
    assert same_value([[n, 0.5] for n in numbers], [(n, 0.5) for n in numbers])
    assert same_value(set(numbers), frozenset(numbers))
    assert same_value({str(n): n for n in numbers}, {n: n for n in numbers})
    assert not same_value(numbers, [*numbers[:-1], True])


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.complex_numbers(allow_nan=False)
)
keys = st.recursive(scalars.filter(lambda key: key == key), lambda inner: st.tuples(inner, inner), max_leaves=4)
values = st.recursive(
    scalars | st.sets(keys, max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3) | keys, inner, max_size=4)
    ),
    max_leaves=12,
)


def retyped(value: Any) -> Any:
    """The same with lists for tuples, tuples for lists, frozensets for sets and the dicts the other way round."""
    if isinstance(value, list | tuple):
        return (tuple if isinstance(value, list) else list)(map(retyped, value))
    if isinstance(value, dict):
        return {key: retyped(part) for key, part in reversed(value.items())}
    return frozenset(value) if isinstance(value, set) else value


@examples
@given(value=values)
def test_any_value_equals_its_copies(value: Any) -> None:
    assert same_value(value, value)
    assert same_value(value, copy.deepcopy(value))
    assert same_value(value, retyped(value))


@examples
@given(one=values, other=values)
def test_values_that_python_tells_apart_differ_but_for_decimals(one: Any, other: Any) -> None:
    if same_value(one, other):
        assert simple(one) == simple(other)


@examples
@given(value=values, data=st.data())
def test_a_value_changed_in_one_place_differs(value: Any, data: st.DataObject) -> None:
    places = list(leaves(value))
    assume(places)
    place = data.draw(st.sampled_from(places))
    for other in ("no such text", object(), [None, {}], 1e300):
        assert not same_value(value, changed(value, place, other))


def simple(value: Any) -> Any:
    """The value with lists for tuples and one number for all."""
    if isinstance(value, list | tuple):
        return [simple(part) for part in value]
    if isinstance(value, dict):
        return [len(value), sorted(repr(simple(part)) for part in value.values())]
    if isinstance(value, set | frozenset):
        return {len(value)}
    return 0 if isinstance(value, int | float | complex) and not isinstance(value, bool) else value


def leaves(value: Any) -> list[tuple[Any, ...]]:
    """The ways to all that holds nothing else."""
    if isinstance(value, list | tuple):
        return [(index, *way) for index, part in enumerate(value) for way in leaves(part)]
    if isinstance(value, dict):
        return [(key, *way) for key, part in value.items() for way in leaves(part)]
    return [()]


def changed(value: Any, way: tuple[Any, ...], other: Any) -> Any:
    """The value with something else at the end of a way."""
    if not way:
        return other
    if isinstance(value, dict):
        return {key: changed(part, way[1:], other) if key == way[0] else part for key, part in value.items()}
    return [changed(part, way[1:], other) if index == way[0] else part for index, part in enumerate(value)]
