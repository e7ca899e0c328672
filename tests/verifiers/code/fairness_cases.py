"""Programs for the judge of Python programs, written without sight of it, with the verdicts a fair judge may give.

FAIR are honest programs that sloppy judges fail, WRONG are wrong ones that sloppy judges pass, LIMITS run into a limit
or close to one. A verdict is what plain CPython 3.11 says of the program, run afresh for each test in an empty folder,
with a main stack that recursion does not fill and 3 GiB of memory.
"""

from textwrap import dedent
from typing import NamedTuple

Test = tuple[str, str]

PASSED = ("passed",)
WRONG_ANSWER = ("wrong_answer",)
RUNTIME_ERROR = ("runtime_error",)
TIMEOUT = ("timeout",)
MEMORY = ("memory", "timeout")  # touching 3 GiB may take longer than the limit
NOT_PLAIN_DATA = ("wrong_answer", "runtime_error")
TOO_LARGE = ("output_limit", "wrong_answer", "memory", "timeout", "runtime_error")

SUM = ("1\n2\n3\n", "6\n")
NOTHING_IN = ("", "6\n")


class Case(NamedTuple):
    """One program: `inputs` and `outputs` pair up; of a call, each line of an input is one argument in JSON."""

    name: str
    kind: str
    code: str
    inputs: list[str]
    outputs: list[str]
    fn_name: str | None
    reasons: tuple[str, ...]
    time_limit_s: float


def stdin(name: str, code: str, *tests: Test, reasons: tuple[str, ...] = PASSED, limit_s: float = 2.0) -> Case:
    """A program that reads its input and prints its answer."""
    return _case(name, "stdin", code, tests, None, reasons, limit_s)


def call(
    name: str, fn_name: str, code: str, *tests: Test, reasons: tuple[str, ...] = PASSED, limit_s: float = 2.0
) -> Case:
    """A program whose function, or method of `Solution`, is called."""
    return _case(name, "call", code, tests, fn_name, reasons, limit_s)


def prints(name: str, text: str, expected: str, reasons: tuple[str, ...] = WRONG_ANSWER) -> Case:
    """A program that prints `text` where `expected` is the answer."""
    return stdin(name, f"print({text!r})\n", ("", f"{expected}\n"), reasons=reasons)


def returns(name: str, expression: str, expected: str, reasons: tuple[str, ...] = WRONG_ANSWER) -> Case:
    """A function that returns `expression` where `expected`, in JSON, is the answer."""
    return call(name, "answer", f"def answer(n):\n    return {expression}\n", ("0", expected), reasons=reasons)


def _case(
    name: str,
    kind: str,
    code: str,
    tests: tuple[Test, ...],
    fn_name: str | None,
    reasons: tuple[str, ...],
    limit_s: float,
) -> Case:
    inputs, outputs = [given for given, _ in tests], [expected for _, expected in tests]
    return Case(name, kind, dedent(code.removeprefix("\n")), inputs, outputs, fn_name, reasons, limit_s)


READING = [
    stdin("iterates_sys_stdin", "import sys\nprint(sum(int(line) for line in sys.stdin))\n", SUM),
    stdin("readlines", "import sys\nprint(sum(map(int, sys.stdin.readlines())))\n", SUM),
    stdin("os_read_of_descriptor_0", "import os\nprint(sum(map(int, os.read(0, 1 << 20).split())))\n", SUM),
    stdin("fileinput", "import fileinput\nprint(sum(int(line) for line in fileinput.input()))\n", SUM),
    stdin("open_0", "print(sum(map(int, open(0))))\n", SUM),
    stdin("open_dev_stdin", "print(sum(map(int, open('/dev/stdin').read().split())))\n", SUM),
    stdin("buffer_readline", "import sys\nprint(sum(map(int, iter(sys.stdin.buffer.readline, b''))))\n", SUM),
    stdin("eval_of_input", "print(eval(input()) + eval(input()) + eval(input()))\n", SUM),
    stdin(
        "reads_twice",
        "import sys\nprint(sum(map(int, sys.stdin.read().split())), repr(sys.stdin.read()))\n",
        ("1 2\n", "3 ''\n"),
    ),
    stdin("empty_input", "import sys\nprint(len(sys.stdin.read()))\n", ("", "0\n")),
    stdin("input_without_final_newline", "print(int(input()) + int(input()))\n", ("2\n3", "5\n")),
    stdin("crlf_input", "print(int(input()) + sum(map(int, input().split())))\n", ("3\r\n1 2\r\n", "6\n")),
    stdin("line_separators_inside_a_line", "print(len(input()))\n", ("a\u2028b\x85c\x0cd\n", "7\n")),
    stdin("ignores_a_large_input", "print('ok')\n", ("1234567\n" * 500_000, "ok\n")),
    stdin(
        "input_until_eoferror",
        """
        total = 0
        while True:
            try:
                total += int(input())
            except EOFError:
                break
        print(total)
        """,
        SUM,
    ),
    stdin(
        "echoes_while_reading",
        """
        import sys
        for line in sys.stdin:
            print(int(line) * 2, flush=True)
        """,
        ("21\n" * 50_000, "42\n" * 50_000),
    ),
    stdin(
        "a_million_numbers",
        """
        import sys
        input = sys.stdin.buffer.readline
        n = int(input())
        print(n, sum(map(int, input().split())))
        """,
        ("1000000\n" + "7 " * 1_000_000 + "\n", "1000000 7000000\n"),
    ),
    stdin(
        "replaces_sys_stdin",
        """
        import io, sys
        sys.stdin = io.StringIO(sys.stdin.read().replace(",", " "))
        print(sum(map(int, input().split())))
        """,
        ("1,2,3\n", "6\n"),
    ),
    stdin(
        "fast_io_wrappers",
        r"""
        import os, sys
        from io import BytesIO, IOBase

        class FastIO(IOBase):
            newlines = 0

            def __init__(self, file):
                self._fd = file.fileno()
                self.buffer = BytesIO()
                self.writable = "x" in file.mode or "r" not in file.mode
                self.write = self.buffer.write if self.writable else None

            def readline(self):
                while self.newlines == 0:
                    b = os.read(self._fd, max(os.fstat(self._fd).st_size, 8192))
                    self.newlines = b.count(b"\n") + (not b)
                    ptr = self.buffer.tell()
                    self.buffer.seek(0, 2), self.buffer.write(b), self.buffer.seek(ptr)
                self.newlines -= 1
                return self.buffer.readline()

            def flush(self):
                if self.writable:
                    os.write(self._fd, self.buffer.getvalue())
                    self.buffer.truncate(0), self.buffer.seek(0)

        class IOWrapper(IOBase):
            def __init__(self, file):
                self.buffer = FastIO(file)
                self.flush = self.buffer.flush
                self.writable = self.buffer.writable
                self.write = lambda s: self.buffer.write(s.encode("ascii"))
                self.readline = lambda: self.buffer.readline().decode("ascii")

        sys.stdin, sys.stdout = IOWrapper(sys.stdin), IOWrapper(sys.stdout)
        input = lambda: sys.stdin.readline().rstrip("\r\n")
        print(int(input()) + int(input()) + int(input()))
        """,
        SUM,
    ),
]

