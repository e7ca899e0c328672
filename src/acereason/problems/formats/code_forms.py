"""The forms in which data sets publish the tests of code problems, all read into one form.

| Form | Fields |
|---|---|
| ours, codeforces | `tests`: a list of `{input, output}` |
| APPS, TACO, CodeContests | `tests` or `input_output`: `{inputs, outputs, fn_name}` |
| LiveCodeBench | `public_test_cases`, `private_test_cases`, `metadata`, `starter_code` |
| SandboxFusion's LiveCodeBench | `test`: packed like LiveCodeBench's private tests, with `{inputs, outputs, fn_name}` |
| HumanEval(+), LeetCodeDataset | `prompt`, `entry_point`, `test`: source that defines `check(candidate)` |
| MBPP(+) | `test_list` of asserts, `test_imports`, `test` |
| rllm's LeetCode | `tests`: `{functional: source}` |

Each value may also be given as JSON text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acereason.errors import UserError
from acereason.problems.code_tests import CodeTest, CodeTests
from acereason.problems.formats import call_text
from acereason.problems.formats.leetcode_nodes import node_sources
from acereason.problems.formats.packed_tests import is_packed, unpacked
from acereason.problems.formats.test_source import called_entry_point, header_of, prelude_of, with_check_called
from acereason.problems.json_values import json_value
from acereason.problems.rows import parse_json

PUBLIC, PRIVATE = "public_test_cases", "private_test_cases"
TEST_FIELDS = ("tests", "check", "test", "test_list", "input_output", "reward_model.ground_truth")
"""Fields in which tests are looked for unless the settings name one; LiveCodeBench's two fields come first."""
ENTRY_POINT_FIELDS = ("entry_point", "fn_name", "func_name")
TIME_LIMIT_FIELDS = ("time_limit_seconds", "time_limit_s")
"""Limits for Python programs; a `time_limit` in a data set is meant for compiled programs."""
LONGEST_LIMIT = 3600
"""Seconds; a larger number was probably meant in milliseconds and is refused."""
_EXPECTED = "tests must be a list of {input, output} objects, {inputs, outputs}, asserts or test source"


class BrokenForm(UserError):
    """Tests of a row that cannot be used; the message says why, but not where the row is."""


class UnknownForm(BrokenForm):
    """A row without tests in the usual fields, or with something else in them."""


class NoTests(BrokenForm):
    """A row whose field of tests is empty."""


@dataclass(frozen=True)
class CodeForm:
    """The tests of a code problem and what belongs to them: the fields of `Problem` with the same names."""

    tests: CodeTests = CodeTests()  # noqa: RUF009 - immutable
    check: str = ""
    prelude: str = ""
    entry_point: str | None = None
    starter_code: str = ""
    time_limit_seconds: float | None = None


def code_form(row: Mapping[str, Any], named: Any = None) -> CodeForm:
    """Read the tests of a row.

    Args:
        row: the fields of a published row.
        named: the value of the field that the settings name; None looks for tests under their usual names.

    Raises:
        BrokenForm: no program could be judged by these tests; `NoTests` if there are none.
    """
    tests = _read("tests", _usual_tests(row) if named is None else named)
    if tests is None or tests in ("", [], {}):
        raise NoTests("the list of tests is empty")
    entry_point = _entry_point(row, tests)
    source = _source(row, tests)
    if source is not None:
        return _by_source(row, source, entry_point)
    cases = _cases(tests)
    entry_point = _entry_point_of_type(cases, entry_point)
    starter, prelude = _text(row, "starter_code"), _text(row, "prelude")
    return CodeForm(pack_tests(cases, entry_point), "", prelude, entry_point, starter, time_limit(row))


def pack_tests(value: Any, entry_point: str | None) -> CodeTests:
    """Pack the tests of input and output in a list or object, or in its JSON text.

    Raises:
        BrokenForm: the list is empty, or an input does not fit the entry point or standard input.
    """
    try:
        return CodeTests.pack(_test(n, case, entry_point) for n, case in enumerate(_cases(_read("tests", value))))
    except (TypeError, RecursionError) as error:
        raise BrokenForm(f"tests hold what JSON cannot: {error}") from error


def time_limit(row: Mapping[str, Any]) -> float | None:
    """Return the time limit of one test in seconds, None if the row has none.

    Raises:
        BrokenForm: the row's limit is not a number of seconds in bounds.
    """
    for name in TIME_LIMIT_FIELDS:
        value = row.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST_LIMIT:
            raise BrokenForm(f"{name} must be a number of seconds, above 0 and at most {LONGEST_LIMIT}")
        return float(value)
    return None


def _usual_tests(row: Mapping[str, Any]) -> Any:
    if row.get(PUBLIC) is not None or row.get(PRIVATE) is not None:
        return [case for name in (PUBLIC, PRIVATE) for case in _cases(_read(name, row.get(name)) or [])]
    wrapped = row.get("reward_model")
    fields = {**row, TEST_FIELDS[-1]: wrapped.get("ground_truth")} if isinstance(wrapped, dict) else row
    found = [fields[name] for name in TEST_FIELDS if name in fields]
    if not found:
        has = ", ".join(map(repr, list(row)[:20])) or "no fields"
        raise UnknownForm(f"no tests under the usual names ({', '.join((PUBLIC, *TEST_FIELDS))}); the row has {has}")
    return next((value for value in found if value), None)


