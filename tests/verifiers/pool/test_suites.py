"""What a code problem is judged by travels to a worker once, and both sides know what the worker holds."""

import json
import random
from dataclasses import replace

from acereason.problems.problem import CodeTest, CodeTests, Problem
from acereason.verifiers.pool.suites import SUITES_HELD, SuiteCache, WorkerSuites, make_suite, read_suite


def problem(number: int = 0, **fields: object) -> Problem:
    tests = CodeTests.pack([CodeTest([number, "é\n\ud83d\ude00"], {"a": [number, None, 0.5]})])
    return replace(Problem(f"p{number}", "code", "question", tests=tests, entry_point="f"), **fields)  # type: ignore[arg-type]


def test_a_suite_arrives_with_all_that_judges() -> None:
    sent = problem(
        7, check="assert f(1)", prelude="import math\n", time_limit_seconds=2.5, starter_code="def f", level=3
    )
    suite = make_suite(sent)
    assert suite.line.endswith(b"\n")
    assert suite.line.count(b"\n") == 1
    arrived = read_suite(json.loads(suite.line))
    assert arrived == Problem(
        suite.key,
        "code",
        "",
        tests=sent.tests,
        check="assert f(1)",
        prelude="import math\n",
        entry_point="f",
        time_limit_seconds=2.5,
    )
    assert list(arrived.tests) == list(sent.tests)


def test_the_key_is_that_of_what_judges_and_of_nothing_else() -> None:
    same = [problem(), problem(id="other", question="?", starter_code="def f", level=5, source="x", url="y", date="z")]
    assert len({make_suite(each).key for each in same}) == 1
    others = [
        problem(),
        problem(1),
        problem(check="assert f(1)"),
        problem(prelude="import math"),
        problem(entry_point=None),
        problem(entry_point="g"),
        problem(time_limit_seconds=1.0),
        problem(time_limit_seconds=1.5),
        problem(tests=CodeTests()),
        problem(tests=CodeTests.pack([CodeTest([1], 1)])),
        problem(tests=CodeTests.pack([CodeTest([1], 1.0)])),
        problem(tests=CodeTests.pack([CodeTest([1], True)])),
        problem(tests=CodeTests.pack([CodeTest([1], 1), CodeTest([1], 1)])),
    ]
    assert len({make_suite(each).key for each in others}) == len(others)


def test_a_suite_is_made_once_for_a_problem_that_is_asked_about_again() -> None:
    suites, asked = SuiteCache(), problem()
    assert suites.suite(asked) is suites.suite(asked)
    assert suites.suite(problem()) is not suites.suite(asked)
    assert suites.suite(problem()) == suites.suite(asked)


def test_problems_that_come_to_where_others_were_in_memory_get_their_own_suites() -> None:
    suites = SuiteCache()
    for number in range(3 * SUITES_HELD):
        asked = problem(number)
        assert suites.suite(asked).key == make_suite(problem(number)).key
        del asked


def test_of_more_suites_than_are_held_those_used_last_stay() -> None:
    held = WorkerSuites()
    for number in range(SUITES_HELD):
        held.add(f"{number}", problem(number))
    assert held.use("0")
    held.add("new", problem())
    assert held.use("0")
    assert not held.use("1")
    assert held.problem("new") == problem()
    for number in range(2, SUITES_HELD):
        assert held.problem(f"{number}") == problem(number)


def test_pool_and_worker_agree_on_what_is_held() -> None:
    # The pool notes uses and sends what is missing; the worker reads suites and judges, in the same order.
    pool, worker, sent = WorkerSuites(), WorkerSuites(), 0
    draw = random.Random(5)
    for _ in range(5000):
        number = int(draw.triangular(0, 3 * SUITES_HELD, 0))
        key = f"{number}"
        if not pool.use(key):
            pool.add(key)
            worker.add(key, problem(number))
            sent += 1
        assert worker.problem(key) == problem(number)
    assert 3 * SUITES_HELD - 60 < sent < 4000