WRITING = [
    stdin("print_end_empty", "for digit in '123':\n    print(digit, end='')\n", ("", "123\n")),
    stdin("sys_exit_after_printing", "import sys\nprint(6)\nsys.exit(0)\n", NOTHING_IN),
    stdin("exit_after_printing", "print(6)\nexit()\n", NOTHING_IN),
    stdin("raises_system_exit", "def main():\n    print(6)\n    raise SystemExit\nmain()\n", NOTHING_IN),
    stdin("os_exit_after_flush", "import os\nprint(6, flush=True)\nos._exit(0)\n", NOTHING_IN),
    stdin("output_from_atexit", "import atexit\natexit.register(print, 6)\n", NOTHING_IN),
    stdin("open_1_never_closed", "out = open(1, 'w')\nout.write('6\\n')\n", NOTHING_IN),
    stdin("closes_stdout", "import sys\nprint(6)\nsys.stdout.close()\n", NOTHING_IN),
    stdin("trailing_blanks", "print('1 2 3 ')\nprint('4 \\t')\nprint()\nprint()\n", ("", "1 2 3\n4\n")),
    stdin("crlf_output", "print('1', '2', sep='\\r\\n', end='\\r\\n')\n", ("", "1\n2\n")),
    stdin("trailing_blanks_expected", "print(1, 2, 3)\nprint(4)\n", ("", "1 2 3 \n4  \n\n")),
    stdin("nothing_to_print", "for word in input().split():\n    print(word)\n", ("\n", ""), ("a b\n", "a\nb\n")),
    stdin("noise_on_stderr", "import sys\nprint('debug' * 500_000, file=sys.stderr)\nprint(6)\n", NOTHING_IN),
    stdin(
        "prints_200000_lines",
        "for i in range(200_000):\n    print(i)\n",
        ("", "".join(f"{i}\n" for i in range(200_000))),
    ),
    stdin("stderr_to_devnull", "import os, sys\nsys.stderr = open(os.devnull, 'w')\nprint(6)\n", NOTHING_IN),
    stdin(
        "thread_that_main_does_not_join",
        """
        import threading, time

        def answer():
            time.sleep(0.2)
            print(6)

        threading.Thread(target=answer).start()
        """,
        NOTHING_IN,
    ),
    stdin(
        "bytes_and_descriptor_writes",
        r"""
        import os, sys
        print("first", flush=True)
        sys.stdout.buffer.write(b"second\n")
        sys.stdout.flush()
        os.write(1, b"third\n")
        """,
        ("", "first\nsecond\nthird\n"),
    ),
    stdin(
        "stringio_written_at_exit",
        """
        import atexit, io, sys
        sys.stdout = io.StringIO()
        atexit.register(lambda: sys.__stdout__.write(sys.stdout.getvalue()))
        print(6)
        """,
        NOTHING_IN,
    ),
    stdin(
        "warns_and_logs",
        """
        import logging, warnings
        logging.basicConfig(level=logging.DEBUG)
        logging.debug("start")
        warnings.warn("slow path")
        warnings.simplefilter("ignore")
        print(6)
        """,
        NOTHING_IN,
    ),
    stdin("decimal_with_more_digits", "print(0.1 + 0.2)\nprint(1 / 3)\n", ("", "0.3\n0.333333333333\n")),
    stdin("decimal_with_padding", "print(f'{2.5:.6f} {1e-05}')\n", ("", "2.5 0.00001\n")),
    stdin("integer_for_a_decimal", "print(2)\n", ("", "2.0\n")),
]

