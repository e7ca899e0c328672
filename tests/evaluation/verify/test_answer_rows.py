"""Lines of answers: what is read of them, what is broken, and that nothing of them is lost."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acereason.evaluation.verify import answer_rows
from acereason.evaluation.verify.answer_rows import AnswerRow, read_rows
from acereason.problems.code_tests import CodeTest
from acereason.problems.problem import DOMAINS, Domain, Problem
from acereason.verifiers.verifier import Verdict

VERDICT = Verdict(1.0, "5", "correct", 0.0012345678)
ADDED = {"reward": 1.0, "extracted": "5", "reason": "correct", "seconds": 0.001235}


def rows_of(*lines: str | bytes, domain: Domain = "math") -> list[AnswerRow]:
    data = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    return list(read_rows(io.BytesIO(data), domain))


def written(row: AnswerRow) -> Any:
    line = row.with_verdict(VERDICT)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    return json.loads(line)


def test_an_answer_or_a_response() -> None:
    answer, response = rows_of(r'{"gold": "5", "pred": "\\frac{10}{2}"}', '{"response": "so </think> 5", "gold": "5"}')
    assert (answer.line, answer.problem.answer, answer.text, answer.is_response) == (1, "5", r"\frac{10}{2}", False)
    assert (response.line, response.problem.answer, response.text, response.is_response) == (
        2,
        "5",
        "so </think> 5",
        True,
    )


@pytest.mark.parametrize(
    "number", ["5", "-0", "0.5", "0.10", "1e400", "1.0E-7", "0.1000000000000000055511151231257827", "9" * 5000]
)
def test_a_number_is_the_text_that_it_is_written_as(number: str) -> None:
    [row] = rows_of(f'{{"gold": {number}, "pred": {number}}}')
    assert (row.error, row.problem.answer, row.text) == ("", number, number)


def test_members_are_written_as_they_were_read() -> None:
    line = (
        r'{"id":1.50,  "gold" : 5,"pred":"5", "pi": "π\u03c0", "n": [1e400, {"a": 12345678901234567890.0}], "x": NaN }'
    )
    [row] = rows_of(line)
    members = (
        r'{"id":1.50, "gold" : 5, "pred":"5", "pi": "π\u03c0", "n": [1e400, {"a": 12345678901234567890.0}], "x": NaN, '
    )
    verdict = '"reward": 1.0, "extracted": "5", "reason": "correct", "seconds": 0.001235}\n'
    assert row.with_verdict(VERDICT).decode() == members + verdict


def test_an_earlier_verdict_gives_way() -> None:
    [row] = rows_of('{"reward": 0.0, "gold": "5", "reason": "wrong", "pred": "5", "line": 7, "seconds": 3}')
    assert written(row) == {"gold": "5", "pred": "5", "line": 7} | ADDED
    assert row.with_verdict(VERDICT).count(b'"reward"') == 1


BROKEN = {
    "not json": "not JSON at column 1: Expecting value",
    '{"gold": "5", "pred": "5"': "not JSON at column 26",
    '{"gold": "5", "pred": "5"} {}': "not JSON at column 28: Extra data",
    "[1, 2]": "not a JSON object",
    '"5"': "not a JSON object",
    "[" * 100_000: "nested too deeply",
    '{"pred": "5"}': "missing: gold",
    '{"gold": null, "pred": "5"}': "missing: gold",
    '{"gold": "5"}': "neither pred nor response",
    '{"gold": "5", "pred": null, "response": null}': "neither pred nor response",
    '{"gold": "5", "pred": "5", "response": "5"}': "both pred and response",
    '{"gold": ["5"], "pred": "5"}': "gold is a list; it must be text",
    '{"gold": "5", "pred": true}': "pred is true or false; it must be text",
    '{"gold": {"a": 1}, "pred": "5"}': "gold is an object; it must be text",
    '{"gold": "5", "response": 5}': "response is a number; it must be text",
    '{"gold": NaN, "pred": "5"}': "gold is not a number; it must be text",
}


@pytest.mark.parametrize(("line", "error"), BROKEN.items(), ids=lambda text: text[:30])
def test_a_broken_line_says_why_and_the_next_is_read(line: str, error: str) -> None:
    broken, next_one = rows_of(line, '{"gold": "5", "pred": "5"}')
    assert broken.error.startswith(error)
    assert (next_one.line, next_one.error, next_one.text) == (2, "", "5")


def test_a_broken_line_is_written_with_its_number_its_error_and_what_could_be_read() -> None:
    no_gold, no_text = rows_of('{"id": 3, "line": 9, "pred": "5"}', b'{"gold": "\xff", "pred": "5"}')
    assert written(no_gold) == {"id": 3, "pred": "5", "line": 1, "error": "missing: gold"} | ADDED
    assert written(no_text) == {"line": 2, "error": "not UTF-8 at byte 11"} | ADDED


def test_null_is_as_good_as_missing() -> None:
    [row] = rows_of('{"gold": "5", "pred": null, "response": "so </think> 5"}')
    assert (row.error, row.is_response) == ("", True)


def test_blank_lines_are_left_out_but_counted() -> None:
    rows = rows_of("\ufeff", '\ufeff{"gold": "5", "pred": "5"}\r', " \t", "", '{"gold": "6", "pred": "6"}', "", "")
    assert [(row.line, row.problem.answer) for row in rows if not row.error] == [(2, "5"), (5, "6")]


def test_a_line_that_is_too_long_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_rows, "LONGEST_LINE", 100)
    fits = '{"gold": "5", "pred": "5"}'.ljust(99)
    too_long, next_one, last = rows_of(" " * 5_000_000 + "x", fits, "y" * 200)
    assert (too_long.error, too_long.size) == ("longer than 100 bytes", 5_000_002)
    assert (next_one.line, next_one.error) == (2, "")
    assert (last.line, last.size) == (3, 200)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    fields=st.dictionaries(st.text() | st.sampled_from(["gold", "pred", "reward", "line"]), VALUES),
    ascii_only=st.booleans(),
)
def test_any_object_keeps_its_members(fields: dict[str, Any], ascii_only: bool) -> None:
    line = json.dumps(fields, ensure_ascii=ascii_only).encode("utf-8", "replace")
    fields = json.loads(line)
    [row] = rows_of(line)
    about_the_line = {"line": 1, "error": row.error} if row.error else {}
    assert written(row) == fields | ADDED | about_the_line


@given(st.lists(st.binary() | st.text().map(str.encode)), st.sampled_from(DOMAINS))
def test_any_lines_give_a_row_each(lines: list[bytes], domain: Domain) -> None:
    data = b"\n".join(lines)
    rows = list(read_rows(io.BytesIO(data), domain))
    assert [row.line for row in rows] == [i for i, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
    for row in rows:
        written(row)


STDIN = {"inputs": ["3 4\n"], "outputs": ["7\n"], "fn_name": None}
CALL = {"inputs": ["[1,2]\n5"], "outputs": ["8"], "fn_name": "add"}
CHECK = "def check(candidate):\n    assert candidate(1) == 2\n\n\ncheck(Solution().twice)"


def code_row(**fields: Any) -> AnswerRow:
    [row] = rows_of(json.dumps({"code": "print(7)", **fields}), domain="code")
    return row


def test_a_program_or_a_response_and_its_tests() -> None:
    row = code_row(name="x", kind="stdin", tests=STDIN, time_limit_s=6)
    assert (row.line, row.text, row.is_response, row.error) == (1, "print(7)", False, "")
    assert (row.problem.domain, row.problem.entry_point, row.problem.time_limit_seconds) == ("code", None, 6.0)
    assert row.problem.tests == [CodeTest("3 4\n", "7\n")]
    row = code_row(code=None, response="so </think> print(7)", kind="call", tests=CALL)
    assert (row.text, row.is_response, row.problem.entry_point) == ("so </think> print(7)", True, "add")
    assert row.problem.tests == [CodeTest([[1, 2], 5], 8)]


@pytest.mark.parametrize(
    ("kind", "tests"),
    [
        (None, STDIN),
        (None, CALL),
        ("functional", CALL),
        (None, {"functional": CHECK}),
        ("functional", {"functional": CHECK}),
        ("check", CHECK),
        ("assert", ["assert f(1) == 2"]),
    ],
)
def test_the_form_tells_the_kind_and_the_kind_may_say_so(kind: str | None, tests: Any) -> None:
    row = code_row(kind=kind, tests=tests)
    assert row.error == ""
    assert bool(row.problem.check) != bool(row.problem.tests)


def test_a_row_of_a_data_set_needs_no_more_than_a_program() -> None:
    row = code_row(
        code="def total(xs):\n    return sum(xs)\n",
        prompt='import math\n\ndef total(xs):\n    """Sum."""\n',
        entry_point="total",
        test="def check(candidate):\n    assert candidate([1]) == 1\n",
    )
    assert (row.error, row.problem.prelude, row.problem.entry_point) == ("", "import math\n\n", "total")
    assert row.problem.check.endswith("check(candidate)\n")


def test_the_program_is_not_read_for_a_header() -> None:
    assert code_row(code="def f(own_name): pass", tests=["assert f(1)"]).problem.starter_code == "def f(*args):"


def test_tests_may_hold_integers_of_any_length_and_the_line_stays_as_it_was() -> None:
    line = '{"code": "x", "fn_name": "f", "tests": [{"input": [1.50], "output": %s}], "id": 1e400}' % ("7" * 6000)
    [row] = rows_of(line, domain="code")
    assert row.problem.tests[0].output % 10**20 == 77777777777777777777
    assert row.with_verdict(Verdict(0.0, "x", "passed", 0.0)).decode().startswith(line[:-1])


def test_the_verdict_on_a_program_has_the_first_failing_test() -> None:
    row = code_row(kind="stdin", tests=STDIN, first_failing_test=5)
    written = json.loads(row.with_verdict(Verdict(0.0, "print(7)", "timeout", 1.5, 0)))
    assert written == {
        "code": "print(7)",
        "kind": "stdin",
        "tests": STDIN,
        "reward": 0.0,
        "extracted": "print(7)",
        "reason": "timeout",
        "seconds": 1.5,
        "first_failing_test": 0,
    }
    assert json.loads(row.with_verdict(Verdict(1.0, "", "passed", 0.0)))["first_failing_test"] is None


BROKEN_PROGRAMS: list[tuple[dict[str, Any], str]] = [
    ({}, "no tests under the usual names"),
    ({"tests": []}, "the list of tests is empty"),
    ({"tests": STDIN, "response": "x"}, "both code and response; give one"),
    ({"tests": STDIN, "code": None}, "neither code nor response"),
    ({"tests": STDIN, "code": ["x"]}, "code is a list; it must be text"),
    ({"tests": STDIN, "code": 5}, "code is a number; it must be text"),
    ({"tests": STDIN, "code": 0.5}, "code is a number; it must be text"),
    ({"tests": STDIN, "code": None, "response": False}, "response is true or false; it must be text"),
    ({"tests": STDIN, "kind": "call"}, "kind is call, but the tests are of kind stdin; name the function in entry_poi"),
    ({"tests": CALL, "kind": "stdin"}, "kind is stdin, but the tests are of kind call"),
    ({"tests": CALL, "kind": "check"}, "kind is check, but the tests are of kind call"),
    ({"tests": STDIN, "kind": "other"}, "kind must be one of stdin, call, check, assert, functional"),
    ({"tests": STDIN, "kind": ["stdin"]}, "kind must be one of"),
    ({"tests": STDIN, "time_limit_s": -1}, "time_limit_s must be a number of seconds"),
    ({"tests": "assert f("}, "the test source is not Python"),
]


@pytest.mark.parametrize(("fields", "error"), BROKEN_PROGRAMS)
def test_a_broken_line_of_a_program_says_why(fields: dict[str, Any], error: str) -> None:
    row = code_row(**fields)
    assert row.error.startswith(error)
    written = json.loads(row.with_verdict(Verdict(0.0, "", "broken_line", 0.0)))
    assert (written["error"], written["line"], written["first_failing_test"]) == (row.error, 1, None)
    assert row.problem == Problem("line 1", "code", "")


@pytest.mark.parametrize("line", ["not json", "[1, 2]", "[" * 100_000, b'{"code": "\xff"}', '{"code": "x"'])
def test_a_line_that_is_no_object_is_broken_alike_in_both_domains(line: str | bytes) -> None:
    [[of_math], [of_code]] = (rows_of(line, domain=domain) for domain in DOMAINS)
    assert of_code.error == of_math.error != ""
