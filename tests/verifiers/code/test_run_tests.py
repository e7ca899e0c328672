"""Programs against their tests, in real zones: which reason, which failing test, and what no program gets to see."""

import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from code_problems import ADD, SUMS, call_problem, check_problem, made_zones, stdin_problem

from acereason.problems.formats.leetcode_nodes import node_sources
from acereason.problems.problem import Problem
from acereason.sandbox.running import ZoneLost
from acereason.sandbox.zones import Zones
from acereason.verifiers.code.run_tests import run_tests
from acereason.verifiers.code.test_run import Outcome

LIMIT = 0.7
NOT_PLAIN = ["lambda: 1", "object()", "print", "int", "(i for i in [3])", "__import__('sys')", "type('T', (), {})()"]


@pytest.fixture(scope="module")
def zones() -> Iterator[Zones]:
    settings = {"memory_mib": 256, "output_mib": 1, "total_time_limit_seconds": 20.0, "stop_at_first_failure": True}
    with made_zones(**settings) as shared:
        yield shared


# Reasons of programs that read and print


@pytest.mark.parametrize(
    ("program", "reason", "failing"),
    [
        (ADD, "passed", None),
        ("a, b = map(int, input().split())\nprint(a + b if a else 1)\n", "passed", None),
        ("print(7)\n", "wrong_answer", 1),
        ("print(*map(int, input().split()))\n", "wrong_answer", 0),
        ("", "wrong_answer", 0),
        ("a, b = map(int, input().split())\nprint(a + b, 1 // b)\n", "wrong_answer", 0),
        ("a, b = map(int, input().split())\nprint(a + b)\n1 // (b + 5)\n", "runtime_error", 2),
        ("print(x)\n", "runtime_error", 0),
        ("raise SystemExit\n", "wrong_answer", 0),
        ("import os\nos.abort()\n", "runtime_error", 0),
        ("import os\nos.kill(os.getpid(), 11)\n", "runtime_error", 0),
        ("import no_such_module\n", "runtime_error", 0),
        ("print(7", "syntax_error", 0),
        ("print(7)\0", "syntax_error", 0),
        ("\udcff = 1\n", "syntax_error", 0),
        ("x = '" + "[" * 300 + "'\n" + "(" * 300 + ")" * 300, "syntax_error", 0),
        ("import time\ntime.sleep(60)\n", "timeout", 0),
        ("while True: pass\n", "timeout", 0),
        ("held = bytearray(b'x') * (600 << 20)\n", "memory", 0),
        ("held = bytearray(1 << 50)\n", "memory", 0),
        ("held = [0]\nwhile True: held += held\n", "memory", 0),
        ("print('7' * (2 << 20))\n", "output_limit", 0),
        ("while True: print(7)\n", "output_limit", 0),
    ],
)
def test_reasons_of_programs_that_print(zones: Zones, program: str, reason: str, failing: int | None) -> None:
    problem = stdin_problem(*SUMS, time_limit_seconds=LIMIT if reason == "timeout" else 20.0)
    assert run_tests(zones, problem, program) == Outcome(reason, failing)


@pytest.mark.parametrize(
    "end", ["exit(3)", "import sys; sys.exit('no')", "import os, sys; sys.stdout.flush(); os._exit(9)"]
)
def test_exit_statuses_prove_nothing(zones: Zones, end: str) -> None:
    assert run_tests(zones, stdin_problem(*SUMS), ADD + end) == Outcome("passed")
    assert run_tests(zones, stdin_problem(*SUMS), end) == Outcome("wrong_answer", 0)


def test_each_run_begins_anew(zones: Zones) -> None:
    program = """
import builtins, os, random, sys
print(len(os.listdir(".")), hasattr(builtins, "seen"), "x" in globals(), random.random(), sys.getrecursionlimit())
print(os.getcwd() == os.path.realpath("."), sys.argv, __name__, input())
x = builtins.seen = 1
sys.setrecursionlimit(9999)
open("file", "w").write("x")
sys.stdin = sys.stdout = None
"""
    line = "0 False False 0.8444218515250481 50000\nTrue ['program.py'] __main__ "
    tests = [(f"{number}\n", f"{line}{number}\n") for number in range(6)]
    assert run_tests(zones, stdin_problem(*tests), program) == Outcome("passed")