SOURCES = [
    stdin(
        "unicode_names_and_output",
        "größe, 数 = 2, 4\nprint(größe + 数, 'naïve', '\\U0001f600')\n",
        ("", "6 naïve \U0001f600\n"),
    ),
    stdin("latin_1_header", "# -*- coding: latin-1 -*-\n# café\nprint(6)\n", NOTHING_IN),
    stdin("tabs", "for i in range(3):\n\tif i == 2:\n\t\tprint(i * 3)\n", NOTHING_IN),
    stdin("byte_order_mark", "\ufeffprint(6)\n", NOTHING_IN),
    stdin("crlf_source", "text = '''a\r\nb'''\r\nif len(text) == 3:\r\n    print(6)\r\n", NOTHING_IN),
    stdin("form_feed", "def six():\n    return 6\n\x0c\nprint(six())\n", NOTHING_IN),
    stdin("no_final_newline", "if True:\n    print(6)  # done", NOTHING_IN),
    stdin(
        "3000_lines",
        "def f0(n):\n    return n\n"
        + "".join(f"def f{i}(n):\n    return f{i - 1}(n) + 1\n" for i in range(1, 1_500))
        + "print(f900(100))\n",
        ("", "1000\n"),
    ),
    stdin(
        "2_mb_of_assignments",
        "".join(f"row_{i} = '{'x' * 200}'\n" for i in range(10_000)) + "print(len(row_7))\n",
        ("", "200\n"),
    ),
    stdin("main_guard", "def main():\n    print(6)\n\nif __name__ == '__main__':\n    main()\n", NOTHING_IN),
    stdin(
        "quotes_braces_and_percents",
        "'''A \"docstring\" with {braces}.'''\n"
        'text = """\'{0}\' {{}} %d \\\\"""\n'
        "print(text % 6, len(__doc__), '\\\\n')\n",
        ("", "'{0}' {{}} 6 \\ 28 \\n\n"),
    ),
    stdin(
        "future_import_after_a_docstring",
        '''
        """Adds."""
        from __future__ import annotations
        from dataclasses import dataclass, field

        @dataclass(order=True)
        class Node:
            cost: int
            rest: list[Node] = field(default_factory=list)

        print(min(Node(9), Node(6)).cost)
        ''',
        NOTHING_IN,
    ),
    stdin(
        "shadows_builtins",
        """
        import sys
        input = sys.stdin.readline
        list, dict, str, int_, type, open = [], {}, "", int, 0, None
        max = min = sum = len = id = 0
        for _ in range(3):
            sum += int_(input())
        print(sum)
        print = exit = repr = isinstance = None
        """,
        SUM,
    ),
    stdin(
        "shadows_module_names",
        """
        import sys as system
        sys = os = json = io = time = signal = builtins = traceback = None
        main = run = result = code = stdout = test = 6
        system.stdout.write(str(main))
        """,
        NOTHING_IN,
    ),
    stdin(
        "three_argument_pow",
        "print(pow(2, 1000, 1009), sum([3, 4], 5), open is __import__('io').open)\n",
        ("", f"{pow(2, 1000, 1009)} 12 True\n"),
    ),
    stdin(
        "star_imports",
        "from math import *\nfrom operator import *\nprint(floor(6.5), add(1, 2), gcd(4, 6))\n",
        ("", "6 3 2\n"),
    ),
    stdin("imports_main", "import __main__\nsix = 6\nprint(__main__.six, __name__)\n", ("", "6 __main__\n")),
]

