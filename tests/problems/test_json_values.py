import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acereason.problems.json_values import LONGEST_INTEGER, json_text, json_value, without_surrogates

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_plain_values_are_written_and_read_as_json_does(value):
    assert json_text(value) == json.dumps(value)
    assert json_value(json_text(value)) == value


@given(st.lists(VALUES), st.integers(4301, 9000), st.booleans())
def test_long_integers_are_exact_wherever_they_stand(values, digits, negative):
    number = -(10**digits) + 7 if negative else 10**digits - 7
    value = {'a "key"': [values, (number, {"n": number})]}
    assert json_value(json_text(value)) == {'a "key"': [values, [number, {"n": number}]]}


def test_the_longest_integer():
    assert json_value("9" * LONGEST_INTEGER) == 10**LONGEST_INTEGER - 1
    assert json_value(f'[-1{"0" * (LONGEST_INTEGER - 1)}, "x"]') == [-(10 ** (LONGEST_INTEGER - 1)), "x"]
    with pytest.raises(ValueError, match=f"an integer of {LONGEST_INTEGER + 1} digits"):
        json_value("9" * (LONGEST_INTEGER + 1))


def test_what_is_not_json_is_told_as_json_does():
    with pytest.raises(json.JSONDecodeError, match="column 2"):
        json_value("[")
    with pytest.raises(RecursionError):
        json_value("[" * 100_000)
    with pytest.raises(TypeError):
        json_text([{1, 2}])
    with pytest.raises(TypeError):
        json_text([10**5000, {1, 2}])


def test_letters_are_written_as_they_are_where_that_is_wanted():
    assert json_text({"é": 1}, ensure_ascii=False) == '{"é": 1}'
    assert json_text({"é": 10**5000}, ensure_ascii=False).startswith('{"é": 10')


def test_lone_surrogates_are_replaced_and_pairs_are_not():
    text = r'{"a": ["\ud800", "\ud83d\ude00"]}'
    assert without_surrogates(json.loads(text), text) == {"a": ["\ufffd", "\U0001f600"]}


def test_the_interpreters_own_limit_stays():
    assert sys.get_int_max_str_digits() == 4300
