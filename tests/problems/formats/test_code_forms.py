"""Every published row form, in rows of our own, gives the same few fields."""

import base64
import datetime
import json
import pickle
import zlib

import pytest
from problem_files import jsonl, load, load_one, refusal

from acereason.config.schema import DomainName
from acereason.problems.code_tests import CodeTest, CodeTests
from acereason.problems.formats.code_forms import BrokenForm, CodeForm, NoTests, code_form, pack_tests
from acereason.problems.formats.leetcode_nodes import LISTS
from acereason.problems.problem import Problem

CODE = {"domain": DomainName.code}
SUMS = CodeTests.pack([CodeTest("1 2\n", "3\n"), CodeTest("5 5\n", "10\n")])
CALLS = CodeTests.pack([CodeTest([[1, 2], 5], 8), CodeTest([[], 0], None)])
CALL_TEXTS = {"inputs": ["[1, 2]\n5", "[]\n0"], "outputs": ["8", "null"]}


def packed(value):
    """As LiveCodeBench packs its private tests."""
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(value)))).decode()


def cases(*pairs, testtype="stdin"):
    return [{"input": given, "output": wanted, "testtype": testtype} for given, wanted in pairs]


@pytest.mark.parametrize(
    "tests",
    [
        [{"input": "1 2\n", "output": "3\n"}, {"input": "5 5\n", "output": "10\n"}],
        {"inputs": ["1 2\n", "5 5\n"], "outputs": ["3\n", "10\n"]},
        {"inputs": ["1 2\n", "5 5\n"], "outputs": ["3\n", "10\n"], "fn_name": None},
        {"input": ["1 2\n", "5 5\n"], "output": ["3\n", "10\n"]},
        {"inputs": [["1 2", ""], "5 5\n"], "outputs": [["3", ""], "10\n"]},
    ],
)
@pytest.mark.parametrize("field", ["tests", "input_output", "reward_model"])
def test_standard_input(tests, field):
    for written in (tests, json.dumps(tests)):
        value = {"ground_truth": written} if field == "reward_model" else written
        assert code_form({field: value}) == CodeForm(SUMS)
    assert code_form({"mine": tests}, tests) == CodeForm(SUMS)


@pytest.mark.parametrize(
    "row",
    [
        {"tests": {**CALL_TEXTS, "fn_name": "add"}},
        {"tests": CALL_TEXTS, "fn_name": "add"},
        {"tests": CALL_TEXTS, "entry_point": "add"},
        {"tests": {**CALL_TEXTS, "func_name": "add"}},
        {"tests": [{"input": [[1, 2], 5], "output": 8}, {"input": [[], 0], "output": None}], "entry_point": "add"},
        {"input_output": json.dumps({"inputs": [[[1, 2], 5], [[], 0]], "outputs": [8, None], "fn_name": "add"})},
    ],
)
def test_calls(row):
    assert code_form(row) == CodeForm(CALLS, entry_point="add")


def test_expected_text_is_a_value_only_beside_input_in_text():
    [as_text] = code_form({"tests": {"inputs": ["1"], "outputs": ['"8"'], "fn_name": "f"}}).tests
    [as_value] = code_form({"tests": [{"input": [1], "output": '"8"'}], "fn_name": "f"}).tests
    assert (as_text.output, as_value.output) == ("8", '"8"')


LIVE_CODE_BENCH = {
    "question_title": "Sum",
    "question_content": "Add two numbers.",
    "platform": "atcoder",
    "question_id": "abc000_a",
    "contest_date": "2024-03-09T00:00:00",
    "starter_code": "",
    "public_test_cases": json.dumps(cases(("1 2\n", "3\n"))),
    "private_test_cases": packed(cases(("5 5\n", "10\n"))),
    "metadata": "{}",
}


def test_live_code_bench_rows_of_standard_input(tmp_path):
    expected = Problem("abc000_a", "code", "Add two numbers.", tests=SUMS, source="atcoder", date="2024-03-09")
    assert load_one(tmp_path, LIVE_CODE_BENCH, **CODE) == expected
    private = json.dumps(cases(("5 5\n", "10\n")))
    assert load_one(tmp_path, {**LIVE_CODE_BENCH, "private_test_cases": private}, **CODE) == expected
    assert load_one(tmp_path, LIVE_CODE_BENCH, id="question_title", **CODE).id == "Sum"
    assert load_one(tmp_path, {**LIVE_CODE_BENCH, "question_id": None}, **CODE).id == "data:1"


def test_live_code_bench_rows_of_calls(tmp_path):
    row = {
        **LIVE_CODE_BENCH,
        "starter_code": "class Solution:\n    def add(self, xs, k):\n        ",
        "public_test_cases": json.dumps(cases(("[1, 2]\n5", "8"), testtype="functional")),
        "private_test_cases": packed(cases(("[]\n0", "null"), testtype="functional")),
        "metadata": '{"func_name": "add"}',
    }
    problem = load_one(tmp_path, row, **CODE)
    assert (problem.tests, problem.entry_point, problem.starter_code) == (CALLS, "add", row["starter_code"])
    message = refusal(jsonl(tmp_path, {**row, "metadata": "{}"}), **CODE)
    assert "tests are of type functional, but no function is named" in message


