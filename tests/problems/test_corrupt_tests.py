"""Spoilt tests do what they are spoilt for, before the judge's own comparison, and never undo each other."""

import json

import pytest

from acereason.config.schema import DomainName, ProblemsConfig
from acereason.errors import UserError
from acereason.problems.code_tests import CodeTest, CodeTests
from acereason.problems.corrupt_tests import with_wrong_tests
from acereason.problems.problem import Problem
from acereason.verifiers.code.compare import same_output, same_value


def problem(number: int, *outputs: object) -> Problem:
    return Problem(f"p{number}", "code", "", tests=CodeTests.pack(CodeTest("", output) for output in outputs))


def spoilt(problems: list[Problem], negatives: float = 0.0, positives: float = 0.0) -> list[Problem]:
    shares = {"false_negatives": negatives, "false_positives": positives}
    return with_wrong_tests(problems, ProblemsConfig(domain=DomainName.code, **shares))


def expected_of_all(output: object) -> object:
    """What the last test of a problem expects once it is spoilt."""
    [found] = spoilt([problem(0, "first", output)], negatives=1.0)
    first, last = found.tests
    assert first.output == "first"
    return last.output


TEXTS = [
    "3.141592653",
    "1000000.0",
    "1e300",
    "0.5 0.25\n",
    "42",
    "yes",
    "",
    "\n",
    "1\n2\n\n",
    "x 1",
    "-0.0",
    "inf",
    "0.",
]
VALUES = [
    3.141592653,
    1e6,
    0.0,
    1e300,
    5,
    -1,
    0,
    2**70,
    True,
    False,
    None,
    "3.5",
    "",
    "a ",
    [],
    [0.5],
    [[]],
    {},
    {"1": 2},
]


@pytest.mark.parametrize("text", TEXTS, ids=json.dumps)
def test_what_a_right_program_prints_is_wrong(text: str) -> None:
    wanted = str(expected_of_all(text))
    assert not same_output(wanted, text)
    assert not same_output(wanted, text.rstrip())
    if text == "1000000.0":
        assert not same_output(wanted, "1e6")


@pytest.mark.parametrize("value", VALUES, ids=json.dumps)
def test_what_a_right_function_returns_is_wrong(value: object) -> None:
    wanted = expected_of_all(value)
    assert same_value(value, value)
    assert not same_value(wanted, value)
    assert not same_output(str(wanted), str(value))  # expected values of programs that print need not be text


MANY = [problem(number, "a", "b", "c") for number in range(400)]


def chosen(negatives: float = 0.0, positives: float = 0.0) -> tuple[set[str], set[str]]:
    found = spoilt(MANY, negatives, positives)
    failing = {p.id for p in found if [test.output for test in p.tests] == ["a", "b", "c 1"]}
    weak = {p.id for p in found if [test.output for test in p.tests] == ["a"]}
    untouched = {p.id for p, before in zip(found, MANY, strict=True) if p == before}
    assert len(failing) + len(weak) + len(untouched) == 400
    return failing, weak


def test_the_two_shares_are_of_different_problems_and_as_large_as_they_are_said_to_be() -> None:
    failing, weak = chosen(0.5, 0.25)
    assert failing == chosen(0.5)[0]
    assert weak >= chosen(0.0, 0.25)[1] - failing
    assert len(failing) == pytest.approx(200, abs=30)
    assert len(weak) == pytest.approx(100, abs=30)
    failing, weak = chosen(0.5, 0.5)
    assert len(failing | weak) == 400


def test_one_share_alone_takes_always_the_same_problems() -> None:
    failing, weak = chosen(0.02)[0], chosen(0.0, 0.02)[1]
    assert sorted(failing) == ["p0", "p13", "p259", "p274", "p299", "p304", "p355", "p378", "p393"]
    assert sorted(weak) == ["p133", "p166", "p250", "p271", "p332", "p390", "p58", "p78", "p97"]


def test_shares_that_are_more_than_everything_are_refused() -> None:
    message = "^problems.false_negatives=0.7 false_positives=0.5: together they must not exceed 1, .*; lower one$"
    with pytest.raises(UserError, match=message):
        spoilt(MANY, 0.7, 0.5)


@pytest.mark.parametrize("name", ["negatives", "positives"])
def test_a_problem_without_tests_is_named(name: str) -> None:
    with pytest.raises(UserError, match=f"^problems.false_{name}=1.0: problem 'p0' has no tests of input and output$"):
        spoilt([problem(0)], **{name: 1.0})
