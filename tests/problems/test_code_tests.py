import copy
import pickle

import pytest

from acereason.problems.code_tests import CodeTest, CodeTests

STDIN = [CodeTest("1 2\n", "3\n"), CodeTest("", "")]
CALL = [CodeTest([[1], {"k": None}], 2.5), CodeTest([10**5000, True], "\ud800")]


@pytest.mark.parametrize("tests", [[], STDIN, CALL])
def test_what_was_packed_comes_back(tests):
    packed = CodeTests.pack(tests)
    assert list(packed) == tests
    assert (len(packed), bool(packed)) == (len(tests), bool(tests))
    assert packed[-1:] == tests[-1:] and [packed[n] for n in range(len(tests))] == tests
    assert list(reversed(packed)) == tests[::-1]
    for again in (CodeTests(packed.packed), pickle.loads(pickle.dumps(packed)), copy.deepcopy(packed)):
        assert again == packed and list(again) == tests


def test_an_index_that_is_not_there():
    with pytest.raises(IndexError):
        CodeTests.pack(STDIN)[2]


def test_what_json_does_not_tell_apart_comes_back_as_json_has_it():
    [test] = CodeTests.pack([CodeTest([(1, 2)], {3: "x"})])
    assert test == CodeTest([[1, 2]], {"3": "x"})


def test_equal_content_is_equal_and_hashes_alike():
    packed = CodeTests.pack(STDIN)
    assert packed == CodeTests.pack(iter(STDIN)) == STDIN == packed
    assert packed == tuple(STDIN) and packed != STDIN[:1] and packed != "text" and packed != [1]
    assert CodeTests() == CodeTests.pack([]) and CodeTests() == [] and CodeTests() == ()
    assert hash(packed) == hash(CodeTests.pack(STDIN))
    assert CodeTests.pack(CALL) == CALL


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0, False), ("1", 1), ([1], [True])])
def test_expected_values_that_python_calls_equal_are_different_tests(one, other):
    assert CodeTests.pack([CodeTest([], one)]) != CodeTests.pack([CodeTest([], other)])


def test_it_cannot_be_changed():
    with pytest.raises(AttributeError):
        CodeTests.pack(STDIN).packed = b""


def test_long_tests_are_held_small():
    packed = CodeTests.pack([CodeTest("1 " * 500_000, "500000\n")] * 10)
    assert len(packed.packed) < 100_000
    assert repr(packed) == "<10 tests>"


@pytest.mark.parametrize(("output", "error"), [({1, 2}, TypeError), (b"x", TypeError)])
def test_what_json_cannot_hold_is_not_packed(output, error):
    with pytest.raises(error):
        CodeTests.pack([CodeTest([], output)])


def test_what_is_nested_too_deeply_is_not_packed():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(RecursionError):
        CodeTests.pack([CodeTest([], nested)])
