import json
from decimal import Decimal

import pytest
from problem_files import jsonl, load, load_one, refusal

from acereason.config.schema import DomainName
from acereason.problems.code_tests import CodeTest, CodeTests
from acereason.problems.formats.gold_answers import gold_answer, scalar_text
from acereason.problems.problem import Problem

VERL_REQUEST = " Let's think step by step and output the final answer within \\boxed{}."


@pytest.mark.parametrize(
    "row",
    [
        {"question": "2+2?", "answer": "4"},
        {"problem": "2+2?", "final_answer": "4", "answer": "Two and two make 4, as everyone knows."},
        {"prompt": "2+2?", "ground_truth": "4"},
        {"input": "2+2?", "target": "4", "solution": "Add them: 5."},
        {"question": None, "problem": "2+2?", "expected_answer": "4"},
    ],
)
def test_usual_field_names_are_found(tmp_path, row):
    assert load_one(tmp_path, row) == Problem("data:1", "math", "2+2?", answer="4")


def test_fields_are_named_with_dots_reaching_into_objects_and_lists(tmp_path):
    row = {
        "q": [{"text": "no"}, {"text": "2+2?"}],
        "a": {"gold": [{"value": "4"}], "b": {"c": "5"}},
        "a.b.c": "literal key first",
        "n": {"key": 17},
        "hard": 3,
    }
    mapping = {"question": "q.1.text", "answer": "a.gold.-1.value", "id": "n.key", "level": "hard"}
    assert load_one(tmp_path, row, **mapping) == Problem("17", "math", "2+2?", answer="4", level=3)
    assert load_one(tmp_path, row, **{**mapping, "answer": "a.b.c"}).answer == "literal key first"


@pytest.mark.parametrize("name", ["a.2", "a.-3", "a.x", "a.0.y", "b.c", "a.99999999999", "z"])
def test_a_mapping_that_reaches_nothing_is_refused(tmp_path, name):
    path = jsonl(tmp_path, {"question": "2+2?", "a": [4, 5], "b": 6})
    assert f"no field {name!r}" in refusal(path, answer=name)


def test_a_named_question_of_messages_gives_what_the_user_said_last(tmp_path):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "2+2?"},
    ]
    assert load_one(tmp_path, {"chat": messages, "answer": "4"}, question="chat").question == "2+2?"


def test_verl_rows_need_no_mapping_and_keep_their_text(tmp_path):
    row = {
        "data_source": "somewhere",
        "prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "2+2?" + VERL_REQUEST}],
        "question": "a bare copy",
        "reward_model": {"style": "rule", "ground_truth": "4"},
        "answer": "a worked copy",
    }
    expected = Problem("data:1", "math", "2+2?" + VERL_REQUEST, answer="4")
    assert load_one(tmp_path, row) == expected
    assert load_one(tmp_path, row, question="prompt.1.content", answer="reward_model.ground_truth") == expected


def test_a_worked_solution_is_an_answer_only_when_named(tmp_path):
    path = jsonl(tmp_path, {"problem": "2+2?", "solution": "First \\boxed{3}, no: $2+2=\\boxed{\\frac{8}{2}}$. Done."})
    message = refusal(path)
    assert "no answer under the usual names" in message
    assert "'problem', 'solution'; set problems.answer=NAME" in message
    assert load(path, answer="solution")[0].answer == "\\frac{8}{2}"
    assert load_one(tmp_path, {"problem": "2+2?", "answer": "$x = \\boxed{4}$"}).answer == "$x = \\boxed{4}$"


