import random
import re

import pytest

from acereason.config.schema import ProblemsConfig
from acereason.errors import UserError
from acereason.problems.laptop import split_of
from acereason.problems.loaders import load_problems
from acereason.problems.word_problems import LARGEST, LEVELS, draw_story, word_problems
from acereason.verifiers.math.verifier import judge_answer

RESULT = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "/": int.__floordiv__}
STORIES = [(level, draw_story(random.Random(number), level)) for level in range(1, 7) for number in range(300)]


def numbers(text):
    return [int(number) for number in re.findall(r"\d+", text)]


def calculations(story):
    return [re.fullmatch(r"(\d+) ([-+*/]) (\d+) = (\d+)", line).groups() for line in story.work]


def test_a_story_worked_by_hand():
    # 3 friends times 4 marbles are 12, and with the 13 before 25
    story = draw_story(random.Random(6), 2)
    assert story.question == (
        "Marco has 13 marbles. 3 friends give Marco 4 marbles each. How many marbles does Marco have now?"
    )
    assert story.solution == "3 * 4 = 12\n13 + 12 = 25\n\\boxed{25}"


def test_every_calculation_is_right_and_the_last_one_gives_the_answer():
    for level, story in STORIES:
        assert len(story.work) == level
        for left, operator, right, result in calculations(story):
            assert RESULT[operator](int(left), int(right)) == int(result)
            assert operator != "/" or int(left) % int(right) == 0
        assert int(calculations(story)[-1][3]) == story.answer > 0
        assert max(numbers(story.solution)) <= LARGEST


def test_calculations_use_the_numbers_of_the_text_all_of_them_and_results_of_their_own():
    for _, story in STORIES:
        given, results, used = set(numbers(story.question)), set(), set()
        for left, _, right, result in calculations(story):
            assert {int(left), int(right)} <= given | results
            used |= {int(left), int(right)}
            results.add(int(result))
        assert given <= used


def test_sentences_are_whole():
    for _, story in STORIES:
        assert re.fullmatch(r"(?:(?:[A-Z]|\d).*?[.?] ?)+", story.question) and story.question.endswith(
            ("?", "dollars?")
        )
        assert not re.search(r"[{}]|  ", story.question)


def test_there_are_many_questions_and_the_splits_share_none():
    train = word_problems("train", 2000, LEVELS)
    held_out = word_problems("held_out", 300, LEVELS)
    questions = {worked.problem.question for worked in train}
    assert len(questions) == 2000
    assert not questions & {worked.problem.question for worked in held_out}
    assert all(split_of(worked.problem.question) == "held_out" for worked in held_out)
    assert [sum(worked.problem.level == level for worked in held_out) for level in range(1, 7)] == [50] * 6
    # with the digits taken out the questions are still many: names and sentences vary as well
    assert len({re.sub(r"\d+", "n", question) for question in questions}) > 1900


def test_a_seed_gives_the_same_problems_again_and_another_seed_others():
    assert word_problems("train", 20, (2, 3)) == word_problems("train", 20, (2, 3))
    assert word_problems("train", 20, (2, 3)) != word_problems("train", 20, (2, 3), seed=1)


def test_they_are_a_source_of_problems():
    train, held_out = load_problems(ProblemsConfig(path="word_problems", levels=(2, 3), count=30, held_out=5))
    assert (len(train), len(held_out)) == (30, 5)
    assert {problem.level for problem in train} == {2, 3}
    assert train[0] == word_problems("train", 30, (2, 3))[0].problem
    assert judge_answer(train[0].answer, str(train[0].answer)).reward == 1


def test_levels_that_do_not_exist_are_refused():
    with pytest.raises(UserError, match=r"word problems have levels 1 to 6, not 3 to 10; change these settings"):
        load_problems(ProblemsConfig(path="word_problems"))