def test_input_and_output_are_text_of_any_kind(zones: Zones) -> None:
    echo = "import sys\nsys.stdout.write(sys.stdin.read())\n"
    texts = ["", "\n", "a\r\nb", "é😀\0\x7f", "0" * 500_000, "\uff11 2\u2028"]
    assert run_tests(zones, stdin_problem(*((text, text) for text in texts)), echo).reason == "passed"
    copy = "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read()[::-1][::-1])\n"
    assert run_tests(zones, stdin_problem(*((text, text) for text in texts)), copy).reason == "passed"
    assert (
        run_tests(zones, stdin_problem(("", "\ufffd")), "import os\nos.write(1, b'\\xff')\n").reason == "wrong_answer"
    )


def test_output_is_what_stands_on_descriptor_1_at_the_end(zones: Zones) -> None:
    for program in (
        "import os\nos.write(1, b'8')\nos.lseek(1, 0, 0)\nos.write(1, b'7')\n",
        "import sys\nprint(7, end='')\nprint(8, file=sys.stderr)\n",
        "import os\nif os.fork() == 0:\n    os.write(1, b'7')\n    os._exit(0)\nos.wait()\n",
        "import threading\nthreading.Thread(target=print, args=(7,)).start()\n",
        "import sys\nsys.__stdout__.write('7')\n",
        "import atexit\natexit.register(print, 7)\n",
    ):
        if "fork" in program and zones.output_of("import os\nos.fork() or print('can')\n") != "can\n":
            continue
        assert run_tests(zones, stdin_problem(("", "7"), ("", "7")), program) == Outcome("passed"), program


def test_the_prelude_stands_before_the_program(zones: Zones) -> None:
    problem = stdin_problem(("", "6"), prelude="def six():\n    return 6\n")
    assert run_tests(zones, problem, "print(six())\n").reason == "passed"
    assert run_tests(zones, stdin_problem(("", "6")), "print(six())\n").reason == "runtime_error"


# Reasons of functions


@pytest.mark.parametrize(
    ("program", "reason", "failing"),
    [
        ("def add(a, b): return a + b", "passed", None),
        ("class Solution:\n    def add(self, a, b): return a + b", "passed", None),
        ("class Solution:\n    @staticmethod\n    def add(a, b): return a + b", "passed", None),
        ("add = lambda a, b: a + b", "passed", None),
        ("from operator import add", "passed", None),
        ("class Solution:\n    pass\ndef add(a, b): return a + b", "passed", None),
        ("if __name__ == '__main__': input()\ndef add(a, b): return a + b", "passed", None),
        ("def add(a, b): return a + b\nraise SystemExit", "passed", None),
        ("def add(a, b):\n    print(a)\n    return a + b", "passed", None),
        ("def add(a, b): return 7", "wrong_answer", 1),
        ("def add(a, b): return float(a + b) if b != 1 else None", "wrong_answer", 1),
        ("def add(a, b): return str(a + b)", "wrong_answer", 0),
        ("def add(a, b): print(a + b)", "wrong_answer", 0),
        ("def add(a, b): return (a + b) // (b + 5)", "wrong_answer", 0),
        ("def add(a, b): return (a + b) if b + 5 else 1 // 0", "runtime_error", 2),
        ("def add(a): return a", "runtime_error", 0),
        ("def add(a, b): return add(a, b)", "runtime_error", 0),
        ("def add(a, b): raise KeyboardInterrupt", "runtime_error", 0),
        ("def add(a, b): exit()", "runtime_error", 0),
        ("import os\ndef add(a, b): os._exit(0)", "runtime_error", 0),
        ("1 // 0\ndef add(a, b): return a + b", "runtime_error", 0),
        ("def subtract(a, b): return a - b", "no_function", 0),
        ("class Solution:\n    def sub(self, a, b): return a - b", "no_function", 0),
        ("add = 7", "no_function", 0),
        ("", "no_function", 0),
        ("def add(a, b) return a + b", "syntax_error", 0),
        ("import time\ndef add(a, b): time.sleep(60)", "timeout", 0),
        ("import time\ntime.sleep(60)", "timeout", 0),
        ("import time\ndef add(a, b):\n    while b == 1: pass\n    return a + b", "timeout", 1),
        ("def add(a, b): return len(bytearray(b'x') * (600 << 20))", "memory", 0),
        ("held = bytearray(1 << 50)", "memory", 0),
        ("def add(a, b): return bytearray(1 << 50)", "memory", 0),
        ("def add(a, b): return '7' * (2 << 20)", "output_limit", 0),
    ],
)
def test_reasons_of_functions(zones: Zones, program: str, reason: str, failing: int | None) -> None:
    tests = [([3, 4], 7), ([1, 1], 2), ([5, -5], 0)]
    problem = call_problem("add", *tests, time_limit_seconds=LIMIT if reason == "timeout" else 20.0)
    assert run_tests(zones, problem, program) == Outcome(reason, failing)