LANGUAGE = [
    stdin(
        "enum_namedtuple_generator_match",
        """
        from enum import Enum, auto
        from typing import NamedTuple

        class Colour(Enum):
            RED = auto()
            BLUE = auto()

        class Point(NamedTuple):
            x: int
            y: int = 5

        def count(n):
            yield from range(n)

        match Point(1):
            case Point(x=1, y=y):
                print(y, Colour.BLUE.value, *count(3), Colour.RED)
        """,
        ("", "5 2 0 1 2 Colour.RED\n"),
    ),
    stdin(
        "asyncio_run",
        """
        import asyncio

        async def double(n):
            await asyncio.sleep(0.01)
            return 2 * n

        async def main():
            print(sum(await asyncio.gather(double(1), double(2))))

        asyncio.run(main())
        """,
        NOTHING_IN,
    ),
    stdin(
        "decimal_and_fractions",
        """
        from decimal import Decimal, getcontext
        from fractions import Fraction
        getcontext().prec = 30
        print(Decimal(1) / Decimal(7), Fraction(1, 3) + Fraction(1, 6))
        """,
        ("", "0.142857142857142857142857142857 1/2\n"),
    ),
    stdin(
        "cached_recursion_20000_deep",
        """
        import sys
        from functools import lru_cache
        sys.setrecursionlimit(10**6)

        @lru_cache(maxsize=None)
        def total(n):
            return 0 if n == 0 else total(n - 1) + n

        print(total(int(input())))
        """,
        ("20000\n", "200010000\n"),
    ),
    stdin(
        "recursion_in_a_thread_with_a_large_stack",
        """
        import sys, threading
        sys.setrecursionlimit(10**7)
        threading.stack_size(512 * 1024 * 1024)

        def depth(n):
            return 0 if n == 0 else max(map(depth, [n - 1])) + 1

        thread = threading.Thread(target=lambda: print(depth(100_000)))
        thread.start()
        thread.join()
        """,
        ("", "100000\n"),
        limit_s=10.0,
    ),
    stdin(
        "integer_of_20000_digits",
        "import sys\nsys.set_int_max_str_digits(0)\nprint(10**19_999 + 1)\n",
        ("", "1" + "0" * 19_998 + "1\n"),
    ),
    stdin(
        "seeded_random",
        "import random\nrandom.seed(7)\nprint(*(random.randint(1, 100) for _ in range(5)))\n",
        ("", "42 20 51 84 7\n"),
    ),
    stdin(
        "re_bisect_pairwise",
        r"""
        import re
        from bisect import bisect_left
        from itertools import pairwise
        numbers = [int(n) for n in re.findall(r"-?\d+", input())]
        print(bisect_left(numbers, 5), *(b - a for a, b in pairwise(numbers)))
        """,
        ("a1b4,c6\n", "2 3 2\n"),
    ),
    stdin(
        "the_usual_library",
        """
        import array, base64, calendar, cmath, contextlib, copy, datetime, difflib, hashlib, heapq, operator, queue
        import secrets, statistics, string, struct, textwrap, types, unicodedata, uuid, zlib
        print(hashlib.sha256(b"abc").hexdigest()[:16], calendar.isleap(2000), statistics.median([1, 2, 9]))
        print(zlib.crc32(b"abc"), unicodedata.name("a"), len(secrets.token_hex(4)), uuid.uuid4().version)
        """,
        ("", "ba7816bf8f01cfea True 2\n891568578 LATIN SMALL LETTER A 8 4\n"),
    ),
    stdin(
        "pickles_its_own_class",
        """
        import copy, pickle

        class Point:
            def __init__(self, x):
                self.x = x

        print(pickle.loads(pickle.dumps(Point(6))).x, copy.deepcopy(Point(7)).x)
        """,
        ("", "6 7\n"),
    ),
    stdin(
        "thread_pool",
        """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(4) as pool:
            print(sum(pool.map(abs, [-1, -2, -3])))
        """,
        NOTHING_IN,
    ),
    stdin(
        "falls_back_after_recursionerror_and_memoryerror",
        """
        def depth(n):
            return depth(n + 1)

        try:
            depth(0)
        except RecursionError:
            print("too deep")
        try:
            bytearray(10**15)
        except MemoryError:
            print("too large")
        """,
        ("", "too deep\ntoo large\n"),
    ),
    stdin(
        "300_mb",
        "table = bytearray(b'x') * (300 << 20)\nprint(len(table) >> 20, table[-1])\n",
        ("", "300 120\n"),
        limit_s=3.0,
    ),
    stdin(
        "tempfile",
        """
        import tempfile
        with tempfile.TemporaryFile("w+") as file, tempfile.NamedTemporaryFile() as named:
            file.write("6")
            file.seek(0)
            print(file.read())
        """,
        NOTHING_IN,
    ),
    stdin(
        "file_in_the_working_directory",
        """
        with open("x.txt", "x") as file:
            file.write(input())
        print(open("x.txt").read())
        """,
        ("first\n", "first\n"),
        ("second\n", "second\n"),
    ),
    stdin(
        "signal_handler",
        """
        import signal, time

        def ring(number, frame):
            raise TimeoutError

        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            time.sleep(1)
        except TimeoutError:
            print(6)
        """,
        NOTHING_IN,
    ),
    stdin(
        "searches_until_a_time_of_its_own",
        """
        import time
        time.sleep(0.3)
        start, rounds = time.perf_counter(), 0
        while time.perf_counter() - start < 0.3:
            rounds += 1
        print(rounds > 100)
        """,
        ("", "True\n"),
    ),
    stdin(
        "looks_for_a_local_run",
        """
        import os, sys
        if os.environ.get("LOCAL", "0") == "1" or os.path.exists("input.txt"):
            sys.stdin = open("input.txt")
        n = int(sys.argv[1]) if len(sys.argv) > 1 else int(input())
        print(n * 2)
        """,
        ("3\n", "6\n"),
    ),
    stdin(
        "gc_collect",
        "import gc\ngc.disable()\nloop = []\nloop.append(loop)\ndel loop\nprint(gc.collect() > 0)\n",
        ("", "True\n"),
    ),
]

