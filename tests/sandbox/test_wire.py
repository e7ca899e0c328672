"""Plain data between processes: what goes in comes out, and what no honest side would send raises BadData alone."""

import itertools
import json
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Iterator
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acereason.sandbox import wire
from acereason.sandbox.wire import BadData, Opaque, decode, encode

ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
NUMBERS = st.decimals(allow_nan=False) | st.fractions()
KEYS = st.recursive(
    ATOMS | NUMBERS,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
VALUES = st.recursive(
    ATOMS | NUMBERS | st.sets(KEYS, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.lists(inner, max_size=4).map(deque)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.builds(range, st.integers(), st.integers(), st.integers(min_value=1))
    ),
    max_leaves=10,
)


class Node:
    def __init__(self, value: Any = 0, after: Any = None) -> None:
        self.value, self.after = value, after


class Slotted:
    __slots__ = ("left", "right", "unset")

    def __init__(self, left: Any = None, right: Any = None) -> None:
        self.left, self.right = left, right


CLASSES: dict[type, str] = {Node: "Node", Slotted: "Slotted"}
BY_NAME = {name: cls for cls, name in CLASSES.items()}


def there_and_back(value: Any) -> Any:
    return decode(encode(value, CLASSES), BY_NAME)


def shown(value: Any) -> str:
    """Tells types and the signs of zeros apart, and lets nan be nan; in hexadecimal, since integers may be long."""
    if type(value) is int:
        return hex(value)
    if type(value) in (list, tuple, set, frozenset, deque):
        members = [shown(member) for member in value]
        return (
            f"{type(value).__name__}({', '.join(sorted(members) if isinstance(value, set | frozenset) else members)})"
        )
    if type(value) is dict:
        return f"dict({', '.join(f'{shown(key)}: {shown(entry)}' for key, entry in value.items())})"
    return repr(value)


def message(shape: Any, **other: Any) -> bytes:
    return json.dumps({"v": shape, **other}).encode()


@given(VALUES)
def test_plain_data_comes_back_as_it_was(value: Any) -> None:
    assert shown(there_and_back(value)) == shown(value)


@pytest.mark.parametrize(
    "value",
    [
        *(10**4000 - 1, 10**4000, -(10**4000), 1 << 100_000, [10**4000, 1], [-(10**5000), True, "x"]),
        *(math.inf, -math.inf, -0.0, 5e-324, 0.1 + 0.2, [0.1, 1], 1e308),
        *("\ud800", "\0", "\u2028\u2029", "😀", "</think>", "\x7f\x80"),
        *(b"", bytes(range(256)), bytearray(b"\xff\0")),
        *([], (), set(), frozenset(), {}, deque(), [[]], ((),), {(): {}}, {frozenset({(1, 2)}): [()]}),
        *({"v": 1}, {"t": [1]}, {"i": "0xff"}, {"r": 0}, [{"x": "y"}]),
        *({1: "a", "1": "b", True + 1: "c", None: "d", 1.5: "e"}, {True: 1}, {1.0: 1}),
        *(range(0), range(10, -10, -3), range(10**30), Decimal("1E+400"), Decimal("-0.10"), Fraction(-1, 3)),
    ],
    ids=itertools.count(),
)
def test_unusual_values_come_back_as_they_were(value: Any) -> None:
    assert shown(there_and_back(value)) == shown(value)


class Text(str):
    def __str__(self) -> str:
        return "other"

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


class Whole(int):
    def __int__(self) -> int:
        return 7

    __index__ = __int__

    def __add__(self, other: int) -> int:
        return 7

    def __repr__(self) -> str:
        return "7"


class Real(float):
    def __float__(self) -> float:
        return 7.0

    def __repr__(self) -> str:
        return "7.0"


class Items(list):  # type: ignore[type-arg]
    def __iter__(self) -> Iterator[Any]:
        return iter([7])

    def __len__(self) -> int:
        return 1


class Entries(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        return [(7, 7)]


Colour = IntEnum("Colour", ["RED", "BLUE"])
Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (Text("8"), "8"),
        (Whole(8), 8),
        (Whole(10**5000), 10**5000),
        (Real(8), 8.0),
        (Items([8, 9]), [8, 9]),
        (Entries({8: 9}), {8: 9}),
        (Colour.BLUE, 2),
        (Point(1, (2,)), (1, (2,))),
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict(b=1, a=[2]), {"b": 1, "a": [2]}),
        (defaultdict(list, {"a": [1]}), {"a": [1]}),
        ([Whole(8), Text("8")], [8, "8"]),
    ],
    ids=itertools.count(),
)
def test_subclasses_arrive_as_what_they_extend_whatever_their_methods_say(value: Any, arrives: Any) -> None:
    assert shown(there_and_back(value)) == shown(arrives)