@pytest.mark.parametrize("value", NOT_PLAIN)
def test_what_is_no_plain_data_equals_nothing(zones: Zones, value: str) -> None:
    for expected in (1, None, [], [3], "Opaque", {}, True):
        problem = call_problem("give", ([], expected))
        assert run_tests(zones, problem, f"def give(): return {value}").reason == "wrong_answer"


def test_a_program_that_hangs_up_is_not_waited_for(zones: Zones) -> None:
    problem = call_problem("add", ([3, 4], 7), time_limit_seconds=60.0)
    program = "import os, time\ndef add(a, b):\n    os.closerange(3, 4096)\n    time.sleep(600)\n"
    assert run_tests(zones, problem, program) == Outcome("runtime_error", 0)
    at_once = "import os, time\nos.closerange(3, 4096)\ntime.sleep(600)\n"
    assert run_tests(zones, problem, at_once) == Outcome("runtime_error", 0)


def test_state_that_earlier_calls_left_harms_no_program(zones: Zones) -> None:
    counting = "calls = 0\ndef count(n):\n    global calls\n    calls += n\n    return calls\n"
    tests = [([n], n) for n in (2, 3, 4, 5, 6)]
    assert run_tests(zones, call_problem("count", *tests), counting) == Outcome("passed")
    wrong = "calls = 0\ndef count(n):\n    global calls\n    calls += n\n    return calls if n < 5 else 0\n"
    assert run_tests(zones, call_problem("count", *tests), wrong) == Outcome("wrong_answer", 3)
    raising = "seen = []\ndef count(n):\n    assert not seen\n    seen.append(n)\n    return n\n"
    assert run_tests(zones, call_problem("count", *tests), raising) == Outcome("passed")
    ending = (
        "import os\ncalls = []\ndef count(n):\n    calls.append(n)\n    len(calls) < 2 or os._exit(0)\n    return n\n"
    )
    assert run_tests(zones, call_problem("count", *tests), ending) == Outcome("passed")


def test_state_that_earlier_runs_left_harms_no_program(zones: Zones) -> None:
    tests = [(f"{n}\n", f"{n}\n") for n in range(5)]
    for change in (
        "open('mark', 'x')",
        "import math\nassert math.pi > 3\nmath.pi = 0",
        "import os\nassert os.environ.setdefault('MARK', '1') == '1'\nos.environ['MARK'] = '2'",
        "import decimal\nassert decimal.getcontext().prec == 28\ndecimal.getcontext().prec = 5",
        "import signal\nassert not signal.alarm(1)",
        "import gc\nassert gc.isenabled()\ngc.disable()",
        "import os\nos.chdir(os.path.dirname(os.__file__)) if os.listdir('.') == [] else 1 // 0",
    ):
        assert run_tests(zones, stdin_problem(*tests), f"{change}\nprint(input())\n") == Outcome("passed"), change


# Test source


CHECK = "def check(f):\n    assert f(3, 4) == 7\n    assert f(1, 1) == 2\n    assert f(5, -5) == 0\ncheck(add)\n"