CALLS = [
    call(
        "module_level_cache",
        "total",
        """
        cache = {}

        def total(numbers):
            if "answer" not in cache:
                cache["answer"] = sum(numbers)
            return cache["answer"]
        """,
        ("[1, 2]", "3"),
        ("[5, 6]", "11"),
    ),
    call(
        "global_counter",
        "paths",
        """
        count = 0

        def paths(n):
            global count
            for _ in range(n):
                count += 1
            return count
        """,
        ("2", "2"),
        ("3", "3"),
    ),
    call(
        "mutable_default",
        "collect",
        """
        def collect(n, seen=[]):
            seen.append(n)
            return seen
        """,
        ("1", "[1]"),
        ("2", "[2]"),
    ),
    call(
        "state_of_the_class_and_of_the_instance",
        "reach",
        """
        class Solution:
            seen = set()

            def __init__(self):
                self.calls = 0

            def reach(self, n):
                self.calls += 1
                self.seen.add(n)
                return [self.calls, len(self.seen)]
        """,
        ("1", "[1, 1]"),
        ("2", "[1, 1]"),
    ),
    call(
        "static_method",
        "add",
        "class Solution:\n    @staticmethod\n    def add(a, b):\n        return a + b\n",
        ("2\n3", "5"),
    ),
    call(
        "class_method",
        "add",
        "class Solution:\n    @classmethod\n    def add(cls, a, b):\n        return a + b\n",
        ("2\n3", "5"),
    ),
    call("keyword_only_default", "scale", "def scale(n, *, by=3):\n    return n * by\n", ("2", "6")),
    call("partial", "double", "import functools, operator\ndouble = functools.partial(operator.mul, 2)\n", ("3", "6")),
    call("named_like_a_builtin", "max", "def max(a, b):\n    return a if a > b else b\n", ("2\n3", "3")),
    call("empty_text_is_no_argument", "six", "def six():\n    return 6\n", ("", "6")),
    call("sorts_its_argument", "order", "def order(a):\n    a.sort()\n    return a\n", ("[3, 1, 2]", "[1, 2, 3]")),
    call(
        "every_kind_of_argument",
        "show",
        "def show(*values):\n    return [repr(v) for v in values]\n",
        (
            'null\ntrue\n1.0\n1000000000000000001\n{"a": [[]]}\n"x\\n\\"y"',
            '["None", "True", "1.0", "1000000000000000001", "{\'a\': [[]]}", "\'x\\\\n\\"y\'"]',
        ),
    ),
    call(
        "raw_line_separator_in_an_argument", "size", "def size(text):\n    return len(text)\n", ('"a\u2028b\x85c"', "5")
    ),
    call(
        "typing_names_not_imported",
        "first",
        "class Solution:\n    def first(self, a: List[int]) -> Optional[int]:\n        return a[0] if a else None\n",
        ("[4, 5]", "4"),
        ("[]", "null"),
    ),
    call(
        "helpers_and_nested_functions",
        "permutations",
        """
        from functools import lru_cache

        def factorial(n):
            return 1 if n < 2 else n * factorial(n - 1)

        class Solution:
            def permutations(self, n: int) -> "int":
                self.calls = 0

                @lru_cache(None)
                def climb(i):
                    nonlocal n
                    self.calls += 1
                    return i if i < 2 else climb(i - 1) + climb(i - 2)

                return self.helper(climb(n))

            def helper(self, k):
                return factorial(k) + self.calls
        """,
        ("5", "126"),
        ("4", "11"),
    ),
    call(
        "recursion_in_a_method",
        "depth",
        """
        import sys
        sys.setrecursionlimit(10**6)

        class Solution:
            def depth(self, n):
                return 0 if n == 0 else self.depth(n - 1) + 1
        """,
        ("50000", "50000"),
    ),
    call(
        "prints_while_called",
        "answer",
        """
        import sys
        print("loaded")

        def answer(n):
            print("n =", n, flush=True)
            print([1, 2], file=sys.stderr)
            sys.stdout.write("null")
            return n
        """,
        ("6", "6"),
    ),
    call(
        "main_guard_that_reads_input",
        "answer",
        """
        def answer(n):
            return 2 * n

        if __name__ == "__main__":
            print(answer(int(input())))
        """,
        ("3", "6"),
    ),
    call(
        "dataclass_in_a_call",
        "nearest",
        """
        from __future__ import annotations
        from dataclasses import dataclass

        @dataclass(frozen=True)
        class Point:
            x: int
            y: int

        class Solution:
            def nearest(self, points):
                return [min((Point(*p) for p in points), key=lambda p: p.x**2 + p.y**2).x]
        """,
        ("[[3, 4], [1, 1]]", "[1]"),
    ),
    returns("tuples_for_lists", "((1, 2), [(3,)], {'a': ()})", '[[1, 2], [[3]], {"a": []}]', PASSED),
    returns(
        "nested_dict_in_another_order",
        "{'b': {'c': None}, 'a': [True, 0.5]}",
        '{"a": [true, 0.5], "b": {"c": null}}',
        PASSED,
    ),
    returns("none", "None", "null", PASSED),
    returns("false", "n > 0", "false", PASSED),
    returns("text", "'caf\\xe9 \\u2028\\n\"' + '\\U0001f600'", '"café \\u2028\\n\\"\\ud83d\\ude00"', PASSED),
    returns("float_with_rounding_error", "[0.1 + 0.2, 1e300]", "[0.3, 1e300]", PASSED),
    returns("integer_where_a_decimal_is_expected", "2", "2.0", PASSED),
    returns("integer_of_5001_digits", "10**5000 + 1", "1" + "0" * 4999 + "1", PASSED),
    returns("list_of_100000", "list(range(100_000))", str(list(range(100_000))), PASSED),
    returns("list_20_deep", "eval('[' * 20 + ']' * 20)", "[" * 20 + "]" * 20, PASSED),
    returns("counter", "__import__('collections').Counter('aab')", '{"a": 2, "b": 1}', PASSED),
    returns("defaultdict", "__import__('collections').defaultdict(list, {'a': [1]})", '{"a": [1]}', PASSED),
    returns("ordered_dict", "__import__('collections').OrderedDict(b=1, a=2)", '{"a": 2, "b": 1}', PASSED),
    returns("namedtuple", "[__import__('collections').namedtuple('P', 'x y')(1, 2)]", "[[1, 2]]", PASSED),
]