def test_numbers_and_arrays_of_numpy_arrive_as_those_of_python() -> None:
    numpy = pytest.importorskip("numpy")
    assert shown(there_and_back(numpy.float64(0.5))) == "0.5"
    assert shown(there_and_back(numpy.int64(5))) == shown(5)
    assert shown(there_and_back(numpy.bool_(True))) == "True"
    assert shown(there_and_back([numpy.array([[1, 2], [3, 4]]), numpy.str_("a")])) == shown([[[1, 2], [3, 4]], "a"])


@pytest.mark.parametrize("value", [object(), len, Node, json, lambda: 1, Ellipsis, NotImplemented, (i for i in "ab")])
def test_what_is_no_plain_data_arrives_as_a_stranger(value: Any) -> None:
    stranger = there_and_back([value])[0]
    assert isinstance(stranger, Opaque)
    assert stranger.kind == type(value).__name__
    assert repr(stranger) == f"<{stranger.kind}>"
    assert stranger != there_and_back([value])[0]


def test_an_instance_of_a_class_that_was_not_brought_along_is_a_stranger() -> None:
    assert there_and_back([Text, Real])[0].kind == "type"
    assert decode(encode(Node(1), CLASSES), {}).kind == "Node"
    assert decode(encode(Node(1), {}), BY_NAME).kind == "Node"


# Instances


def test_instances_arrive_with_their_attributes() -> None:
    node = there_and_back([Node((1, {2}), Slotted(Node("deep"), 5))])[0]
    assert type(node) is Node
    assert node.value == (1, {2})
    assert type(node.after) is Slotted
    assert (node.after.left.value, node.after.right) == ("deep", 5)
    assert not hasattr(node.after, "unset")


def test_instances_that_are_the_same_arrive_as_the_same() -> None:
    shared = Node("shared")
    left, right = there_and_back([Node(1, shared), Node(2, shared)])
    assert left.after is right.after
    assert left is not right


def test_a_cycle_arrives_as_a_cycle() -> None:
    first, second = Node(1), Node(2)
    first.after, second.after = second, first
    arrived = there_and_back(first)
    assert (arrived.value, arrived.after.value) == (1, 2)
    assert arrived.after.after is arrived
    itself = Node()
    itself.value = [itself]
    assert (arrived := there_and_back(itself)).value[0] is arrived


def test_a_list_of_10000_nodes_is_not_a_deep_one() -> None:
    head = None
    for value in reversed(range(10_000)):
        head = Node(value, head)
    node, values = there_and_back(head), []
    while node:
        values.append(node.value)
        node = node.after
    assert values == list(range(10_000))


# Iterators


def test_iterators_arrive_as_iterators_where_they_are_wanted() -> None:
    arrived = decode(encode([iter([1, 2]), (i * i for i in range(4)), map(str, [5])], iterators=True))
    assert [type(each) for each in arrived] == [type(iter([]))] * 3
    assert [list(each) for each in arrived] == [[1, 2], [0, 1, 4, 9], ["5"]]
    assert isinstance(decode(encode(iter([1]))), Opaque)


def test_iterators_without_end_are_refused() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 1

    with pytest.raises(BadData, match=f"more than {wire.MAX_ITEMS}"):
        encode(endless(), iterators=True)
    assert len(list(decode(encode(iter(range(wire.MAX_ITEMS)), iterators=True)))) == wire.MAX_ITEMS


# Depth


def nested(depth: int, kind: type = list) -> Any:
    value: Any = kind()
    for _ in range(depth):
        value = kind([value])
    return value


@pytest.mark.parametrize("kind", [list, tuple, deque])
def test_depth_is_bounded_on_the_way_out(kind: type) -> None:
    assert there_and_back(nested(100, kind)) == nested(100, kind)
    for depth in (wire.MAX_DEPTH + 1, 10_000):
        with pytest.raises(BadData, match="too deep"):
            encode(nested(depth, kind))


def test_a_list_that_holds_itself_is_too_deep() -> None:
    items: list[Any] = []
    items.append(items)
    entries: dict[str, Any] = {}
    entries["a"] = (entries,)
    for value in (items, entries):
        with pytest.raises(BadData, match="too deep"):
            encode(value)


# Messages that nobody honest sends