@pytest.mark.parametrize(
    ("program", "reason", "failing"),
    [
        ("def add(a, b): return a + b", "passed", None),
        ("def add(a, b): return 7", "wrong_answer", 1),
        ("def add(a, b): return (a + b) if b + 5 else 1 // 0", "runtime_error", 2),
        ("def add(a, b): raise AssertionError", "runtime_error", 0),
        ("def add(a, b): raise SystemExit", "runtime_error", 0),
        ("import os\ndef add(a, b): os._exit(0)", "runtime_error", 0),
        ("def sub(a, b): return a - b", "no_function", 0),
        ("def add(a, b) return a + b", "syntax_error", 0),
        ("import time\ndef add(a, b): time.sleep(60)", "timeout", 0),
        ("def add(a, b): return bytearray(b'x') * (600 << 20)", "memory", 0),
        ("def add(a, b): return 'x' * (20 << 20)", "output_limit", 0),
    ],
)
def test_reasons_by_test_source(zones: Zones, program: str, reason: str, failing: int | None) -> None:
    problem = check_problem("add", CHECK, time_limit_seconds=LIMIT if reason == "timeout" else 20.0)
    assert run_tests(zones, problem, program) == Outcome(reason, failing)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("pass", "no_tests"),
        ("def check(candidate):\n    assert candidate(1, 1) == 2\n", "no_tests"),
        ("assert add", "no_tests"),
        ("assert add(1, 1) == 2 and", "broken_tests"),
        ("import no_such_module\nassert add(1, 1) == 2", "broken_tests"),
        ("raise AssertionError", "broken_tests"),
        ("import os; os._exit(0)", "broken_tests"),
        ("import os; add(1, 1); os._exit(0)", "broken_tests"),
        ("import time; time.sleep(600)", "broken_tests"),
        ("while True: pass", "broken_tests"),
    ],
)
def test_a_source_that_tests_nothing_is_no_reward(source: str, reason: str) -> None:
    with made_zones(time_limit_seconds=0.5, total_time_limit_seconds=1.0) as zones:
        found = run_tests(zones, check_problem("add", source), "def add(a, b): return a + b")
        assert (found.reason, found.failing_test) == (reason, None)


def test_a_source_may_do_what_tests_do(zones: Zones) -> None:
    source = """
import math, random
from collections import Counter
def close(a, b): return math.isclose(a, b, abs_tol=1e-6)
def fails(kind, *arguments, **keywords):
    try:
        average(*arguments, **keywords)
    except kind as error:
        return str(error)
random.seed(5)
for _ in range(20):
    xs = [random.random() for _ in range(5)]
    assert close(candidate(xs), sum(xs) / 5) and average(xs) == candidate(xs=xs)
assert average(range(4)) == 1.5 and average({1: 2}) == 1 and candidate((3, 5)) == 4
assert "division" in fails(ZeroDivisionError, []) and fails(ValueError, [1], strict=True) == "strict"
assert fails(Exception, [2], strict=None) == "of its own" and fails(TypeError)
"""
    program = """
class Unknown(Exception): pass
def average(xs, strict=False):
    if strict: raise ValueError("strict")
    if strict is None: raise Unknown("of its own")
    return sum(xs) / len(xs)
"""
    assert run_tests(zones, check_problem("average", source), program).reason == "passed"
    for wrong in (
        program.replace("/ len", "// len"),
        program.replace("len(xs)", "max(1, len(xs))"),
        "def average(xs): pass",
    ):
        assert run_tests(zones, check_problem("average", source), wrong).reason in ("wrong_answer", "runtime_error")


