r"""The built-in word problems: short stories about numbers, for models that read English.

The level is the number of calculations. A question of level 2, and its worked solution:

    Mia has 14 apples. Mia buys 3 bags with 5 apples in each bag. How many apples does Mia have now?

    3 * 5 = 15
    14 + 15 = 29
    \boxed{29}

Everything is drawn from a seed. A hash of the question decides which split a problem belongs to, as for `laptop.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from acereason.problems.laptop import Split, split_of
from acereason.problems.problem import Problem, WorkedProblem
from acereason.problems.word_themes import NAMES, PLACES, THEMES, THINGS, WORDS, Theme

SOURCE = "word_problems"
LEVELS = (1, 6)
LARGEST = 60
"""No number in a story or its solution exceeds it; larger ones would test arithmetic more than reading."""
_COMPARED_LEVELS = (2, 4)
_OTHER_KINDS = 0.3  # share of stories at these levels that are no chain of events


@dataclass(frozen=True)
class Story:
    """A word problem before it is one.

    Attributes:
        question: sentences and the question.
        work: its calculations in order, such as `14 + 15 = 29`; the last one gives the answer.
        answer: a whole number.
    """

    question: str
    work: tuple[str, ...]
    answer: int

    @property
    def solution(self) -> str:
        r"""The worked solution: a calculation a line, then `\boxed{answer}`."""
        return "\n".join([*self.work, f"\\boxed{{{self.answer}}}"])


def word_problems(split: Split, count: int, levels: tuple[int, int], seed: int = 0) -> list[WorkedProblem]:
    """Make `count` distinct problems of one split, with levels spread evenly over `levels` (both ends included).

    Raises:
        ValueError: the generator does not make these levels, or there are fewer than `count` such problems.
    """
    lowest, highest = LEVELS
    if not lowest <= levels[0] <= levels[1] <= highest:
        raise ValueError(f"word problems have levels {lowest} to {highest}, not {levels[0]} to {levels[1]}")
    rng = random.Random(f"{seed}/{SOURCE}/{split}")
    found: dict[str, WorkedProblem] = {}
    for _ in range(200 * count + 1000):
        if len(found) == count:
            break
        level = levels[0] + len(found) % (levels[1] - levels[0] + 1)
        story = draw_story(rng, level)
        if split_of(story.question) == split:
            found.setdefault(story.question, _worked(story, level))
    if len(found) < count:
        raise ValueError(f"there are not {count} different {split} word problems of levels {levels}")
    return list(found.values())


def _worked(story: Story, level: int) -> WorkedProblem:
    question = story.question
    problem = Problem(question, "math", question, answer=str(story.answer), level=level, source=SOURCE)
    return WorkedProblem(problem, story.solution)


def draw_story(rng: random.Random, level: int) -> Story:
    """Draw a story with `level` calculations."""
    if _COMPARED_LEVELS[0] <= level <= _COMPARED_LEVELS[1] and rng.random() < _OTHER_KINDS:
        return rng.choice((_comparison, _shopping))(rng, level)
    return _Chain(rng, level).story()


class _Work:
    """Calculations, as they are written down."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, left: int, operator: str, right: int) -> int:
        result = {"+": left + right, "-": left - right, "*": left * right, "/": left // right}[operator]
        self.lines.append(f"{left} {operator} {right} = {result}")
        return result


class _Chain:
    """A story in which one number changes from sentence to sentence."""

    def __init__(self, rng: random.Random, level: int) -> None:
        self.rng, self.level = rng, level
        self.theme: Theme = rng.choice(THEMES)
        who, friend = rng.sample(NAMES, 2)
        self.words = {"who": who, "friend": friend, **{name: rng.choice(words) for name, words in WORDS.items()}}
        self.places = rng.sample(PLACES, len(PLACES))
        self.work, self.sentences, self.value = _Work(), list[str](), 0

    def story(self) -> Story:
        """Return the story: a start, events until the work is long enough, and the question."""
        if self.rng.random() < 0.25:
            m, n = self.rng.randint(2, 5), self.rng.randint(2, 6)
            self._say(self.theme.packed, m=m, n=n)
            self.value = self.work(m, "*", n)
        else:
            self.value = self.rng.randint(3, 20)
            self._say(self.theme.start, n=self.value)
        while len(self.work.lines) < self.level:
            self.rng.choice(self._possible())()
        self._say(self.theme.ask)
        return Story(" ".join(self.sentences), tuple(self.work.lines), self.value)

    def _say(self, sentences: tuple[str, ...], **numbers: int) -> None:
        text = self.rng.choice(sentences)
        place = self.places.pop() if "{place}" in text else ""
        self.sentences.append(text.format(place=place, **self.words, **numbers))

    def _possible(self) -> list[Callable[[], None]]:
        """Return the events that the number and the work left allow; there is always one."""
        two_left = self.level - len(self.work.lines) >= 2
        events = [
            (self._gain, self.value <= LARGEST - 9),
            (self._loss, self.value >= 4),
            (self._packs, two_left and self.value <= LARGEST - 20),
            (self._handed, two_left and self.value >= 12),
            (self._times, self.value <= LARGEST // 3),
            (self._share, bool(self._divisors())),
        ]
        return [event for event, allowed in events if allowed]

    def _gain(self) -> None:
        n = self.rng.randint(2, 9)
        self._say(self.theme.gain, n=n)
        self.value = self.work(self.value, "+", n)

    def _loss(self) -> None:
        n = self.rng.randint(2, min(self.value - 1, 9))
        self._say(self.theme.loss, n=n)
        self.value = self.work(self.value, "-", n)

    def _packs(self) -> None:
        m, n = self.rng.randint(2, 4), self.rng.randint(2, 5)
        self._say(self.theme.packs, m=m, n=n)
        self.value = self.work(self.value, "+", self.work(m, "*", n))

    def _handed(self) -> None:
        m = self.rng.randint(2, min(4, (self.value - 1) // 2))
        n = self.rng.randint(2, min(5, (self.value - 1) // m))
        self._say(self.theme.handed, m=m, n=n)
        self.value = self.work(self.value, "-", self.work(m, "*", n))

    def _times(self) -> None:
        m = self.rng.randint(2, 3)
        self._say(self.theme.times, m=m)
        self.value = self.work(self.value, "*", m)

    def _divisors(self) -> list[int]:
        return [m for m in range(2, 6) if self.value % m == 0 and self.value // m >= 2]

    def _share(self) -> None:
        m = self.rng.choice(self._divisors())
        self._say(self.theme.share, m=m)
        self.value = self.work(self.value, "/", m)


def _comparison(rng: random.Random, level: int) -> Story:
    """Draw a story of people who have more, fewer or several times as many things as another."""
    first, second, third = rng.sample(NAMES, 3)
    things, work = rng.choice(THINGS), _Work()
    a = rng.randint(4, 8)
    if rng.random() < 0.5:
        k = rng.randint(2, 5)
        b, compared = work(a, "+", k), f"{k} more {things} than"
    else:
        k = rng.randint(2, a - 2)
        b, compared = work(a, "-", k), f"{k} fewer {things} than"
    text = f"{first} has {a} {things}. {second} has {compared} {first}. "
    if level == 2:
        return _ended(work, f"{text}How many {things} do they have together?", a, b)
    m = rng.randint(2, 3)
    c = work(b, "*", m)
    text += f"{third} has {m} times as many {things} as {second}. "
    if level == 3:
        return _ended(work, f"{text}How many {things} do {second} and {third} have together?", b, c)
    return _ended(work, f"{text}How many {things} do the three have together?", work(a, "+", b), c)


def _ended(work: _Work, question: str, left: int, right: int) -> Story:
    answer = work(left, "+", right)
    return Story(question, tuple(work.lines), answer)


def _shopping(rng: random.Random, level: int) -> Story:
    """Draw a story of someone who buys several things, and may pay with a note."""
    who, work = rng.choice(NAMES), _Work()
    one, other = rng.sample(THINGS, 2)
    m, price = rng.randint(2, 5), rng.randint(2, 5)
    first = work(m, "*", price)
    text = f"{who} buys {m} {one} for {price} dollars each"
    if level == 2:
        extra = rng.randint(2, 9)
        return _ended(work, f"{text} and a bag for {extra} dollars. How many dollars does {who} pay?", first, extra)
    k, second_price = rng.randint(2, 5), rng.randint(2, 5)
    second = work(k, "*", second_price)
    text += f" and {k} {other} for {second_price} dollars each. "
    if level == 3:
        return _ended(work, f"{text}How many dollars does {who} pay?", first, second)
    answer = work(60, "-", work(first, "+", second))
    return Story(f"{text}How much is left of 60 dollars?", tuple(work.lines), answer)