def test_the_type_of_a_test_goes_before_a_name_in_the_metadata():
    row = {**LIVE_CODE_BENCH, "metadata": '{"func_name": "main"}'}
    assert code_form(row) == CodeForm(SUMS)


def test_a_row_may_have_only_public_or_only_private_tests():
    without = {name: value for name, value in LIVE_CODE_BENCH.items() if name != "private_test_cases"}
    assert len(code_form(without).tests) == 1
    assert len(code_form({**LIVE_CODE_BENCH, "public_test_cases": "[]"}).tests) == 1
    with pytest.raises(NoTests):
        code_form({**without, "public_test_cases": "[]"})


def test_a_date_of_parquet_is_a_day():
    from acereason.config.schema import ProblemsConfig
    from acereason.problems.formats.fields import to_problem
    from acereason.problems.rows import Row

    row = Row({**LIVE_CODE_BENCH, "contest_date": datetime.datetime(2024, 3, 9)}, 1, "here")
    assert to_problem(row, ProblemsConfig(**CODE), "data").date == "2024-03-09"


def test_sandbox_fusions_live_code_bench_rows(tmp_path):
    tests = packed_in_dict({**CALL_TEXTS, "fn_name": "add"})
    row = {"id": 7, "content": "Add.", "canonical_solution": "pass", "test": tests, "labels": '{"difficulty": "easy"}'}
    assert load_one(tmp_path, row, **CODE) == Problem("data:1", "code", "Add.", tests=CALLS, entry_point="add")


def packed_in_dict(value):
    return base64.b64encode(zlib.compress(pickle.dumps({"input_output": json.dumps(value)}))).decode()


def test_human_eval_rows(tmp_path):
    row = {
        "task_id": "Own/0",
        "prompt": 'from typing import List\n\n\ndef total(xs: List[int]) -> int:\n    """Sum of xs."""\n',
        "entry_point": "total",
        "canonical_solution": "    return sum(xs)\n",
        "test": "\n\ndef check(candidate):\n    assert candidate([1, 2]) == 3\n\n",
    }
    assert load_one(tmp_path, row, **CODE) == Problem(
        "data:1",
        "code",
        row["prompt"],
        check="\n\ndef check(candidate):\n    assert candidate([1, 2]) == 3\n\n\ncheck(candidate)\n",
        prelude="from typing import List\n\n\n",
        entry_point="total",
    )


MBPP = {
    "task_id": 1,
    "prompt": "Write a function that doubles a number.",
    "code": "def double(x):\n    return 2 * x\n",
    "test_imports": ["import math"],
    "test_list": ["assert double(2) == 4", "assert math.isclose(double(0.5), 1)"],
}


def test_mbpp_rows_say_the_functions_name_in_a_header(tmp_path):
    assert load_one(tmp_path, MBPP, **CODE) == Problem(
        "data:1",
        "code",
        MBPP["prompt"],
        check="import math\nassert double(2) == 4\nassert math.isclose(double(0.5), 1)",
        entry_point="double",
        starter_code="def double(x):",
    )
    assert code_form({**MBPP, "code": None}).starter_code == "def double(*args):"
    assert code_form({**MBPP, "starter_code": "def double(x: int):"}).starter_code == "def double(x: int):"


def test_mbpp_plus_rows_are_judged_by_their_longer_test():
    test = "def ref(x):\n    double = x + x\n    return double\n\nfor x in range(9):\n    assert double(x) == ref(x)\n"
    form = code_form({**MBPP, "test": test})
    assert (form.check, form.entry_point) == (f"import math\n{test}", "double")


def test_leetcode_rows_of_rllm(tmp_path):
    source = "def check(candidate):\n    assert candidate(xs = [1, 2]) == 3\n\n\ncheck(Solution().total)"
    row = {"problem": "Add all.", "solutions": "pass", "tests": {"functional": source}}
    expected = Problem("data:1", "code", "Add all.", check=source, entry_point="Solution().total")
    assert load_one(tmp_path, row, **CODE) == expected
    listed = source.replace("[1, 2]", "list_node([1, 2])")
    assert code_form({"tests": {"functional": listed}}).prelude == LISTS


def test_leetcode_data_set_rows(tmp_path):
    row = {
        "task_id": "own-sum",
        "prompt": "from typing import *\nfrom math import *\n\ninf = float('inf')\n",
        "query": "You are to add all.",
        "entry_point": "Solution().total",
        "test": "def check(candidate):\n    assert candidate(xs = [1, 2]) == 3\n",
        "input_output": [{"input": "xs = [1, 2]", "output": "3"}],
    }
    assert load_one(tmp_path, row, **CODE) == Problem(
        "data:1",
        "code",
        "You are to add all.",
        check="def check(candidate):\n    assert candidate(xs = [1, 2]) == 3\n\n\ncheck(candidate)\n",
        prelude=row["prompt"],
        entry_point="Solution().total",
    )


