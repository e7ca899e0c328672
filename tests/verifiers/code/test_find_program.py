"""The last block of Python after `</think>`, in linear time whatever the response."""

import re
import textwrap
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acereason.verifiers.code.extraction import find_program
from acereason.verifiers.verifier import Extraction

examples = settings(derandomize=True, deadline=None, max_examples=300)


def program(*lines: str) -> str:
    """What is found in these lines after thinking; the reason in angle brackets when there is nothing."""
    found = find_program("<think>\nhm</think>" + "\n".join(lines))
    assert bool(found.answer) != bool(found.reason)
    return found.answer or f"<{found.reason}>"


def test_the_last_python_block_counts() -> None:
    assert program("So:", "```python", "a = 1", "print(a)", "```", "done") == "a = 1\nprint(a)"
    assert program("```python", "a", "```", "better:", "```python", "b", "```") == "b"
    assert program("```python", "a", "```", "output:", "```", "7", "```", "```text", "8", "```") == "a"
    assert program("```python", "", "a", "", "b", "", "```") == "\na\n\nb\n"


def test_nothing_before_the_end_of_thinking_counts() -> None:
    block = "```python\na\n```\n"
    assert find_program(block) == Extraction("", "no_think_end")
    assert find_program("<think>" + block) == Extraction("", "no_think_end")
    assert find_program(block + "</think>") == Extraction("", "no_code")
    assert find_program("```python\n</think>\na\n```") == Extraction("", "no_code")
    assert find_program("x</think>```python\nb\n```</think>" + block) == Extraction("a", "")
    assert find_program("x</think>```python\nb\n```") == Extraction("b", "")


@pytest.mark.parametrize(
    "tag",
    [
        *("python", "py", "python3", "py3", "Python", "PYTHON", " python ", "python title=x", "python\t"),
        *("{.python}", "{python}", "{ .python #id}", "python:main.py", "python3.11", "Python 3", "python\r"),
    ],
)
def test_tags_that_say_python(tag: str) -> None:
    assert program("```" + tag, "a", "```", "```", "b", "```") == "a"


@pytest.mark.parametrize("tag", ["cpp", "python2", "pycon", "python-repl", "ipython", "pyx", "text", "#", "{}", "path"])
def test_blocks_in_other_languages_never_count(tag: str) -> None:
    assert program("```" + tag, "a", "```") == "<no_code>"
    assert program("```", "a", "```", "```" + tag, "b", "```") == "a"


def test_untagged_blocks_count_where_none_is_tagged() -> None:
    assert program("```", "a", "```", "```", "b", "```", "```sh", "c", "```") == "b"
    assert program("``` ", "a", "``` ") == "a"
    assert program("```", "b", "```", "```python", "a", "```", "```", "c", "```") == "a"


def test_a_block_that_is_never_closed_is_none() -> None:
    assert program("```python", "a") == "<no_code>"
    assert program("```python", "a", "print('```')") == "<no_code>"
    assert program("```python", "a", "``") == "<no_code>"
    assert program("```python", "a", "```", "```python", "b") == "a"
    assert program("```", "a", "```", "```python", "b") == "a"
    assert program("```python") == "<no_code>"


def test_empty_blocks_are_no_program() -> None:
    assert program("```python", "```") == "<no_code>"
    assert program("```python", "", "  ", "```") == "<no_code>"
    assert program("```python", "a", "```", "```python", "```") == "<no_code>"
    assert program("no block") == program("") == program("a ```inline``` one") == "<no_code>"


def test_what_closes_a_block() -> None:
    assert program("```python", "x = '''", "a ``` b", "'''", "```") == "x = '''\na ``` b\n'''"
    assert program("```python", "a", "````") == "a"
    assert program("````python", "a", "```", "b", "````") == "a\n```\nb"
    assert program("~~~python", "a", "```", "b", "~~~") == "a\n```\nb"
    assert program("```python", "a", "~~~", "b", "```") == "a\n~~~\nb"
    assert program("~~~~py", "a", "~~~", "~~~~~") == "a\n~~~"
    assert program("```python", "a", "   ```") == "a"
    assert program("```python", "a", "```inline` code", "```") == "a\n```inline` code"
    assert program("```python", "a", "- ```", "```") == "a\n- ```"


def test_a_fence_in_a_docstring_is_code() -> None:
    lines = ("def f():", '    """', "    ```python", "    f()", "    ```", '    """')
    assert program("```python", *lines, "```") == "\n".join(lines)