@pytest.mark.parametrize(
    ("source", "program"),
    [
        (
            "twice = Twice()\nassert twice.of([1]) == Twice().of([1]) == (1, 1)",
            "class Twice:\n    def of(self, xs): return (*xs, *xs)",
        ),
        ("assert isinstance(f(), tuple) and isinstance(f()[1], set)", "def f(): return (1, {2})"),
        ("assert list(f(3)) == [0, 1, 2] and next(f(1)) == 0", "def f(n): yield from range(n)"),
        (
            "from collections import Counter\nassert Counter(f('aab')) == Counter('aba')",
            "def f(text): return {'b': 1, 'a': 2}",
        ),
        (
            "import math\nassert math.isnan(f()[0]) and f()[1] == math.inf",
            "def f(): return [float('nan'), float('inf')]",
        ),
        ("assert f(10**5000) == 10**5000 + 1", "def f(n): return n + 1"),
        ("assert f(b'a', 1j, None) == [b'a', 1j, None]", "def f(*xs): return list(xs)"),
        ("xs = [3, 1]\nassert f(xs) == [1, 3] and xs == [3, 1]", "f = sorted"),
    ],
)
def test_values_and_methods_that_sources_use(zones: Zones, source: str, program: str) -> None:
    name = "Twice().of" if "Twice" in source else "f"
    assert run_tests(zones, check_problem(name, source), program) == Outcome("passed")


def test_telling_fresh_processes_from_used_ones_gains_nothing(zones: Zones) -> None:
    program = "import builtins\nprint('no' if hasattr(builtins, 'used') else 'yes')\nbuiltins.used = True\n"
    passed = []
    for answers in itertools.product(["yes", "no"], repeat=4):
        if run_tests(zones, stdin_problem(*(("", answer) for answer in answers)), program).reason == "passed":
            passed.append(answers)
    # in one process, and each in a process of its own
    assert passed == [("yes",) * 4, ("yes", "no", "no", "no")]


def test_nodes_of_lists_and_trees_travel(zones: Zones) -> None:
    source = """
def chain(xs):
    head = None
    for x in reversed(xs): head = ListNode(x, head)
    return head
def items(node):
    while node:
        yield node.val
        node = node.next
assert list(items(turned(chain([1, 2, 3])))) == [3, 2, 1]
assert turned(None) is None
assert type(turned(chain([1]))) is ListNode
assert list(items(turned(chain(list(range(5000)))))) == list(range(5000))[::-1]
tree = candidate(TreeNode(1, TreeNode(2), TreeNode(3, TreeNode(4))))
assert (tree.left.val, tree.right.val, tree.left.right.val) == (3, 2, 4)
"""
    program = """
def turned(head):
    if type(head) is TreeNode:
        head.left, head.right = turned(head.right), turned(head.left)
        return head
    before = None
    while head:
        assert type(head) is ListNode
        head.next, before, head = before, head, head.next
    return before
"""
    prelude = "".join(node_sources("list_node(tree_node(", ""))
    problem = check_problem("turned", source, prelude=prelude)
    assert run_tests(zones, problem, program).reason == "passed"
    wrong = program.replace("return before", "return ListNode(7, before)")
    assert run_tests(zones, problem, wrong).reason == "wrong_answer"


# Order, limits, settings


def test_tests_run_in_the_order_given_and_the_first_failure_ends_it(zones: Zones) -> None:
    problem = stdin_problem(*[(f"{n}\n", f"{n}\n") for n in range(6)])
    program = "n = int(input())\nprint(n if n not in (2, 4) else -1)\n"
    assert run_tests(zones, problem, program) == Outcome("wrong_answer", 2)
    assert run_tests(zones, problem, program, [4]) == Outcome("wrong_answer", 4)
    assert run_tests(zones, problem, program, [5, 3, 99, 5, 4]) == Outcome("wrong_answer", 4)
    assert run_tests(zones, problem, "print(input())", [5, 3]) == Outcome("passed")


def test_all_tests_run_where_the_settings_say_so() -> None:
    with made_zones(stop_at_first_failure=False, total_time_limit_seconds=30.0) as zones:
        problem = stdin_problem(*[(f"{n}\n", f"{n}\n") for n in range(6)], time_limit_seconds=LIMIT)
        program = "import time\nn = int(input())\n1 // (n - 4)\ntime.sleep(60 * (n == 3))\nprint(n if n != 2 else -1)\n"
        assert run_tests(zones, problem, program) == Outcome("wrong_answer", 2)
        assert run_tests(zones, problem, program, [4, 3]) == Outcome("wrong_answer", 2)
        calls = call_problem("f", *[([n], n) for n in range(6)], time_limit_seconds=LIMIT)
        assert run_tests(zones, calls, "def f(n): return n if n not in (2, 4) else n // 0") == Outcome(
            "runtime_error", 2
        )