WRONG_TEXT = [
    prints("two_blanks", "1  2", "1 2"),
    prints("leading_blank", " 1 2", "1 2"),
    prints("lines_for_blanks", "1\n2", "1 2"),
    prints("commas_for_blanks", "1, 2", "1 2"),
    prints("leading_empty_line", "\n1 2", "1 2"),
    prints("empty_line_between", "1\n\n2", "1\n2"),
    prints("missing_line", "1\n2", "1\n2\n3"),
    prints("extra_line", "1\n2\n3", "1\n2"),
    prints("list_order", "2 1", "1 2"),
    prints("letter_case", "YES", "Yes"),
    prints("quoted", "'abc'", "abc"),
    prints("true_for_1", "True", "1"),
    prints("decimal_for_an_integer", "7.0", "7"),
    prints("exponent_for_an_integer", "1e1", "10"),
    prints("underscore_in_an_integer", "1_0", "10"),
    prints("plus_sign", "+7", "7"),
    prints("leading_zero", "07", "7"),
    prints("minus_zero", "-0", "0"),
    prints("full_width_integer", "\uff11\uff10", "10"),
    prints("underscore_in_a_decimal", "1_0.5", "10.5"),
    prints("full_width_decimal", "\uff11\uff10.5", "10.5"),
    prints("fraction_for_a_decimal", "1/2", "0.5"),
    prints("nan_for_a_decimal", "nan", "0.5"),
    prints("infinity_for_a_decimal", "inf", "0.5"),
    prints("four_digits_of_twelve", "0.3333", "0.333333333333"),
    prints("two_places_of_six", "3.14", "3.141593"),
    prints("almost_an_integer_beside_a_decimal", "3.0000000001 0.5", "3 0.5"),
    prints("last_of_5000_digits", "1" + "0" * 4998 + "2", "1" + "0" * 4998 + "1"),
    prints("nothing_but_an_empty_line", "", "6"),
    stdin("does_nothing", "pass\n", SUM, reasons=WRONG_ANSWER),
    stdin("function_never_called", "def main():\n    print(sum(map(int, open(0))))\n", SUM, reasons=WRONG_ANSWER),
    stdin("prints_its_input", "import sys\nprint(sys.stdin.read())\n", SUM, reasons=WRONG_ANSWER),
    stdin("prompts", "print(int(input('n? ')) * 2)\n", ("3\n", "6\n"), reasons=WRONG_ANSWER),
    stdin(
        "integer_through_a_float",
        "print(int(float(input())))\n",
        ("7\n", "7\n"),
        ("1000000000000000001\n", "1000000000000000001\n"),
        reasons=WRONG_ANSWER,
    ),
    stdin("right_for_the_first_only", "print(6)\n", ("3\n", "6\n"), ("4\n", "8\n"), reasons=WRONG_ANSWER),
    stdin(
        "off_by_one_in_the_last_only",
        "n = int(input())\nprint(n * 2 + (n == 9))\n",
        *[(f"{n}\n", f"{n * 2}\n") for n in range(10)],
        reasons=WRONG_ANSWER,
    ),
    stdin(
        "raises_in_the_last_only",
        "print(8 // int(input()))\n",
        ("2\n", "4\n"),
        ("4\n", "2\n"),
        ("0\n", "0\n"),
        reasons=RUNTIME_ERROR,
    ),
    stdin("right_then_raises", "print(6, flush=True)\nraise ValueError('late')\n", NOTHING_IN, reasons=RUNTIME_ERROR),
    stdin("right_then_reads_too_much", "print(int(input()) * 2)\ninput()\n", ("3\n", "6\n"), reasons=RUNTIME_ERROR),
    stdin(
        "right_then_killed",
        "import os\nprint(6, flush=True)\nos.kill(os.getpid(), 9)\n",
        NOTHING_IN,
        reasons=("runtime_error", "memory"),
    ),
    stdin("missing_module", "import no_such_module\nprint(6)\n", NOTHING_IN, reasons=RUNTIME_ERROR),
    stdin("unclosed_parenthesis", "print(6\n", NOTHING_IN, reasons=("syntax_error",)),
    stdin("python_2", "print 6\n", NOTHING_IN, reasons=("syntax_error",)),
    stdin("tabs_mixed_with_blanks", "if True:\n        print(6)\n\tprint(7)\n", NOTHING_IN, reasons=("syntax_error",)),
]