def test_a_fence_with_a_language_closes_a_block_and_opens_the_next() -> None:
    assert program("```python", "a", "```python", "b", "```") == "b"
    assert program("```python", "a", "```text", "b", "```") == "a"
    assert program("```", "sample", "```python", "a", "```", "```") == "a"
    assert program("```markdown", "```python", "a", "```", "```") == "a"
    assert program("```python", "a", "```<|end|>") == "a"
    assert program("````markdown", "```python", "a", "```", "````") == "<no_code>"


def test_fences_begin_their_line() -> None:
    assert program("Code: ```python", "a", "```") == "<no_code>"
    assert program("```python print(1) ```") == "<no_code>"
    assert program("``python", "a", "``") == "<no_code>"


def test_indented_blocks_lose_what_all_their_lines_share() -> None:
    assert program("1. So", "   ```python", "   if a:", "", "       b", "   ```") == "if a:\n\n    b"
    assert program("- ```python", "  if a:", "    b", "  ```") == "if a:\n  b"
    assert program("12) ```py", "    a", "    ```") == "a"
    assert program("      ```python", "      a", "      ```") == "a"
    assert program("\t```python", "\tif a:", "\t\tb", "\t```") == "if a:\n\tb"
    assert program("  ```python", "if a:", "    b", "  ```") == "if a:\n    b"
    assert program("```python", "  a", "    ", " ", "  b", "```") == "a\n  \n \nb"
    assert program("```python", "\ta", "  b", "```") == "\ta\n  b"


def test_line_ends_of_windows() -> None:
    assert program("```python\r", "a\r", "b\r", "```\r", "") == "a\nb"
    assert program("  ```python\r", "  a\r", "\r", "  b\r", "  ```\r") == "a\n\nb"


# --- any text

code_lines = st.text(st.characters(exclude_characters="\r\n"), max_size=30).filter(
    lambda line: "</think>" not in line and not re.match(r"[ \t]*(?:```|~~~)", line)
)
codes = st.lists(code_lines, min_size=1, max_size=8).filter(lambda lines: bool("".join(lines).strip()))
prose = st.lists(code_lines, max_size=8).map("\n".join)
fences = st.sampled_from("`~").flatmap(lambda kind: st.integers(3, 8).map(lambda count: kind * count))
soups = st.lists(
    st.sampled_from(["```", "~~~", "`", "````", "python", " ", "\n", "\n", "\r\n", "\t", "a", "- ", "1. ", "</think>"])
)


@examples
@given(before=prose, after=prose, lines=codes, fence=fences, tag=st.sampled_from(["python", "Py", "{.python}", ""]))
def test_a_block_is_found_in_any_prose(before: str, after: str, lines: list[str], fence: str, tag: str) -> None:
    lines = ["pass", *lines]
    assert program(before, fence + tag, *lines, fence, after) == "\n".join(lines)


@examples
@given(lines=codes, indent=st.text(" \t", min_size=1, max_size=8))
def test_indenting_a_block_changes_nothing(lines: list[str], indent: str) -> None:
    lines = ["pass", *lines]
    assert program(*(indent + line for line in ["```py", *lines, "```"])) == "\n".join(lines)


@examples
@given(soup=soups.map("".join))
def test_any_soup_of_fences_has_a_program_or_a_reason(soup: str) -> None:
    found = program(soup)
    if found != "<no_code>":
        assert found.strip()
        assert found in soup.replace("\r\n", "\n") or found in textwrap.dedent(soup.replace("\r\n", "\n"))


def processor_seconds(text: str) -> float:
    """The best of three."""
    times = []
    for _ in range(3):
        started = time.process_time()
        find_program(text)
        times.append(time.process_time() - started)
    return min(times)


REPEATED = [
    *("`", "~", "```", "```\n", "```x\n", "```python\n", "```python\na\n```\n", "```\n~~~\n", "``x", "```x", " ", "\t"),
    *(" ```\n", "- ```\n", "1. ", "9", "\n", " \n", "```\r\n", "x\n", "</think>"),
]


@pytest.mark.parametrize("before", ["", "```python\n", " ```python\n ", "`" * 10_000 + "\n", " " * 10_000 + "```\n"])
@pytest.mark.parametrize("unit", REPEATED)
def test_the_time_to_find_a_program_grows_with_the_length(before: str, unit: str) -> None:
    short, long = ("</think>" + before + unit * (count // len(unit)) + "\n```" for count in (20_000, 320_000))
    # Sixteen times the text: 16 times as long, or 256 times if every place looked at all others.
    assert processor_seconds(long) < 60 * processor_seconds(short) + 0.05