def test_a_problem_has_a_limit_of_its_own() -> None:
    with made_zones(time_limit_seconds=0.3, total_time_limit_seconds=0.3) as zones:
        program = "import time\ntime.sleep(0.8)\nprint(7)\n"
        assert run_tests(zones, stdin_problem(("", "7")), program).reason == "timeout"
        assert run_tests(zones, stdin_problem(("", "7"), time_limit_seconds=30.0), program).reason == "passed"


def test_the_total_time_is_bounded_too() -> None:
    with made_zones(time_limit_seconds=2.0, total_time_limit_seconds=2.0) as zones:
        for problem, program in (
            (stdin_problem(*[("\n", "7")] * 20), "import time\ntime.sleep(0.7)\nprint(7)\n"),
            (call_problem("f", *[([], 7)] * 20), "import time\ndef f():\n    time.sleep(0.7)\n    return 7\n"),
            (check_problem("f", "for _ in range(20): f()"), "import time\ndef f(): time.sleep(0.7)\n"),
        ):
            found = run_tests(zones, problem, program)
            assert found.reason == "timeout"
            assert found.failing_test is not None
            assert found.failing_test <= 2


def test_time_goes_by_between_calls_too(zones: Zones) -> None:
    problem = call_problem("f", ([1], 1), ([2], 2), time_limit_seconds=LIMIT)
    program = "import time\ndef f(n):\n    return n\nclass Solution:\n    def f(self, n): return n\n"
    late = program + "    def __del__(self): time.sleep(60)\n"
    assert run_tests(zones, problem, program).reason == "passed"
    assert run_tests(zones, problem, late).reason == "timeout"


def test_a_problem_without_tests_is_no_reward(zones: Zones) -> None:
    assert run_tests(zones, Problem("p", "code", ""), ADD) == Outcome("no_tests", None)
    assert run_tests(zones, Problem("p", "code", "", entry_point="f"), ADD) == Outcome("no_tests", None)


def test_any_expected_value_is_judged_without_an_exception(zones: Zones) -> None:
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    for arguments, expected in (
        ([deep], 1),
        ([1], deep),
        ([10**5000], 10**5000),
        (["\ud800"], "\ud800"),
        ([{"a": None}], {"a": None}),
    ):
        found = run_tests(zones, call_problem("f", (arguments, expected)), "def f(x): return x")
        assert found.reason == ("passed" if arguments == [expected] else found.reason)


@pytest.mark.parametrize("kind", ["stdin", "call", "check"])
def test_one_judgement_leaves_the_next_alone(zones: Zones, kind: str) -> None:
    problem = {
        "stdin": stdin_problem(*SUMS, time_limit_seconds=LIMIT),
        "call": call_problem("add", ([3, 4], 7), ([1, 1], 2), time_limit_seconds=LIMIT),
        "check": check_problem("add", CHECK, time_limit_seconds=LIMIT),
    }[kind]
    right = ADD if kind == "stdin" else "def add(a, b): return a + b\n"
    for wrong in (
        "import time\ntime.sleep(60)",
        "import os\nos._exit(0)",
        "x = bytearray(1 << 50)",
        "import os\nos.kill(os.getpid(), 19)",
        "(",
    ):
        assert run_tests(zones, problem, wrong).reason != "passed"
        assert run_tests(zones, problem, right).reason == "passed"