HOSTILE = {
    "nothing": b"",
    "no_json": b"v",
    "cut_short": b'{"v": [1, 2',
    "more_behind": b'{"v": 1} {"v": 2}',
    "no_utf_8": b'{"v": "\xff\xfe"}',
    "a_list": b"[1]",
    "a_number": b"1",
    "null": b"null",
    "no_value": b"{}",
    "unknown_tag": message({"!": 1}),
    "private_tag": message({"_value": 1}),
    "method_as_a_tag": message({"__init__": [[], {}]}),
    "no_tag": message({}),
    "two_tags": message({"t": [], "s": []}),
    "tuple_of_a_number": message({"t": 5}),
    "integer_of_no_digits": message({"i": ""}),
    "integer_of_a_list": message({"i": [1]}),
    "complex_of_texts": message({"c": ["1", "2"]}),
    "complex_of_three": message({"c": [1, 2, 3]}),
    "bytes_beyond_latin_1": message({"b": "\u0100"}),
    "bytes_of_a_number": message({"b": 5}),
    "range_with_a_step_of_0": message({"n": [0, 1, 0]}),
    "range_of_decimals": message({"n": [0.5, 1, 1]}),
    "decimal_of_letters": message({"m": "abc"}),
    "decimal_of_a_dict": message({"m": {"s": []}}),
    "fraction_over_0": message({"p": [1, 0]}),
    "fraction_of_decimals": message({"p": [0.5, 1]}),
    "fraction_of_one": message({"p": [1]}),
    "fraction_of_a_million_bits": message({"p": [{"i": hex(1 << 10**6)}, {"i": hex((1 << 10**6) - 1)}]}),
    "set_of_lists": message({"s": [[1]]}),
    "set_of_dicts": message({"s": [{"d": []}]}),
    "set_of_a_text": message({"s": 1}),
    "dict_of_single_keys": message({"d": [[1]]}),
    "dict_of_triples": message({"d": [[1, 2, 3]]}),
    "dict_with_a_list_as_key": message({"d": [[[1], 2]]}),
    "instance_of_no_table": message({"r": 0}),
    "instance_beyond_the_table": message({"r": 7}, o=[["Node", {}]]),
    "instance_by_text": message({"r": "a"}, o=[["Node", {}]]),
    "table_of_numbers": message({"r": 0}, o=[1, 2]),
    "table_of_an_object": message({"r": 0}, o={"a": 1}),
    "table_of_names": message({"r": 0}, o=[["Node"]]),
    "table_of_lists": message({"r": 0}, o=[["Node", [1]]]),
    "class_of_a_list": message({"r": 0}, o=[[[], {}]]),
    "attribute_without_a_slot": message({"r": 0}, o=[["Slotted", {"other": 1}]]),
    "class_as_an_attribute": message({"r": 0}, o=[["Node", {"__class__": 5}]]),
    "dict_as_an_attribute": message({"r": 0}, o=[["Node", {"__dict__": 5}]]),
    "integer_of_5000_digits": b'{"v": ' + b"1" * 5000 + b"}",
    "10000_lists": b'{"v": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "300_lists": message(nested(300)),
    "300_tuples": b'{"v": ' + b'{"t": [' * 300 + b"]}" * 300 + b"}",
    "300_keys": b'{"v": ' + b'{"d": [[' * 300 + b"1" + b", 1]]}" * 300 + b"}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_is_bad_data(name: str) -> None:
    with pytest.raises(BadData):
        decode(HOSTILE[name], BY_NAME)


SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just("0x1f"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(list("irtszqwdcbynmpxv!")), inner, max_size=2)
        | st.lists(st.lists(inner, min_size=2, max_size=2), max_size=3).map(lambda pairs: {"d": pairs})
    ),
    max_leaves=20,
)


@given(SHAPES, st.lists(st.tuples(st.sampled_from(["Node", "Slotted", "Other"]), SHAPES), max_size=3) | SHAPES)
def test_any_json_is_a_value_or_bad_data(shape: Any, table: Any) -> None:
    try:
        decode(message(shape, o=table), BY_NAME)
    except BadData:
        return


@given(st.binary())
def test_any_bytes_are_a_value_or_bad_data(data: bytes) -> None:
    try:
        decode(data)
    except BadData:
        return


HASH = (1 << 61) - 1
"""Integers that differ by a multiple of it have one hash."""


@pytest.mark.parametrize("share", [0.25, 0.49, 0.6, 1.0])
@pytest.mark.parametrize("kind", ["s", "z", "d"])
def test_keys_made_to_collide_are_bad_data(share: float, kind: str) -> None:
    count = 20_000
    keys = [k * HASH if k < share * count else k for k in range(count)]
    with pytest.raises(BadData, match="collide"):
        decode(message({kind: [[key, 0] for key in keys] if kind == "d" else keys}))


@pytest.mark.parametrize(
    "keys", [range(100_000), [k / 7 for k in range(20_000)], [f"{k}" for k in range(20_000)], [-1, -2, *range(9999)]]
)
def test_honest_keys_are_not_taken_for_colliding_ones(keys: Any) -> None:
    assert there_and_back(set(keys)) == set(keys)
    assert there_and_back(dict.fromkeys(keys, 0)) == dict.fromkeys(keys, 0)
    pairs = [(key, key) for key in keys]
    assert there_and_back(dict.fromkeys(pairs, 0)) == dict.fromkeys(pairs, 0)


def test_a_decimal_with_a_huge_exponent_arrives_without_being_written_out() -> None:
    assert decode(message({"m": "1e999999"})) == Decimal("1e999999")
    assert decode(message({"n": [0, 10**300, 1]})) == range(10**300)


def test_attributes_that_are_no_text_or_private_run_nothing() -> None:
    arrived = decode(message({"r": 0}, o=[["Node", {"__eq__": True, "value": 5}]]), BY_NAME)
    assert type(arrived) is Node
    assert arrived != 5
    assert arrived.value == 5