WRONG_VALUES = [
    returns("text_for_an_integer", "'1'", "1"),
    returns("integer_for_a_text", "1", '"1"'),
    returns("text_for_a_decimal", "'0.3'", "0.3"),
    returns("text_for_a_list", "'[1, 2]'", "[1, 2]"),
    returns("letters_for_a_text", "list('ab')", '"ab"'),
    returns("text_for_letters", "'ab'", '["a", "b"]'),
    returns("true_where_1_is_expected", "True", "1"),
    returns("1_where_true_is_expected", "1", "true"),
    returns("true_deep_in_lists", "[[0, [1, {'a': [True]}]]]", '[[0, [1, {"a": [1]}]]]'),
    returns("false_for_a_decimal", "False", "0.0"),
    returns("list_for_a_list_of_lists", "[1, 2]", "[[1, 2]]"),
    returns("list_of_lists_for_a_list", "[[1, 2]]", "[1, 2]"),
    returns("longer_list", "[1, 2, 3]", "[1, 2]"),
    returns("shorter_list", "[1]", "[1, 2]"),
    returns("other_order", "[2, 1]", "[1, 2]"),
    returns("missing_key", "{'a': 1}", '{"a": 1, "b": null}'),
    returns("extra_key", "{'a': 1, 'b': None}", '{"a": 1}'),
    returns("dict_for_a_list", "{}", "[]"),
    returns("none_for_0", "None", "0"),
    returns("none_for_an_empty_list", "None", "[]"),
    returns("empty_text_for_none", "''", "null"),
    returns("decimal_off_by_1e_4", "[1.0001]", "[1.0]"),
    returns("decimal_between_integers", "7.5", "7"),
    returns("nan_returned", "float('nan')", "0.5", NOT_PLAIN_DATA),
    returns("large_integer_through_a_float", "int(float(10**18 + 1))", "1000000000000000001"),
    returns("generator", "(i for i in [1, 2])", "[1, 2]", NOT_PLAIN_DATA),
    returns("range_object", "range(3)", "[0, 1, 2]", NOT_PLAIN_DATA),
    returns("function", "answer", "6", NOT_PLAIN_DATA),
    returns("class", "int", "0", NOT_PLAIN_DATA),
    returns("bytes", "b'ab'", '"ab"', NOT_PLAIN_DATA),
    call(
        "prints_and_returns_nothing", "answer", "def answer(n):\n    print(2 * n)\n", ("3", "6"), reasons=WRONG_ANSWER
    ),
    call("other_name", "answer", "def solve(n):\n    return 2 * n\n", ("3", "6"), reasons=("no_function",)),
    call(
        "name_only_inside_a_function",
        "answer",
        "def solve():\n    def answer(n):\n        return 2 * n\n",
        ("3", "6"),
        reasons=("no_function",),
    ),
    call(
        "other_method",
        "answer",
        "class Solution:\n    def solve(self, n):\n        return 2 * n\n",
        ("3", "6"),
        reasons=("no_function",),
    ),
    call("name_of_a_number", "answer", "answer = 6\n", ("3", "6"), reasons=("no_function", "runtime_error")),
    call("too_few_parameters", "answer", "def answer():\n    return 6\n", ("3", "6"), reasons=RUNTIME_ERROR),
    call("too_many_parameters", "answer", "def answer(a, b):\n    return 6\n", ("3", "6"), reasons=RUNTIME_ERROR),
    call(
        "right_call_then_a_raising_one",
        "answer",
        "def answer(n):\n    return 6 // n\n",
        ("1", "6"),
        ("0", "0"),
        reasons=RUNTIME_ERROR,
    ),
    call(
        "exits_in_the_call",
        "answer",
        "import os\ndef answer(n):\n    print(6, flush=True)\n    os._exit(0)\n",
        ("3", "6"),
        reasons=NOT_PLAIN_DATA,
    ),
    call("syntax_error_in_a_call", "answer", "def answer(n)\n    return 6\n", ("3", "6"), reasons=("syntax_error",)),
]

TIME = [
    stdin("sleeps_for_a_minute", "import time\ntime.sleep(60)\nprint(6)\n", NOTHING_IN, reasons=TIMEOUT),
    stdin("answers_then_sleeps", "import time\nprint(6, flush=True)\ntime.sleep(60)\n", NOTHING_IN, reasons=TIMEOUT),
    stdin("sleeps_0_8_s_too_long", "import time\ntime.sleep(2.8)\nprint(6)\n", NOTHING_IN, reasons=TIMEOUT),
    stdin("sleeps_1_s_less_than_allowed", "import time\ntime.sleep(2)\nprint(6)\n", NOTHING_IN, limit_s=3.0),
    stdin("busy_in_python", "while True:\n    pass\n", NOTHING_IN, reasons=TIMEOUT),
    stdin("busy_in_sum", "print(sum(range(10**12)))\n", NOTHING_IN, reasons=TIMEOUT),
    stdin("busy_in_pow", "print(len(bin(7**7**9)))\n", NOTHING_IN, reasons=TIMEOUT),
    stdin("busy_in_re", "import re\nprint(re.match(r'(a+)+$', 'a' * 50 + 'b'))\n", ("", "None\n"), reasons=TIMEOUT),
    stdin(
        "slow_in_the_last_only",
        "import time\nn = int(input())\ntime.sleep(9 * (n == 3))\nprint(n)\n",
        ("1\n", "1\n"),
        ("2\n", "2\n"),
        ("3\n", "3\n"),
        reasons=TIMEOUT,
    ),
    stdin(
        "deadlock",
        "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()\n",
        NOTHING_IN,
        reasons=TIMEOUT,
    ),
    stdin(
        "ignores_signals",
        "import signal\nfor n in (1, 2, 14, 15, 24):\n"
        "    signal.signal(n, signal.SIG_IGN)\nwhile True:\n    signal.pause()\n",
        NOTHING_IN,
        reasons=TIMEOUT,
    ),
    stdin("100_quick_tests", "print(int(input()) ** 2)\n", *[(f"{n}\n", f"{n * n}\n") for n in range(100)]),
    stdin(
        "catches_everything_for_ever",
        """
        import time
        print(6, flush=True)
        while True:
            try:
                time.sleep(0.1)
            except BaseException:
                pass
        """,
        NOTHING_IN,
        reasons=TIMEOUT,
    ),
    stdin(
        "endless_thread_after_main",
        """
        import threading, time

        def work():
            while True:
                time.sleep(0.1)

        threading.Thread(target=work).start()
        print(6)
        """,
        NOTHING_IN,
        reasons=TIMEOUT,
    ),
    stdin(
        "endless_daemon_thread",
        """
        import threading

        def work():
            while True:
                pass

        threading.Thread(target=work, daemon=True).start()
        print(6)
        """,
        NOTHING_IN,
    ),
    call(
        "hangs_at_import",
        "answer",
        "import time\ntime.sleep(60)\n\ndef answer(n):\n    return 6\n",
        ("3", "6"),
        reasons=TIMEOUT,
    ),
    call(
        "hangs_in_the_second_call",
        "answer",
        "def answer(n):\n    while n > 1:\n        pass\n    return n\n",
        ("1", "1"),
        ("2", "2"),
        reasons=TIMEOUT,
    ),
]