def _read(name: str, value: Any) -> Any:
    """Return the value of JSON text or of packed tests; anything else, test source included, as it is."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        packed = is_packed(text)
        text = unpacked(text) if packed else text
        if packed or text.startswith(("[", "{")):
            return parse_json(text.encode("utf-8", "backslashreplace"), name, json_value)
    except ValueError as error:
        raise BrokenForm(f"{name}: {error}") from error
    except UserError as error:
        raise BrokenForm(str(error)) from error
    return value


def _source(row: Mapping[str, Any], tests: Any) -> str | None:
    """Return the test source, joined if it is a list of asserts; None for tests of input and output."""
    if isinstance(tests, dict) and isinstance(tests.get("functional"), str):
        tests = tests["functional"]
    if isinstance(tests, list) and all(isinstance(line, str) for line in tests):
        tests = "\n".join(tests)
    if not isinstance(tests, str):
        return None
    if not tests.strip():
        raise NoTests("the test source is empty")
    imports = row.get("test_imports") or []
    setup = [_text(row, "test_setup_code"), *(line for line in imports if isinstance(line, str))]
    return "\n".join([*filter(None, setup), tests])


def _by_source(row: Mapping[str, Any], source: str, named: str | None) -> CodeForm:
    starter, check = _text(row, "starter_code"), with_check_called(source)
    try:
        asserts = _source(row, _read("test_list", row.get("test_list") or None))
        entry_point = named or called_entry_point(asserts or source)
    except SyntaxError as error:
        raise BrokenForm(f"the test source is not Python: {error}") from error
    if entry_point is None:
        raise BrokenForm("the test source calls no function of the program's; name it in entry_point")
    if not named and not starter and "." not in entry_point:  # MBPP's questions do not name the function
        starter = header_of(_source_at(row, "code"), entry_point)
    prelude = _text(row, "prelude") or prelude_of(_source_at(row, "prompt"), entry_point)
    prelude += node_sources(check, prelude)
    return CodeForm(CodeTests(), check, prelude, entry_point, starter, time_limit(row))


def _cases(tests: Any) -> list[dict[str, Any]]:
    """Return tests as `{input, output}` objects."""
    if isinstance(tests, dict):
        inputs, outputs = (tests.get(f"{name}s", tests.get(name)) for name in ("input", "output"))
        if isinstance(inputs, list) and isinstance(outputs, list):
            if len(inputs) != len(outputs):
                raise BrokenForm(f"tests have {len(inputs)} inputs and {len(outputs)} outputs")
            if not inputs:
                raise NoTests("the list of tests is empty")
            return [{"input": given, "output": wanted} for given, wanted in zip(inputs, outputs, strict=True)]
    if isinstance(tests, list) and all(isinstance(case, dict) and {"input", "output"} <= set(case) for case in tests):
        return tests
    raise UnknownForm(_EXPECTED)


def _test(number: int, case: dict[str, Any], entry_point: str | None) -> CodeTest:
    given, wanted = case["input"], case["output"]
    if entry_point is None:
        return CodeTest(_stdin_text(number, "input", given), _stdin_text(number, "output", wanted))
    try:
        if isinstance(given, str):
            return CodeTest(call_text.arguments(given), call_text.value(wanted) if isinstance(wanted, str) else wanted)
    except ValueError as error:
        raise BrokenForm(f"test {number}: {error}") from error
    if not isinstance(given, list | tuple):
        raise BrokenForm(f"test {number}: the input of a call must be a list of arguments, or text with one a line")
    return CodeTest(list(given), wanted)


def _stdin_text(number: int, name: str, value: Any) -> str:
    """Return text for standard input or output, given as text or as a list of lines."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    if not isinstance(value, str):
        raise BrokenForm(f"test {number}: {name} must be text where no entry_point names a function")
    return value


def _entry_point(row: Mapping[str, Any], tests: Any) -> str | None:
    """Return the function named beside or inside the tests, None if there is none."""
    metadata = _read("metadata", row.get("metadata")) if PUBLIC in row or PRIVATE in row else None
    for fields in (row, tests, metadata):
        if not isinstance(fields, Mapping):
            continue
        for name in ENTRY_POINT_FIELDS:
            if entry_point := _text(fields, name):
                *owners, function = entry_point.split(".")
                if not all(part.isidentifier() for part in (*(o.removesuffix("()") for o in owners), function)):
                    raise BrokenForm(f"{name} is {entry_point[:60]!r}, which names no function")
                return entry_point
    return None


def _entry_point_of_type(cases: list[dict[str, Any]], entry_point: str | None) -> str | None:
    """Return the entry point; None if the tests say that they use standard input, whatever function is named."""
    types = [case.get("testtype") for case in cases]
    if all(kind == "stdin" for kind in types):
        return None
    if "functional" in types and not entry_point:
        raise BrokenForm("tests are of type functional, but no function is named (metadata.func_name, entry_point)")
    return entry_point


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise BrokenForm(f"field {name!r} must be text, not {_shown(value)}")
    return value or ""


def _source_at(row: Mapping[str, Any], name: str) -> str:
    """Return a field that is source in some data sets and may be anything in others; "" if it is not text."""
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _shown(value: Any) -> str:
    try:
        return repr(str(value)[:60])
    except ValueError:  # it holds an integer that is too long to print
        return f"a {type(value).__name__}"
