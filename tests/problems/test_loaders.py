import hashlib
import logging
import random

import pytest
from problem_files import jsonl, load, load_one, numbered, refusal

from acereason.config.schema import DomainName, ProblemsConfig
from acereason.problems.code_tests import CodeTest, CodeTests
from acereason.problems.laptop import laptop_problems
from acereason.problems.loaders import load_problems, split_held_out, to_row, write_jsonl
from acereason.problems.problem import Problem


def test_limit_keeps_the_first_and_reads_no_further(tmp_path):
    path = jsonl(tmp_path, *({"question": f"q{n}", "answer": n} for n in range(1, 4)), "{broken")
    assert [problem.question for problem in load(path, limit=3)] == ["q1", "q2", "q3"]
    assert [problem.question for problem in load(path, limit=2)] == ["q1", "q2"]
    assert f"{path}:4: broken JSON" in refusal(path, limit=4)


def test_empty_rows_are_left_out_and_counted_unless_the_file_is_to_be_refused(tmp_path, caplog):
    path = jsonl(tmp_path, *numbered(2), {"question": "", "answer": 1}, {"question": "c", "answer": None})
    assert refusal(path, skip_empty=False).endswith("or leave such rows out with problems.skip_empty=true")
    with caplog.at_level(logging.WARNING):
        problems = load(path)
    assert [problem.id for problem in problems] == ["data:1", "data:2"]
    assert "2 left out for an empty field, rows [3, 4]" in caplog.text
    assert "no field 'gold'" in refusal(path, answer="gold")


def test_ids_must_be_unique_and_both_rows_are_named(tmp_path):
    rows = [{"question": f"q{n}", "answer": n, "key": key} for n, key in enumerate(["x", "y", "x"])]
    path = jsonl(tmp_path, *rows)
    assert refusal(path, id="key") == f"{path}:3: id 'x' is taken by {path}:1; set problems.id=NAME"
    assert [problem.id for problem in load(path)] == ["data:1", "data:2", "data:3"]
    assert "to be an id" in refusal(jsonl(tmp_path, {"question": "q", "answer": 1, "key": None}), id="key")


@pytest.mark.parametrize("content", ["", "\n \n", "[]"])
def test_an_empty_data_set_is_refused(tmp_path, content):
    for name in ("none.jsonl", "none.json") if content != "[]" else ("none.json",):
        path = tmp_path / name
        path.write_text(content)
        assert refusal(path) == f"problems.path={path} has no problems in it"


@pytest.mark.parametrize(("name", "value", "low"), [("limit", -1, 0), ("held_out", -1, 0), ("count", 0, 1)])
def test_counts_out_of_range_are_refused(name, value, low):
    said = f"problems.{name}={value}: must be a whole number from {low}"
    assert refusal("laptop", **{name: value}) == said


def test_the_lowest_hashes_are_held_out_and_train_keeps_the_files_order(tmp_path):
    train, held_out = load_problems(ProblemsConfig(path=str(jsonl(tmp_path, *numbered(40))), held_out=10))
    questions = [row["question"] for row in numbered(40)]
    lowest = sorted(questions, key=lambda question: hashlib.sha256(question.encode()).hexdigest())[:10]
    assert [problem.question for problem in held_out] == lowest
    assert [problem.question for problem in train] == [question for question in questions if question not in lowest]


def test_what_is_held_out_does_not_depend_on_the_files_order(tmp_path):
    rows = numbered(40)
    shuffled = random.Random(0).sample(rows, len(rows))
    (_, before), (train, after) = (
        load_problems(ProblemsConfig(path=str(jsonl(tmp_path, *some)), held_out=10)) for some in (rows, shuffled)
    )
    assert [problem.question for problem in before] == [problem.question for problem in after]
    held = {problem.question for problem in after}
    assert [problem.question for problem in train] == [
        row["question"] for row in shuffled if row["question"] not in held
    ]


@pytest.mark.parametrize("count", range(1, 11))
def test_equal_questions_stay_on_one_side(count):
    # 12 problems: four questions once, four twice.
    names = [*"abcdefgh", *"efgh"]
    problems = [Problem(str(n), "math", name, answer="1") for n, name in enumerate(names)]
    train, held_out = split_held_out(problems, count)
    assert len(held_out) == count and len(train) == 12 - count
    assert not {problem.question for problem in train} & {problem.question for problem in held_out}


def test_a_held_out_size_that_parts_equal_questions_is_refused(tmp_path):
    path = jsonl(tmp_path, *[{"question": name, "answer": n} for n, name in enumerate("aabb")])
    assert "would split identical questions" in refusal(path, held_out=1)
    assert refusal(path, held_out=3).endswith("set problems.held_out=2")


@pytest.mark.parametrize("held_out", [3, 128])
def test_holding_out_everything_is_refused(tmp_path, held_out):
    message = refusal(jsonl(tmp_path, *numbered(3)), held_out=held_out)
    assert message.startswith(f"problems.held_out={held_out} leaves nothing to train on")
    assert "gives 3 problems" in message