SPACE = [
    stdin(
        "bytearray_of_4_gib", "table = bytearray(b'x') * (4 << 30)\nprint(6)\n", NOTHING_IN, reasons=MEMORY, limit_s=3.0
    ),
    stdin("bytearray_of_1_tib", "table = bytearray(1 << 40)\nprint(6)\n", NOTHING_IN, reasons=("memory",)),
    stdin(
        "list_of_integers",
        "a = []\nwhile len(a) < 10**9:\n    a.extend(range(len(a), len(a) + 10**6))\nprint(6)\n",
        NOTHING_IN,
        reasons=MEMORY,
        limit_s=3.0,
    ),
    stdin(
        "doubles_a_text",
        "s = 'x'\nwhile len(s) < 10**12:\n    s += s\nprint(6)\n",
        NOTHING_IN,
        reasons=MEMORY,
        limit_s=3.0,
    ),
    stdin("field_of_10_tb", 'print(f"{6:>{10**13}}")\n', NOTHING_IN, reasons=("memory",)),
    call(
        "memory_in_a_call",
        "answer",
        "def answer(n):\n    table = bytearray(1 << 40)\n    return 6\n",
        ("3", "6"),
        reasons=("memory",),
    ),
    stdin("prints_for_ever", "while True:\n    print('y' * 1000)\n", NOTHING_IN, reasons=("output_limit", "timeout")),
    stdin("prints_1_gb_at_once", "print('y' * 10**9)\n", NOTHING_IN, reasons=("output_limit", "timeout", "memory")),
    stdin(
        "stderr_for_ever",
        "import sys\nwhile True:\n    print('y' * 1000, file=sys.stderr)\n",
        NOTHING_IN,
        reasons=("output_limit", "timeout", "runtime_error"),
    ),
    stdin(
        "integer_of_10_million_digits",
        "print(10 ** 10**7)\n",
        NOTHING_IN,
        reasons=("timeout", "runtime_error", "output_limit"),
    ),
    returns("integer_of_100_million_bits", "1 << 10**8", "6", TOO_LARGE),
    returns("list_of_100_million", "[0] * 10**8", "[0]", TOO_LARGE),
    call(
        "list_1000_deep",
        "answer",
        "def answer(n):\n    a = []\n    for _ in range(999):\n        a = [a]\n    return a\n",
        ("3", "[[]]"),
        reasons=TOO_LARGE,
    ),
    call(
        "list_that_holds_itself",
        "answer",
        "def answer(n):\n    a = []\n    a.append(a)\n    return a\n",
        ("3", "[[]]"),
        reasons=TOO_LARGE,
    ),
    call(
        "list_of_2_to_the_60_leaves",
        "answer",
        "def answer(n):\n    a = [1]\n    for _ in range(60):\n        a = [a, a]\n    return a\n",
        ("3", "[1]"),
        reasons=TOO_LARGE,
    ),
]

DEPTH = [
    stdin(
        "recursion", "def f(n):\n    return f(n + 1)\nprint(6, flush=True)\nf(0)\n", NOTHING_IN, reasons=RUNTIME_ERROR
    ),
    stdin(
        "recursion_through_sorted",
        "def f(n):\n    return sorted([n, n], key=f)\nf(0)\n",
        NOTHING_IN,
        reasons=RUNTIME_ERROR,
    ),
    stdin("recursion_through_json", "import json\njson.loads('[' * 100_000)\n", NOTHING_IN, reasons=RUNTIME_ERROR),
    stdin(
        "recursion_through_repr",
        "a = []\nfor _ in range(100_000):\n    a = [a]\nprint(a)\n",
        NOTHING_IN,
        reasons=RUNTIME_ERROR,
    ),
    stdin(
        "recursion_through_c_without_limit",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(n):\n    return sorted([n], key=f)\nf(0)\n",
        NOTHING_IN,
        reasons=("runtime_error", "memory", "timeout"),
    ),
    call(
        "recursion_in_a_call", "answer", "def answer(n):\n    return answer(n + 1)\n", ("3", "6"), reasons=RUNTIME_ERROR
    ),
    stdin(
        "100000_parentheses",
        "(" * 100_000 + "6" + ")" * 100_000 + "\n",
        NOTHING_IN,
        reasons=("syntax_error", "runtime_error", "memory"),
    ),
    stdin(
        "100000_minus_signs",
        "print(" + "-" * 100_000 + "6)\n",
        NOTHING_IN,
        reasons=("syntax_error", "runtime_error", "memory"),
    ),
    stdin("nul_byte", "print(6)\n\0\n", NOTHING_IN, reasons=("syntax_error", "runtime_error")),
    stdin("empty_source", "", NOTHING_IN, reasons=WRONG_ANSWER),
    call("empty_source_in_a_call", "answer", "", ("3", "6"), reasons=("no_function",)),
]

FAIR = [*READING, *WRITING, *SOURCES, *LANGUAGE, *CALLS]
WRONG = [*WRONG_TEXT, *WRONG_VALUES]
LIMITS = [*TIME, *SPACE, *DEPTH]
CASES = [*FAIR, *WRONG, *LIMITS]