def test_numpy_is_there() -> None:
    pytest.importorskip("numpy")
    with made_zones() as zones:
        program = (
            "import numpy as np\nxs = np.array(input().split(), int)\nprint(xs.sum(), np.linalg.norm([3.0, 4.0]))\n"
        )
        assert run_tests(zones, stdin_problem(("3 4\n", "7 5.0\n"), ("1 1\n", "2 5.0\n")), program).reason == "passed"
        program = "import numpy as np\ndef add(a, b): return np.int64(a) + np.array([b])\n"
        assert run_tests(zones, call_problem("add", ([3, 4], [7])), program).reason == "passed"
        source = "import numpy as np\nassert np.allclose(add([1.0], [2.0]), np.array([3.0]))\n"
        program = "import numpy\ndef add(a, b): return numpy.add(a, b)\n"
        assert run_tests(zones, check_problem("add", source), program).reason == "passed"
        program = (
            "import importlib\nprint(importlib.import_module('num' + 'py').zeros(2).sum())\n"  # not imported ahead
        )
        assert run_tests(zones, stdin_problem(("", "0.0")), program).reason == "passed"


def test_a_package_that_is_not_installed_is_the_programs_to_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "numpy" else find(name, *rest))
    with made_zones(packages=["numpy"]) as zones:
        assert (
            run_tests(zones, stdin_problem(("", "7")), "try: import numpy\nexcept ImportError: print(7)").reason
            == "passed"
        )
        assert run_tests(zones, stdin_problem(("", "7")), "import numpy\nprint(7)").reason == "runtime_error"


IMPORTS = """
import importlib, sys
for name in sorted(sys.stdlib_module_names):
    if name[0] != "_" and name not in ("antigravity", "idlelib", "this", "tkinter", "turtle", "turtledemo"):
        try:
            importlib.import_module(name)
        except ImportError:
            print(name)
"""


def test_the_whole_standard_library_is_there() -> None:
    plain = subprocess.run([sys.executable, "-S", "-c", IMPORTS], capture_output=True, text=True, check=True).stdout
    with made_zones(time_limit_seconds=60.0) as zones:
        assert zones.output_of(IMPORTS) == plain


def test_packages_are_there_by_the_settings_alone() -> None:
    with made_zones(packages=[]) as zones:
        assert run_tests(zones, stdin_problem(("", "")), "import numpy\n").reason == "runtime_error"


# What programs do not get to see

MARKER = "expected_" + "marker_0123456789abcdef"
SEARCH = r"""
import gc, os, re, sys
found = set()
def look(place, data):
    data = data if isinstance(data, bytes) else str(data).encode("utf-8", "replace")
    if re.search(b"expected_" b"marker_[0-9a-f]{16}", data):
        found.add(place)
def read(path, size=1 << 26, start=0):
    try:
        with open(path, "rb", 0) as file:
            file.seek(start)
            return file.read(size)
    except (OSError, ValueError, OverflowError):
        return b""
def search():
    for process in ("self", "1", str(os.getppid())):
        for line in read(f"/proc/{process}/maps").decode().splitlines():
            start, end = (int(end, 16) for end in line.split()[0].split("-"))
            look(f"memory of {process}", read(f"/proc/{process}/mem", min(end - start, 1 << 26), start))
        for name in ("environ", "cmdline", *(f"fd/{number}" for number in range(32))):
            look(f"{name} of {process}", read(f"/proc/{process}/{name}"))
    for value in gc.get_objects():
        if isinstance(value, (dict, list, tuple, set)) and len(value) < 100:
            look("objects", [each for each in value if isinstance(each, (str, bytes))])
    frame = sys._getframe()
    while frame:
        look("frames", [*frame.f_locals.values(), *frame.f_globals.values()])
        frame = frame.f_back
    look("arguments", sys.argv), look("environment", dict(os.environ))
    for number in range(32):
        try: look(f"descriptor {number}", os.pread(number, 1 << 20, 0))
        except OSError: pass
    for folder in (".", "/", "/tmp", "/dev/shm"):
        for name in os.listdir(folder) if os.access(folder, os.R_OK) else ():
            if os.path.isfile(os.path.join(folder, name)): look(name, read(os.path.join(folder, name)))
    return sorted(found)
"""


