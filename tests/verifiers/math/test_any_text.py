"""Any text gets a verdict in bounded time and memory; any text can be searched for a box, in linear time."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from math_strategies import KINDS
from math_strategies.any_text import REPEATED, any_text

from acereason.verifiers.math.extraction import extract_boxed
from acereason.verifiers.math.verifier import extract_answer

START_SECONDS = 120.0
VERDICT_SECONDS = 30.0
MEMORY_MIB = 2048
# What may be said of text that nobody means: an exception's `error_…` is not among it, nor is running out of memory.
REASONS = {"correct", "wrong", "unparsed", "too_long", "too_large", "no_gold"}
JUDGE = """
import json, resource, sys
from acereason.verifiers.math.verifier import MathVerifier, judge_answer
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]) * 2**20,) * 2)
MathVerifier().warm_up()
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    print(json.dumps(judge_answer(*json.loads(line)).reason), flush=True)
"""

# A hang is shown as it was found: to shrink it would take as long as it hangs, many times over.
examples = settings(derandomize=True, deadline=None, max_examples=300, phases=[Phase.explicit, Phase.generate])


class Judge:
    """`judge_answer` in a process of its own, which is killed when a verdict takes too long."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """A fresh process, ready to judge."""
        command = [sys.executable, "-c", JUDGE, str(MEMORY_MIB)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.reply(START_SECONDS) == "ready"

    def reply(self, seconds: float) -> str:
        """The next line of the process; empty when it ended or had to be killed."""
        assert self.process.stdout
        killer = threading.Timer(seconds, self.process.kill)
        killer.start()
        line = self.process.stdout.readline()
        killer.cancel()
        return json.loads(line) if line else ""

    def __call__(self, gold: str, answer: str) -> str:
        """The reason of the verdict; empty when there was none in time, or the process died."""
        assert self.process.stdin
        print(json.dumps([gold, answer]), file=self.process.stdin, flush=True)
        reason = self.reply(VERDICT_SECONDS)
        if not reason:
            self.process.wait()
            self.start()
        return reason


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    judge = Judge()
    yield judge
    judge.process.kill()
    judge.process.wait()


texts = any_text(KINDS)
golds = st.sampled_from(["5", r"\frac{1}{2}", "x^2+1", "(1,2)", r"\text{yes}", "x<3", "[0,1)"]) | texts


@examples
@given(gold=golds, answer=texts)
@example(gold="5", answer="9^{9^{9^9}}")
@example(gold="5", answer="(10^{10^7})!")
@example(gold="5", answer=r"\binom{10^9}{10^8}")
@example(gold="x", answer="(x+1)^{1000000}")
@example(gold="5", answer="(x+y+z+w)^{60}")
@example(gold="5", answer=r"\sqrt{" * 300 + "2" + "}" * 300)
@example(gold="5", answer=r"\int_0^1 x^{x^x} dx")
@example(gold="5", answer="1.0e999999999")
@example(gold="5", answer="0." + "0" * 400_000 + "1")
@example(gold="5", answer="7" * 400_000 + "/" + "3" * 400_000)
@example(gold="5", answer="5" + " " * 200_000 + "x")
@example(gold="5", answer="5" + "," * 200_000 + "x")
@example(gold="5", answer="\ud800\x00\u202e")
def test_any_text_gets_a_verdict(judge: Judge, gold: str, answer: str) -> None:
    assert judge(gold, answer) in REASONS


@examples
@given(text=texts.filter(lambda text: len(text) < 1000))
def test_any_text_compared_with_itself_gets_a_verdict(judge: Judge, text: str) -> None:
    assert judge(text, text) in REASONS


# --- extraction


@examples
@given(text=texts, end=st.sampled_from(("", "}", r" \boxed{5}", r"\boxed{", r"\boxed 5")))
def test_any_text_can_be_searched_for_a_box(text: str, end: str) -> None:
    answer, why_not = extract_boxed(text + end)
    assert bool(answer) != bool(why_not)
    found = extract_answer(text + "</think>" + text + end)
    assert (found.answer, found.reason) == (answer, why_not)


@st.composite
def balanced(draw: DrawFn, depth: int = 4) -> str:
    """Text whose braces pair up; what begins with a backslash is never half a pair."""
    inner = [balanced(depth - 1).map(lambda text: f"{{{text}}}")] if depth else []
    part = st.one_of(st.sampled_from(("1", "x", " ", "$", r"\{", r"\}", r"\\ ", r"\frac", "</p>")), *inner)
    return "".join(draw(st.lists(part, max_size=5)))


@examples
@given(before=texts, inside=balanced(), after=st.text(st.characters(exclude_characters="\\{}"), max_size=20))
def test_the_last_box_is_found_after_any_text(before: str, inside: str, after: str) -> None:
    expected = (inside.strip(), "") if inside.strip() else ("", "empty")
    assert extract_boxed(f"{before}\nSo it is \\boxed{{{inside}}}{after}") == expected


def processor_seconds(action: Callable[[], object]) -> float:
    """The best of three."""
    times = []
    for _ in range(3):
        started = time.process_time()
        action()
        times.append(time.process_time() - started)
    return min(times)


BOXES = [r"\boxed{5}", r"\boxed 5", r"\fbox", r"\boxed {", "}{", "</think>", "word "]


@pytest.mark.parametrize("unit", REPEATED + BOXES)
def test_the_time_to_find_a_box_grows_with_the_length(unit: str) -> None:
    short, long = (unit * (count // len(unit)) for count in (20_000, 320_000))
    # Sixteen times the text: 16 times as long, or 256 times if every place looked at all others.
    assert processor_seconds(lambda: extract_boxed(long)) < 60 * processor_seconds(lambda: extract_boxed(short)) + 0.05