def test_laptop_problems_follow_the_settings():
    config = ProblemsConfig(count=30, held_out=5, levels=(4, 6), seed=3)
    train, held_out = load_problems(config)
    assert train == laptop_problems("math", "train", 30, (4, 6), 3)
    assert held_out == laptop_problems("math", "held_out", 5, (4, 6), 3)
    config.limit = 7
    assert load_problems(config)[0] == train[:7]


def test_laptop_settings_out_of_range_are_refused():
    assert "laptop code levels go from 1 to 6, not 3 to 10" in refusal("laptop", domain=DomainName.code)
    assert "problems.levels=[3]: must be 2 whole numbers" in refusal("laptop", levels=[3])
    # Level 1 has 10 starts, which a code question does not show, and 32 operations.
    assert "there are not 33 different train code" in refusal("laptop", domain=DomainName.code, levels=(1, 1), count=33)


MATH_PROBLEMS = [
    Problem("a/1", "math", " 2+2?\n", answer="\\boxed{4}", level=3, source="s", url="https://x.y/z", date="2024-01-02"),
    Problem("\uff42", "math", "∑ \u2028 \U0001f600 \x00", answer=" #### 1,000 "),
]
CODE_PROBLEMS = [
    Problem("c", "code", "q", tests=CodeTests.pack([CodeTest("1 2\n", "3\n"), CodeTest("", "")])),
    Problem(
        "d",
        "code",
        "q",
        tests=CodeTests.pack([CodeTest([[1], {"k": None}], 2.5), CodeTest([10**5000, "\\ud800"], [True])]),
        entry_point="f",
        starter_code="def f(x):",
        time_limit_seconds=1.5,
    ),
    Problem("e", "code", "q", check="def check(c):\n    c(1)\n", prelude="import math\n", entry_point="Solution().f"),
]


@pytest.mark.parametrize(
    ("domain", "problems"),
    [
        ("math", MATH_PROBLEMS),
        ("code", CODE_PROBLEMS),
        ("math", laptop_problems("math", "train", 50, (2, 14))),
        ("code", laptop_problems("code", "train", 50, (1, 6))),
    ],
)
def test_written_problems_come_back_identical(tmp_path, domain, problems):
    path = tmp_path / "new folder" / "own.jsonl"
    write_jsonl(problems, path)
    assert load(path, domain=DomainName(domain)) == problems
    assert len(path.read_bytes().splitlines()) == len(problems)


def test_problems_loaded_from_elsewhere_come_back_identical(tmp_path):
    source = jsonl(tmp_path, {"question": "q \\ud800", "answer": "#### 1,000", "n": 1, "d": "Level 2"})
    problems = load(source, id="n", level="d")
    write_jsonl(problems, tmp_path / "own.jsonl")
    assert load(tmp_path / "own.jsonl") == problems


def test_a_lone_surrogate_is_written_as_an_escape(tmp_path):
    write_jsonl([Problem("a", "math", "\ud800é", answer="1")], tmp_path / "own.jsonl")
    assert '"question": "\\ud800é"' in (tmp_path / "own.jsonl").read_text()
    assert load(tmp_path / "own.jsonl")[0].question == "\ufffdé"


def test_own_rows_are_checked_too(tmp_path):
    math, code = to_row(MATH_PROBLEMS[0]), to_row(CODE_PROBLEMS[0])
    assert "set problems.domain=code" in refusal(jsonl(tmp_path, code))
    assert "the answer is empty" in refusal(jsonl(tmp_path, {**math, "answer": ""}), skip_empty=False)
    assert "the tests is empty" in refusal(
        jsonl(tmp_path, {**code, "tests": []}), domain=DomainName.code, skip_empty=False
    )
    assert "field 'question' must be text" in refusal(jsonl(tmp_path, {**math, "question": None}))
    assert "is taken by" in refusal(jsonl(tmp_path, math, math))


def test_a_named_field_overrides_the_own_form(tmp_path):
    row = to_row(Problem("a", "math", "q", answer="#### 7", url="9"))
    assert load_one(tmp_path, row, answer="url").answer == "9"
    assert load_one(tmp_path, row, answer="url").id == "data:1"
    assert load_one(tmp_path, row, level="url").level == 9
    assert load_one(tmp_path, row).answer == "#### 7"


def test_files_written_before_there_were_test_sources_still_load(tmp_path):
    rows = [to_row(problem) for problem in CODE_PROBLEMS[:1]]
    for row in rows:
        del row["check"], row["prelude"], row["time_limit_seconds"]
    assert load(jsonl(tmp_path, *rows), domain=DomainName.code) == CODE_PROBLEMS[:1]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tests": [], "check": ""}, "the tests is empty"),
        ({"tests": [{"input": 5, "output": "5"}]}, "test 0: input must be text"),
        ({"check": None}, "field 'check' must be text"),
        ({"time_limit_seconds": "fast"}, "time_limit_seconds must be a number of seconds"),
    ],
)
def test_a_code_problem_of_our_own_form_that_cannot_be_judged_is_refused(tmp_path, fields, said):
    path = jsonl(tmp_path, {**to_row(CODE_PROBLEMS[0]), **fields})
    assert said in refusal(path, domain=DomainName.code, skip_empty=False)
