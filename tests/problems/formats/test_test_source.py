import pytest

from acereason.problems.formats.test_source import (
    called_entry_point,
    free_calls,
    header_of,
    prelude_of,
    with_check_called,
)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("assert double(2) == 4", ["double"]),
        ("assert set(pairs([1])) == set(sorted(pairs([1])))", ["pairs"]),
        ("import math\nfrom a.b import near as close\nassert close(math.sqrt(4), root(4))", ["root"]),
        ("def same(a, b):\n    return twice(a) == b\n\nassert same(half(4), 2)", ["twice", "half"]),
        ("class Box:\n    pass\n\nassert area(Box()) == Box", ["area"]),
        ("for f in (abs,):\n    assert f(g(-1)) == 1", ["g"]),
        ("assert [h(x) for x, h in items()] == []", ["items"]),
        # A function may have a variable of the name.
        ("def ref(xs):\n    count = len(xs)\n    return count\n\nassert count([1]) == ref([1])", ["count"]),
        # A program may take a built-in's name, but of several calls a built-in's is none of its.
        ("assert sum(10, 15) == 6\nassert sum(5, 5) == 6", ["sum"]),
        ("assert max(sum([1]), 2) == 2", []),
        ("assert x.f(1) == 1", []),
        ("x = 1", []),
        ("def check(candidate):\n    assert candidate(1) == 1", []),
    ],
)
def test_what_a_source_calls_and_does_not_bind(source, names):
    assert free_calls(source) == names


def test_the_entry_point_is_the_method_or_the_first_free_call():
    assert called_entry_point("def check(c):\n    helper(c(1))\n\ncheck(Solution().addUp)") == "Solution().addUp"
    assert called_entry_point("assert f(g(1))") == "f"
    assert called_entry_point("assert True") is None


@pytest.mark.parametrize("source", ["assert f(", "assert f(1)\0", "(" * 500, "x = " + "-" * 100_000 + "1"])
def test_what_is_not_python_is_told(source):
    with pytest.raises(SyntaxError):
        free_calls(source)


def test_check_is_called_once():
    defined = "def check(candidate):\n    assert candidate(1) == 2\n\n"
    called = "def check(candidate):\n    assert candidate(1) == 2\n\n\ncheck(candidate)\n"
    assert with_check_called(defined) == with_check_called(called) == called
    assert with_check_called("assert f(1) == 2") == "assert f(1) == 2"
    assert with_check_called(f"{defined}check(Solution().f)") == f"{defined}check(Solution().f)"


IMPORTS = "from typing import List\n\n\ndef helper(x):\n    return x\n\n\n"


@pytest.mark.parametrize(
    ("prompt", "prelude"),
    [
        (f'{IMPORTS}def f(x: List) -> int:\n    """Half of x."""\n', IMPORTS),
        (f"{IMPORTS}def f(x):\n    # Half of x.", IMPORTS),
        (f"{IMPORTS}@cache\ndef f(x):\n    '''\x0c'''\n", IMPORTS),
        ('\ndef f(x):\n    """Half of x."""\n', ""),
        ("import math\nlimit: int = 3\ninf = float('inf')\n", "import math\nlimit: int = 3\ninf = float('inf')\n"),
        ("Write a function that halves x.", ""),
        ("sum", ""),
        ("", ""),
        ("import math\nprint(math.pi)\n", ""),
    ],
)
def test_the_prelude_of_a_prompt(prompt, prelude):
    assert prelude_of(prompt, "f") == prelude


def test_the_header_of_a_function():
    source = "import re\n\n@cache\ndef f(a, *b, c: int = 2) -> list[int]:\n    return [a]\n"
    assert header_of(source, "f") == "def f(a, *b, c: int=2) -> list[int]:"
    assert header_of(source, "g") == header_of("no python", "g") == "def g(*args):"
