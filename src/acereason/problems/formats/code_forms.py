"""The forms in which data sets publish what a code problem is judged by, all read into one.

| Form | Fields |
|---|---|
| ours, codeforces | `tests`: a list of `{input, output}` |
| APPS, TACO, CodeContests | `tests` or `input_output`: `{inputs, outputs, fn_name}` |
| LiveCodeBench | `public_test_cases`, `private_test_cases`, `metadata`, `starter_code` |
| SandboxFusion's LiveCodeBench | `test`: as the private tests there, with `{inputs, outputs, fn_name}` in it |
| HumanEval(+), LeetCodeDataset | `prompt`, `entry_point`, `test`: source that defines `check(candidate)` |
| MBPP(+) | `test_list` of asserts, `test_imports`, `test` |
| rllm's LeetCode | `tests`: `{functional: source}` |

Each value may also be JSON text of itself.
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
"""Where tests are looked for unless a field is named, after LiveCodeBench's pair."""
ENTRY_POINT_FIELDS = ("entry_point", "fn_name", "func_name")
TIME_LIMIT_FIELDS = ("time_limit_seconds", "time_limit_s")
"""Limits for Python programs; a problem's own limit is for compiled ones."""
LONGEST_LIMIT = 3600
"""Seconds; a longer one is taken for milliseconds, and refused."""
_EXPECTED = "tests must be a list of {input, output} objects, {inputs, outputs}, asserts or test source"


class BrokenForm(UserError):
    """What a row is to be judged by cannot be used; says why, but not where the row is."""


class UnknownForm(BrokenForm):
    """There are no tests where they are looked for, or something else stands there."""


class NoTests(BrokenForm):
    """There is a place for tests, with nothing in it."""


@dataclass(frozen=True)
class CodeForm:
    """What a code problem is judged by: the fields of `Problem` of these names."""

    tests: CodeTests = CodeTests()  # noqa: RUF009 - immutable
    check: str = ""
    prelude: str = ""
    entry_point: str | None = None
    starter_code: str = ""
    time_limit_seconds: float | None = None


def code_form(row: Mapping[str, Any], named: Any = None) -> CodeForm:
    """What a row's program is judged by.

    Args:
        row: the fields of a published row.
        named: the value of a field that was named to hold the tests; None looks for them under their usual names.

    Raises:
        BrokenForm: tests that no program could be judged by; `NoTests` where there are none.
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
    """The tests of input and output in a list or object, or in JSON text of one.

    Raises:
        BrokenForm: they are not what the entry point can be called with, or standard input can hold; none of them.
    """
    try:
        return CodeTests.pack(_test(n, case, entry_point) for n, case in enumerate(_cases(_read("tests", value))))
    except (TypeError, RecursionError) as error:
        raise BrokenForm(f"tests hold what JSON cannot: {error}") from error


def time_limit(row: Mapping[str, Any]) -> float | None:
    """Seconds of one test, where a row gives them; raises BrokenForm where it gives something else."""
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
    """The value of JSON text or of packed tests; all else, source too, as it is."""
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
    """Test source, of which asserts are a form; None for tests of input and output."""
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
    if not named and not starter and "." not in entry_point:  # the question of MBPP does not say the name
        starter = header_of(_source_at(row, "code"), entry_point)
    prelude = _text(row, "prelude") or prelude_of(_source_at(row, "prompt"), entry_point)
    prelude += node_sources(check, prelude)
    return CodeForm(CodeTests(), check, prelude, entry_point, starter, time_limit(row))


def _cases(tests: Any) -> list[dict[str, Any]]:
    """Tests as `{input, output}` objects."""
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
    """Text, also as a list of its lines."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    if not isinstance(value, str):
        raise BrokenForm(f"test {number}: {name} must be text where no entry_point names a function")
    return value


def _entry_point(row: Mapping[str, Any], tests: Any) -> str | None:
    """The function that is named beside or in the tests."""
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
    """None where the tests say that they are of standard input, whatever function is named elsewhere."""
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
    """A field that is source in some data sets, and may be anything in others."""
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _shown(value: Any) -> str:
    try:
        return repr(str(value)[:60])
    except ValueError:  # it holds an integer that is too long to be written
        return f"a {type(value).__name__}"