def test_provenance_is_kept_where_it_is_text(tmp_path):
    row = {"question": "q", "answer": "1", "source": "book", "url": None, "date": 2024, "starter_code": "def f():"}
    assert load_one(tmp_path, row) == Problem("data:1", "math", "q", answer="1", source="book")


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("She has 3 #### no.\nSo 2 + 2 = <<2+2=4>>4.\n#### 4", "4"),
        ("#### 1,234,567", "1234567"),
        ("#### -10,800.50", "-10800.50"),
        ("#### 1,2,3", "1,2,3"),
        ("####  (1,000, 2)", "(1,000, 2)"),
        ("\\boxed{42}", "42"),
        (" $\\boxed{\\frac{1}{2}}$. ", "\\frac{1}{2}"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{\\left\\{ x \\right.}", "\\left\\{ x \\right."),
        ("\\boxed{3} or \\boxed{4}", "\\boxed{3} or \\boxed{4}"),
        ("x = \\boxed{3}", "x = \\boxed{3}"),
        ("\\boxed{3", "\\boxed{3"),
        ("1,234", "1,234"),
        ("  x^2 + 1 ", "x^2 + 1"),
    ],
)
def test_gold_answers_are_taken_out_of_their_wrapping(text, gold):
    assert gold_answer(text) == gold


def test_the_last_box_of_a_worked_solution_counts():
    assert gold_answer("\\boxed{1}, then \\boxed{\\text{a } \\{b\\}}.", worked=True) == "\\text{a } \\{b\\}"
    assert gold_answer("no box", worked=True) == "no box"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (5.0, "5"),
        (-0.0, "0"),
        (2.5, "2.5"),
        (1e-7, "0.0000001"),
        (1e20, "100000000000000000000"),
        (Decimal("3.1400"), "3.14"),
        (Decimal("12E2"), "1200"),
        (True, "True"),
        (None, ""),
        (float("nan"), None),
        (float("inf"), None),
        ([1, 2], None),
        ({"a": 1}, None),
    ],
)
def test_numbers_become_plain_text(value, text):
    assert scalar_text(value) == text


def test_an_answer_alone_in_a_list_is_taken_out(tmp_path):
    assert load_one(tmp_path, {"question": "q", "final_answer": ["\\boxed{7}"]}).answer == "7"
    message = refusal(jsonl(tmp_path, {"question": "q", "final_answer": ["7", "8"]}))
    assert message.startswith(f"{tmp_path}/data.jsonl:1: the answer must be text or a finite number, not ['7', '8']")
    assert load_one(tmp_path, {"question": "q", "final_answer": ["7", "8"]}, answer="final_answer.1").answer == "8"


@pytest.mark.parametrize(("level", "expected"), [(3, 3), (3.0, 3), ("3", 3), ("Level 3", 3), (None, None)])
def test_levels_are_integers_however_written(tmp_path, level, expected):
    assert load_one(tmp_path, {"question": "q", "answer": "1", "d": level}, level="d").level == expected


@pytest.mark.parametrize("level", ["Level ?", 2.5, True, [3]])
def test_a_level_that_is_no_integer_is_refused(tmp_path, level):
    message = refusal(jsonl(tmp_path, {"question": "q", "answer": "1", "d": level}), level="d")
    assert "data.jsonl:1: level" in message


def test_code_rows_need_tests_and_may_name_a_function(tmp_path):
    row = {
        "question": "Double x.",
        "tests": [{"input": [2], "output": 4, "kind": "call"}, {"input": [0], "output": 0}],
        "entry_point": "f",
        "starter_code": "def f(x):",
    }
    expected = Problem(
        "data:1",
        "code",
        "Double x.",
        tests=CodeTests.pack([CodeTest([2], 4), CodeTest([0], 0)]),
        entry_point="f",
        starter_code="def f(x):",
    )
    code = {"domain": DomainName.code}
    assert load_one(tmp_path, row, **code) == expected
    assert load_one(tmp_path, {**row, "tests": json.dumps(row["tests"])}, **code) == expected
    assert load_one(tmp_path, {**row, "tests": None, "t": {"all": row["tests"]}}, answer="t.all", **code) == expected
    stdin = load_one(
        tmp_path, {"question": "q", "tests": [{"input": "2\n", "output": "4\n"}], "entry_point": ""}, **code
    )
    assert stdin == Problem("data:1", "code", "q", tests=CodeTests.pack([CodeTest("2\n", "4\n")]))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "no tests under the usual names (public_test_cases, tests, check, test, test_list, "),
        ({"t": 1}, "; the row has 'question', 't'; set problems.answer=NAME"),
        ({"tests": []}, "the list of tests is empty"),
        ({"tests": "[]"}, "the list of tests is empty"),
        ({"tests": "[{"}, "tests: broken JSON"),
        ({"tests": {"input": 1, "output": 2}}, "tests must be a list of {input, output} objects"),
        ({"tests": [{"input": 1}]}, "tests must be a list of {input, output} objects"),
        ({"tests": [{"input": 1, "output": 2}], "entry_point": 5}, "field 'entry_point' must be text, not '5'"),
    ],
)
def test_code_rows_without_usable_tests_are_refused(tmp_path, fields, said):
    message = refusal(jsonl(tmp_path, {"question": "q", **fields}), domain=DomainName.code, skip_empty=False)
    assert message.startswith(f"{tmp_path}/data.jsonl:1: ")
    assert said in message
