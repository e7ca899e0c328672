"""The examples of the pages on math answers, read as GitHub shows them, are what the verifier does."""

import json
import re

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pages import page

from acereason.verifiers.math.verifier import judge_answer, verify_math
from acereason.verifiers.verifier import JUDGED_REASONS

START, DETAIL = (page(name).read_text(encoding="utf-8") for name in ("math_answers.md", "math_answers_in_detail.md"))
VERIFY = page("verify_a_file.md").read_text(encoding="utf-8")
EXAMPLES_HEADER = ["gold", "answer", "verdict"]
REASONS_HEADER = ["reason", "what happened", "says something about the response"]

Cells = list[Token]


def tables(text: str) -> list[list[Cells]]:
    """The rows of each table, header first; a cell is its inline token."""
    found: list[list[Cells]] = []
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for place, token in enumerate(tokens):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("th_open", "td_open"):
            found[-1][-1].append(tokens[place + 1])
    return found


def code(cell: Token) -> str:
    """The content of a cell that is one code span."""
    spans = cell.children or []
    assert [span.type for span in spans] == ["code_inline"], f"not one code span: {cell.content}"
    return spans[0].content


def rows_under(header: list[str], text: str) -> list[Cells]:
    """The rows of all tables with this header."""
    matching = [table for table in tables(text) if [cell.content for cell in table[0]] == header]
    return [row for table in matching for row in table[1:]]


def examples(text: str) -> list[tuple[str, str, str]]:
    rows = rows_under(EXAMPLES_HEADER, text)
    return [(code(gold), code(answer), verdict.content) for gold, answer, verdict in rows]


EXAMPLES = examples(DETAIL)
REASONS = {code(reason): judged.content for reason, _, judged in rows_under(REASONS_HEADER, START)}


@pytest.mark.parametrize(("gold", "answer", "verdict"), dict.fromkeys([*examples(START), *EXAMPLES]))
def test_the_verdict_is_the_one_on_the_page(gold: str, answer: str, verdict: str) -> None:
    found = judge_answer(gold, answer)
    assert found.reward == (verdict == "equal"), found.reason
    assert found.reason in REASONS


def test_the_page_has_the_examples_it_promises_and_all_its_tables_are_read() -> None:
    promised = re.search(r"It holds (\d+) examples in tables", DETAIL)
    assert promised
    assert len(EXAMPLES) == int(promised[1]) >= 150
    assert {verdict for _, _, verdict in EXAMPLES} == {"equal", "not equal"}
    for text, rows in ((DETAIL, len(EXAMPLES)), (START, len(examples(START)) + len(REASONS))):
        # Of the lines with a bar in front, each table has two that are no rows.
        lines = [line for line in text.splitlines() if line.lstrip().startswith("|")]
        assert len(lines) == rows + 2 * len(tables(text))
        assert all([cell.content for cell in table[0]] in (EXAMPLES_HEADER, REASONS_HEADER) for table in tables(text))


@pytest.mark.parametrize("text", [START, DETAIL], ids=["start", "detail"])
def test_no_example_is_there_twice(text: str) -> None:
    assert len({example[:2] for example in examples(text)}) == len(examples(text)) >= 15


def test_bars_are_read_as_they_are_shown() -> None:
    # A bar in a cell is written \| even in code; a backslash before that would be read in two ways.
    assert r"\\|" not in START + DETAIL
    (row,) = tables("| gold | answer |\n|---|---|\n| `\\|x\\|` | `a \\\\ b` |\n")[0][1:]
    assert [code(cell) for cell in row] == ["|x|", r"a \\ b"]


def test_a_row_that_is_not_an_example_is_found() -> None:
    (row,) = tables("| gold |\n|---|\n| 5 and `6` |\n")[0][1:]
    with pytest.raises(AssertionError, match="not one code span"):
        code(row[0])


def json_lines() -> list[list[dict[str, object]]]:
    blocks = re.findall(r"^```json\n(.*?)^```$", VERIFY, re.DOTALL | re.MULTILINE)
    return [[json.loads(line) for line in block.splitlines()] for block in blocks]


def test_the_file_shown_is_judged_as_shown() -> None:
    before, after = json_lines()
    for given, shown in zip(before, after, strict=True):
        judge, text = (judge_answer, given["pred"]) if "pred" in given else (verify_math, given["response"])
        verdict = judge(str(given["gold"]), str(text))
        assert 0 <= float(str(shown.pop("seconds"))) < 1
        added = {"reward": verdict.reward, "extracted": verdict.extracted, "reason": verdict.reason}
        assert list(shown.items()) == list((given | added).items())


def test_the_page_names_the_reasons_that_say_something_about_the_response() -> None:
    assert {reason for reason, judged in REASONS.items() if judged == "yes"} == JUDGED_REASONS["math"]
    assert set(REASONS.values()) == {"yes", "no"}


@pytest.mark.parametrize(
    ("gold", "answer", "reason"),
    [
        (" ", "5", "no_gold"),
        ("5", "9^{9^9}", "too_large"),
        ("5", "x+" * 100_000 + "x", "too_long"),
        ("x", r"\odot\star x", "unparsed"),
    ],
)
def test_what_cannot_be_judged_has_a_reason(gold: str, answer: str, reason: str) -> None:
    assert judge_answer(gold, answer).reason == reason