def test_expected_outputs_never_are_where_programs_run(zones: Zones) -> None:
    sees = SEARCH + "print(search())\n"
    control = f"kept = '{MARKER}'\nopen('file', 'w').write(kept)\n{sees}"
    places = zones.output_of(control)
    assert "frames" in places  # the search finds what is there
    assert "'file'" in places
    problem = stdin_problem(("", MARKER), ("", MARKER), ("", "[]"))
    assert run_tests(zones, problem, sees, order=[2]) == Outcome("wrong_answer", 0)
    calls = call_problem("search", ([], MARKER), ([], [MARKER]), ([], []))
    assert run_tests(zones, calls, SEARCH, order=[2]) == Outcome("wrong_answer", 0)
    source = f"secret = '{MARKER}'\nassert search() == [], secret\nassert search() == [secret]\n"
    assert run_tests(zones, check_problem("search", source), SEARCH) == Outcome("wrong_answer", 1)


def test_examiner_and_program_are_in_zones_of_their_own(zones: Zones) -> None:
    source = "import os\nspaces = [os.readlink(f'/proc/self/ns/{name}') for name in ('pid', 'mnt', 'net', 'ipc')]\n"
    program = source + "def mine(): return [spaces, os.getpid()]\n"
    check = source + "theirs, number = mine()\nassert not set(theirs) & set(spaces)\n"
    if zones.output_of("import os\nprint(os.readlink('/proc/self/ns/pid'))\n") == "":
        pytest.skip("without namespaces")
    assert run_tests(zones, check_problem("mine", check), program).reason == "passed"
    examiner, running = zones.zone("examiner", check), zones.zone("program", program)
    assert examiner is not running
    zygotes = [str(zone._zygote) for zone in (examiner, running)]
    assert len({Path(f"/proc/{process}/ns/pid").readlink() for process in ("self", *zygotes)}) == 3


def test_what_a_source_prints_or_leaves_does_not_reach_the_program(zones: Zones) -> None:
    check = "import os\nopen('x', 'w').write('x')\nos.environ['X'] = 'x'\nprint('x', flush=True)\n"
    check += "assert look() == [[], '', '']\n"
    program = "import os, sys\ndef look(): return [os.listdir('.'), os.environ.get('X', ''), sys.stdin.read()]\n"
    assert run_tests(zones, check_problem("look", check), program).reason == "passed"


# A zone that is lost


@pytest.mark.parametrize("kind", ["stdin", "call", "check"])
def test_a_lost_zone_costs_no_verdict(kind: str) -> None:
    problem = {
        "stdin": stdin_problem(*SUMS, ("9 9\n", "0\n")),
        "call": call_problem("add", ([3, 4], 7), ([1, 1], 2), ([9, 9], 0)),
        "check": check_problem("add", CHECK + "assert add(9, 9) == 0\n"),
    }[kind]
    right = ADD if kind == "stdin" else "def add(a, b): return a + b\n"
    with made_zones() as zones:
        expected = run_tests(zones, problem, right)
        assert expected.reason == "wrong_answer"
        for role in ("program", "examiner") if kind == "check" else ("program",):
            zone = zones.zone(role, "")
            os.kill(zone._zygote, signal.SIGKILL)
            assert run_tests(zones, problem, right) == expected
            assert zones.zone(role, "") is not zone


def test_a_zone_lost_in_the_middle_costs_no_verdict() -> None:
    with made_zones() as zones:
        problem = stdin_problem(("1\n", "1\n"), ("2\n", "2\n"), time_limit_seconds=60.0)
        program = "import time\ntime.sleep(1.0)\nprint(input())\n"

        def kill() -> None:
            time.sleep(1.4)
            os.kill(zones.zone("program", "")._zygote, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        assert run_tests(zones, problem, program) == Outcome("passed")
        killer.join()


def test_a_zone_that_is_always_lost_is_given_up() -> None:
    with made_zones() as zones:
        done = threading.Event()

        def kill() -> None:
            while not done.is_set():
                time.sleep(0.05)
                for zone in list(zones._zones.values()):
                    if zone.descendants():
                        os.kill(zone._zygote, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            found = run_tests(zones, stdin_problem(("", "7")), "import time\ntime.sleep(5)\nprint(7)\n").reason
        except ZoneLost:
            found = "crashed"
        done.set()
        killer.join()
        assert found == "crashed"
        assert run_tests(zones, stdin_problem(("", "7")), "print(7)").reason == "passed"
