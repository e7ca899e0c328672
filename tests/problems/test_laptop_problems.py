import operator
import random
import re
from collections import Counter

import pytest

from acereason.problems.code_tests import CodeTest
from acereason.problems.laptop import (
    CODE_LEVELS,
    MATH_LEVELS,
    Chain,
    chain_values,
    code_question,
    laptop_problems,
    math_question,
    sample_chain,
    split_of,
    to_problem,
)
from scripts.laptop_solutions import code_solution, math_solution

OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "%": operator.mod}
LEVELS = {"math": MATH_LEVELS, "code": CODE_LEVELS}


def read_steps(question):
    """The operations of a question, read from its text alone."""
    steps = re.findall(r"([a-z])([-+*%])(\d)", question.partition(":")[2])
    assert "".join(label for label, _, _ in steps) == "abcdefghijklmnopqrstuvwxyz"[: len(steps)]
    return [(OPERATORS[op], int(operand)) for _, op, operand in steps]


def test_a_math_problem_worked_by_hand():
    # 7 + 5 = 12 -> 2, 2 * 3 = 6, 6 - 9 = -3 -> 7
    chain = Chain(7, (("+", 5), ("*", 3), ("-", 9)))
    assert chain_values(chain) == [2, 6, 7]
    assert math_question(chain) == "Start at 7, work modulo 10: a+5 b*3 c-9"
    problem = to_problem(chain, "math")
    assert (problem.answer, problem.level, problem.domain, problem.tests) == ("7", 3, "math", ())


def test_a_code_problem_worked_by_hand():
    # (3x + 4) mod 7 at 0, 1, 2, 5, -3, 17, 100: 4, 7, 10, 19, -5, 55, 304 before the modulo
    chain = Chain(0, (("*", 3), ("+", 4), ("%", 7)))
    assert code_question(chain) == "f takes x and applies in order: a*3 b+4 c%7"
    problem = to_problem(chain, "code")
    inputs, outputs = (0, 1, 2, 5, -3, 17, 100), (4, 0, 3, 5, 2, 6, 3)
    assert problem.tests == tuple(CodeTest([x], y) for x, y in zip(inputs, outputs, strict=True))
    assert (problem.entry_point, problem.starter_code, problem.answer) == ("f", "def f(x):", "")


def test_math_answers_agree_with_the_text_of_the_question():
    for problem in laptop_problems("math", "train", 500, MATH_LEVELS, seed=5):
        value = int(re.match(r"Start at (\d), work modulo 10: ", problem.question)[1])
        for operation, operand in read_steps(problem.question):
            value = operation(value, operand)
        assert problem.answer == str(value % 10)


def test_code_tests_agree_with_the_text_of_the_question():
    for problem in laptop_problems("code", "train", 500, CODE_LEVELS, seed=5):
        for test in problem.tests:
            [value] = test.input
            for operation, operand in read_steps(problem.question):
                value = operation(value, operand)
            assert test.output == value


@pytest.mark.parametrize("domain", ["math", "code"])
def test_splits_are_disjoint_whatever_the_seeds(domain):
    train, held_out = (
        {problem.question for seed in range(5) for problem in laptop_problems(domain, split, 200, (2, 3), seed)}
        for split in ("train", "held_out")
    )
    assert len(train) > 200 and len(held_out) > 200
    assert not train & held_out
    assert {split_of(question) for question in held_out} == {"held_out"}


def test_about_an_eighth_of_all_questions_is_held_out():
    rng = random.Random(0)
    held = sum(split_of(math_question(sample_chain(rng, "math", 8))) == "held_out" for _ in range(4000))
    assert 400 < held < 600  # 500 expected, standard deviation 21


@pytest.mark.parametrize("domain", ["math", "code"])
def test_levels_are_the_numbers_of_steps_and_evenly_drawn(domain):
    lowest, highest = LEVELS[domain]
    problems = laptop_problems(domain, "train", 600, (lowest + 1, highest))
    assert all(problem.level == len(read_steps(problem.question)) for problem in problems)
    counts = Counter(problem.level for problem in problems)
    assert sorted(counts) == list(range(lowest + 1, highest + 1))
    assert min(counts.values()) > 0.6 * 600 / len(counts)


@pytest.mark.parametrize("domain", ["math", "code"])
def test_the_same_seed_gives_the_same_problems_and_another_seed_others(domain):
    first = laptop_problems(domain, "train", 100, (3, 6), seed=1)
    assert first == laptop_problems(domain, "train", 100, (3, 6), seed=1)
    assert first[:40] == laptop_problems(domain, "train", 40, (3, 6), seed=1)
    other = laptop_problems(domain, "train", 100, (3, 6), seed=2)
    assert len({problem.id for problem in first} & {problem.id for problem in other}) < 5


@pytest.mark.parametrize("domain", ["math", "code"])
def test_ids_are_unique(domain):
    problems = laptop_problems(domain, "train", 1000, (2, 6))
    assert len({problem.id for problem in problems}) == len({problem.question for problem in problems}) == 1000


def test_every_digit_is_a_likely_answer():
    # Guessing must not pay: no digit is the answer of more than 14% (10% expected, standard deviation 0.7%).
    answers = Counter(problem.answer for problem in laptop_problems("math", "train", 2000, (3, 10)))
    assert sorted(answers) == list("0123456789")
    assert max(answers.values()) < 280 and min(answers.values()) > 120


@pytest.mark.parametrize(("domain", "solution"), [("math", math_solution), ("code", code_solution)])
def test_solutions_take_more_tokens_the_harder_the_problem(domain, solution):
    # The laptop tokenizer spells a solution byte by byte. Each of the 300 generators keeps its style at all levels.
    lowest, highest = LEVELS[domain]
    lengths = []
    for level in range(lowest, highest + 1):
        chains = [sample_chain(random.Random(n), domain, level) for n in range(300)]
        lengths.append(sum(len(solution(random.Random(n), chain).encode()) for n, chain in enumerate(chains)) / 300)
    assert lengths == sorted(set(lengths))
    assert lengths[-1] - lengths[0] > highest - lowest


@pytest.mark.parametrize(
    ("domain", "levels"), [("math", (1, 5)), ("math", (3, 15)), ("math", (5, 3)), ("code", (0, 2))]
)
def test_levels_that_do_not_exist_are_refused(domain, levels):
    with pytest.raises(ValueError, match=f"laptop {domain} levels go from"):
        laptop_problems(domain, "train", 1, levels)


def test_asking_for_more_problems_than_there_are_is_refused():
    # One operation on x: 32 questions in both splits together.
    train, held_out = (next(n for n in range(33) if not can_make(split, n + 1)) for split in ("train", "held_out"))
    assert train + held_out == 32


def can_make(split, count):
    try:
        return len(laptop_problems("code", split, count, (1, 1))) == count
    except ValueError as error:
        assert f"there are not {count} different {split} code problems" in str(error)
        return False
