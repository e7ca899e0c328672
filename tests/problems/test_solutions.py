"""Worked solutions, as a warm start reads them."""

import json

import pytest

from acereason.config.schema import DomainName, ProblemsConfig
from acereason.errors import UserError
from acereason.problems.loaders import load_problems
from acereason.problems.solutions import load_solutions
from acereason.problems.word_problems import word_problems

SUM = {"question": "What is 1 + 2?", "solution": "1 + 2 = 3\n\\boxed{3}"}


def source(path, *rows, **settings):
    file = path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ProblemsConfig(path=str(file), **{"held_out": 0, **settings})


def test_a_math_row_needs_a_question_and_a_solution_and_no_answer(tmp_path):
    [worked], held_out = load_solutions(source(tmp_path, SUM))
    assert (worked.problem.question, worked.solution) == ("What is 1 + 2?", "1 + 2 = 3\n\\boxed{3}")
    assert held_out == []


def test_fields_are_named_as_for_problems_and_dots_reach_inside(tmp_path):
    row = {"messages": [{"role": "user", "content": "1 + 2?"}, {"role": "assistant", "content": "\\boxed{3}"}]}
    [worked], _ = load_solutions(source(tmp_path, row, question="messages"), "messages.1.content")
    assert (worked.problem.question, worked.solution) == ("1 + 2?", "\\boxed{3}")


def test_the_held_out_problems_are_those_of_a_run_on_the_same_file(tmp_path):
    rows = [{"question": f"What is {n} + 1?", "answer": n + 1, "solution": f"\\boxed{{{n + 1}}}"} for n in range(20)]
    config = source(tmp_path, *rows, held_out=6)
    train, held_out = load_solutions(config)
    of_the_run = load_problems(config)
    assert [each.problem.id for each in train] == [problem.id for problem in of_the_run[0]]
    assert [each.problem.id for each in held_out] == [problem.id for problem in of_the_run[1]]
    assert len(held_out) == 6


def test_those_of_the_word_problems_come_with_them():
    config = ProblemsConfig(path="word_problems", levels=(1, 2), count=7, held_out=3)
    train, held_out = load_solutions(config)
    assert train == word_problems("train", 7, (1, 2))
    assert held_out == word_problems("held_out", 3, (1, 2))


def test_code_rows_need_their_tests_too(tmp_path):
    row = {"question": "Double x.", "entry_point": "f", "tests": [{"input": [2], "output": 4}], "solution": "…"}
    [worked], _ = load_solutions(source(tmp_path, row, domain=DomainName.code))
    assert (worked.problem.domain, worked.problem.entry_point) == ("code", "f")


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        (SUM, "work", r"rows.jsonl:1: the solution \(work\) is not among 'question', 'solution'; set warm_start"),
        (
            {**SUM, "solution": 3},
            "",
            r"rows.jsonl:1: the solution \(solution, .*\) is int; set warm_start.solution=NAME",
        ),
        ({**SUM, "solution": " "}, "", r"no solution to learn from beside 0 held-out ones"),
    ],
)
def test_rows_without_a_solution_are_refused_or_left_out(tmp_path, row, field, message):
    with pytest.raises(UserError, match=message):
        load_solutions(source(tmp_path, row), field)


def test_an_empty_solution_is_refused_where_the_settings_say_so(tmp_path):
    with pytest.raises(UserError, match=r"rows.jsonl:1: the solution is empty; fix the row"):
        load_solutions(source(tmp_path, {**SUM, "solution": ""}, skip_empty=False))


def test_the_laptop_problems_have_none():
    with pytest.raises(UserError, match=r"problems.path=laptop: has no worked solutions"):
        load_solutions(ProblemsConfig())


def test_a_problem_may_have_several_solutions(tmp_path):
    train, _ = load_solutions(
        source(tmp_path, {**SUM, "id": "a"}, {**SUM, "id": "a", "solution": "\\boxed{3}"}, id="id")
    )
    assert [worked.solution for worked in train] == [SUM["solution"], "\\boxed{3}"]