def test_a_source_may_stand_in_any_field_of_tests():
    source = "assert half(2) == 1"
    forms = [
        code_form({"tests": source}),
        code_form({"tests": [source]}),
        code_form({"tests": [], "check": source}),
        code_form({"mine": source}, source),
    ]
    assert forms == [CodeForm(check=source, entry_point="half", starter_code="def half(*args):")] * 4
    assert code_form({"tests": source, "entry_point": "half"}).starter_code == ""


def test_time_limits_are_seconds():
    assert code_form({"tests": {**CALL_TEXTS, "fn_name": "f"}, "time_limit_s": 2}).time_limit_seconds == 2.0
    assert code_form({"tests": "assert f(1)", "time_limit_seconds": 0.5}).time_limit_seconds == 0.5
    assert code_form({"tests": "assert f(1)", "time_limit": "1 second, for C++"}).time_limit_seconds is None


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, "no tests under the usual names"),
        ({"tests": None}, "the list of tests is empty"),
        ({"tests": {"inputs": [], "outputs": []}}, "the list of tests is empty"),
        ({"tests": {"inputs": ["1"], "outputs": []}}, "tests have 1 inputs and 0 outputs"),
        ({"tests": 5}, "tests must be a list of {input, output} objects"),
        ({"tests": [5]}, "tests must be a list of {input, output} objects"),
        ({"tests": {"functional": 5}}, "tests must be a list of {input, output} objects"),
        ({"tests": '{"inputs": '}, "tests: broken JSON: Expecting value at column 11"),
        ({"tests": "[" * 5000}, "tests: unreadable JSON"),
        ({"tests": "A" * 40}, "tests: not zlib"),
        ({"tests": [{"input": 5, "output": "5"}]}, "test 0: input must be text where no entry_point names a function"),
        ({"tests": [{"input": "5", "output": 5}]}, "test 0: output must be text"),
        ({"tests": [{"input": "[1", "output": "5"}], "fn_name": "f"}, "test 0: '[1' is neither JSON nor a Python lit"),
        ({"tests": [{"input": "1", "output": "no"}], "fn_name": "f"}, "test 0: 'no' is neither JSON"),
        ({"tests": [{"input": "1", "output": "{1, 2}"}], "fn_name": "f"}, "tests hold what JSON cannot: "),
        ({"tests": [{"input": {"x": 1}, "output": 1}], "fn_name": "f"}, "test 0: the input of a call must be a list"),
        ({"tests": {"functional": ""}}, "the test source is empty"),
        ({"tests": [" "]}, "the test source is empty"),
        ({"tests": "assert f("}, "the test source is not Python: "),
        ({"tests": "assert True"}, "the test source calls no function"),
        ({"tests": "assert f(1)", "entry_point": "f(1)"}, "entry_point is 'f(1)', which names no function"),
        ({"tests": "assert f(1)", "entry_point": "f()"}, "entry_point is 'f()', which names no function"),
        ({"tests": "assert f(1)", "prelude": ["import math"]}, "field 'prelude' must be text"),
        ({"tests": "assert f(1)", "entry_point": 10**5000}, "field 'entry_point' must be text, not a int"),
        *(
            ({"tests": "assert f(1)", "time_limit_s": limit}, "time_limit_s must be a number of seconds")
            for limit in (0, -1, True, "2", float("nan"), float("inf"), 10**400, [1])
        ),
        ({"public_test_cases": "[", "metadata": "{}"}, "public_test_cases: broken JSON"),
        ({"private_test_cases": packed(5)}, "tests must be a list"),
        ({"private_test_cases": packed([])[:-8]}, "private_test_cases: "),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_cannot_be_judged_by_says_why(row, said):
    with pytest.raises(BrokenForm) as caught:
        code_form(row)
    assert str(caught.value).startswith(said)


def test_a_type_of_test_that_is_no_text_is_passed_over():
    assert code_form({"tests": [{"input": "1 2\n", "output": "3\n", "testtype": ["x"]}]}).tests == SUMS[:1]


def test_lone_surrogates_in_text_of_tests_are_replaced():
    assert code_form({"tests": r'[{"input": "\ud800", "output": "\ud800"}]'}).tests == [CodeTest("\ufffd", "\ufffd")]


def test_packing_alone_takes_both_kinds():
    assert pack_tests({"inputs": ["1 2\n", "5 5\n"], "outputs": ["3\n", "10\n"]}, None) == SUMS
    assert pack_tests(json.dumps(CALL_TEXTS), "add") == CALLS


def test_the_question_is_found_under_the_names_of_code_rows(tmp_path):
    tests = [{"input": "", "output": ""}]
    for name in ("question", "question_content", "problem", "content", "query", "prompt", "text"):
        assert load_one(tmp_path, {name: "Do it.", "tests": tests}, **CODE).question == "Do it."
    path = jsonl(tmp_path, {"question": "a", "tests": tests}, {"question": "b", "tests": []})
    assert [problem.question for problem in load(path, **CODE)] == ["a"]
    assert "no question under the usual names" in refusal(jsonl(tmp_path, {"q": 1, "tests": tests}), **CODE)
