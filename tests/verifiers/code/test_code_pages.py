"""What the pages on code rewards and on the sandbox say, held against the code."""

import io
import json
import math
import re
from dataclasses import fields

import pytest
from markdown_it import MarkdownIt
from pages import page

from acereason.config.schema import SandboxConfig
from acereason.config.schema.rollouts import SANDBOX_LAYERS
from acereason.errors import UserError
from acereason.evaluation.verify.answer_rows import read_rows
from acereason.sandbox import prelude, probe_programs, program, report, zone
from acereason.verifiers.code import test_run
from acereason.verifiers.code.compare import same_output, same_value
from acereason.verifiers.code.extraction import find_program
from acereason.verifiers.pool.pool import VerifierPool
from acereason.verifiers.verifier import JUDGED_REASONS

START, DETAIL, SANDBOX = (
    page(f"{name}.md").read_text(encoding="utf-8") for name in ("code_rewards", "code_rewards_in_detail", "sandbox")
)
PRINTED, RETURNED = ["expected", "printed", "verdict"], ["expected value", "returned", "verdict"]
ESCAPES = {r"\n": "\n", r"\r": "\r"}


def table(header: list[str], text: str = DETAIL) -> list[list[str]]:
    """The rows under a header; a cell that begins with a code span gives that span, any other its text."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    rows: list[list[str]] = []
    for place, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            spans = tokens[place + 1].children or []
            rows[-1].append(spans[0].content if spans else "")
    starts = [number for number, row in enumerate(rows) if row[: len(header)] == header]
    assert len(starts) == 1, header
    width = len(rows[starts[0]])
    end = next((n for n in range(starts[0] + 1, len(rows)) if len(rows[n]) != width), len(rows))
    return rows[starts[0] + 1 : end]


def section(text: str, title: str) -> str:
    """The text under a heading."""
    return re.split(r"^#+ ", text.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def examples(header: list[str]) -> list[list[str]]:
    rows = table(header)
    return rows[: next((n for n, row in enumerate(rows) if row[2] not in ("equal", "not equal")), len(rows))]


@pytest.mark.parametrize(("expected", "printed", "verdict"), examples(PRINTED))
def test_printed_text_is_equal_where_the_page_says_so(expected: str, printed: str, verdict: str) -> None:
    for shown, meant in ESCAPES.items():
        expected, printed = expected.replace(shown, meant), printed.replace(shown, meant)
    assert same_output(expected, printed) == (verdict == "equal")


@pytest.mark.parametrize(("expected", "returned", "verdict"), examples(RETURNED))
def test_returned_values_are_equal_where_the_page_says_so(expected: str, returned: str, verdict: str) -> None:
    wanted, given = (eval(text, {"nan": math.nan}) for text in (expected, returned))
    assert same_value(wanted, given) == (verdict == "equal")


def test_the_tables_of_examples_are_read_to_their_ends() -> None:
    lines = [line for line in DETAIL.splitlines() if line.endswith(("| equal |", "| not equal |"))]
    assert len(examples(PRINTED)) + len(examples(RETURNED)) == len(lines) >= 50


def test_the_program_of_the_example_is_the_second_block() -> None:
    response = DETAIL.split("\n````\n")[1]
    assert find_program(response).answer == "n = int(input())\nprint(n * (n + 1) // 2)"


def test_the_places_of_programs_are_those_of_the_table() -> None:
    one, two, untagged, other = "```python\n1\n```\n", "```python\n2\n```\n", "```\n3\n```\n", "```cpp\n4\n```\n"
    opened, empty = "```python\n5\n", "```python\n```\n"
    responses = [one, one + two, one + untagged, untagged, other, "1", opened, one + opened, one + empty]
    found = [find_program("</think>\n" + response).answer for response in responses]
    assert found == ["1", "2", "1", "3", "", "", "", "1", ""]
    assert len(table(["After ", "What is judged"])) == len(found)


def test_the_file_shown_is_judged_as_shown() -> None:
    before, after = (block.splitlines() for block in re.findall(r"^```json\n(.*?)^```$", START, re.S | re.M))
    rows = list(read_rows(io.BytesIO("\n".join(before).encode()), "code"))
    try:
        pool = VerifierPool(1, 5.0, 2048, ("code",), SandboxConfig())
    except UserError as error:
        pytest.skip(str(error))
    with pool:
        answers = [(pool.submit if row.is_response else pool.submit_answer)(row.problem, row.text) for row in rows]
        written = [json.loads(row.with_verdict(answer.result(120))) for row, answer in zip(rows, answers, strict=True)]
    for line, shown in zip(written, map(json.loads, after), strict=True):
        assert line | {"seconds": 0} == shown | {"seconds": 0}


def test_every_reason_of_a_program_is_in_the_table() -> None:
    listed = {row[0]: row[2] for row in table(["reason", "when"], START)}
    judged = {reason for reason, says in listed.items() if says.startswith("yes")}
    assert judged == JUDGED_REASONS["code"] | {"timeout", "memory", "no_function"}
    assert set(test_run._STATUS_REASONS.values()) <= set(listed)
    assert {says for says in listed.values()} == {"yes", "yes, with a failing test", "no"}


def test_every_setting_is_in_the_table_with_its_default() -> None:
    listed = {row[0]: row[1] for row in table(["Setting", "Default"])}
    config = SandboxConfig()
    assert listed == {f"sandbox.{field.name}": str(getattr(config, field.name)) for field in fields(config)}


def test_what_a_program_finds_is_what_the_page_lists() -> None:
    text = section(DETAIL, "What a program finds")
    modules, stars = text.split("The public names of these")
    assert tuple(spans(modules)) == prelude.MODULES
    assert tuple(spans(stars))[: len(prelude.STARS)] == prelude.STARS
    assert f"{program.RECURSION_LIMIT:,} deep" in text
    environment = text.split("**Environment.**")[1].split("\n- ")[0]
    assert set(spans(environment)) == set(zone._ENVIRONMENT)


def test_the_output_of_the_sandbox_command_has_the_rows_that_it_has() -> None:
    blocks = [block for block in re.findall(r"^```\n(.*?)^```$", SANDBOX, re.S | re.M) if block.startswith("layer ")]
    promises = [*probe_programs.PROGRAMS, "nothing outlives a program"]
    for block in blocks:
        rows = [re.split(r"  +", line)[0] for line in block.splitlines()]
        assert rows[:-1] == ["layer", *report._LAYERS, "unprivileged user", "", "a program is kept from", *promises]
    assert len(blocks) == 2


def test_the_layers_that_can_be_left_out_are_named() -> None:
    paragraph = next(text for text in SANDBOX.split("\n\n") if text.startswith("The names for `sandbox.without`"))
    assert tuple(spans(paragraph)[1:]) == SANDBOX_LAYERS
