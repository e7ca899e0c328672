import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from acereason.config.schema.prompts import InstructionsConfig, PromptsConfig
from acereason.errors import UserError
from acereason.problems.problem import Problem
from acereason.problems.prompt_style import check_style, read_style
from acereason.problems.prompts import PAPER_STYLE, PromptStyle, prompt_text, user_message

MATH = Problem("m", "math", "What is 2 + 2?", answer="4")
OWN = "{% for message in messages %}{{ message.content }}|{% endfor %}{{ mood }}"


def written(path: Path, *rows: object) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def test_the_defaults_are_the_papers():
    style = read_style(PromptsConfig())
    assert (style.template, style.system, style.examples) == ("", "", {})
    assert style.messages(MATH) == PAPER_STYLE.messages(MATH) == [{"role": "user", "content": user_message(MATH)}]


def test_files_become_a_style(tmp_path):
    (tmp_path / "own.jinja").write_text(OWN)
    rows = [
        {"question": "1+1?", "response": "\\boxed{2}"},
        "",
        {"question": "Say hi.", "response": "print('hi')", "domain": "code", "starter_code": "def f():"},
    ]
    settings = PromptsConfig(
        template=str(tmp_path / "own.jinja"),
        system="S",
        instructions=InstructionsConfig(math="", code="C"),
        examples=written(tmp_path / "examples.jsonl", *rows),
        chat_template_kwargs={"mood": "calm"},
    )
    style = read_style(settings)
    laptop = AutoTokenizer.from_pretrained("models/laptop")
    check_style(style, laptop, MATH)
    assert prompt_text(MATH, laptop, style) == "S|1+1?|\\boxed{2}|What is 2 + 2?|calm"
    [(example, response)] = style.examples["code"]
    assert (example.starter_code, response) == ("def f():", "print('hi')")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"question": "1+1?"}, ":1: an example needs response"),
        ({"question": " ", "response": "2"}, ":1: an example needs question"),
        ({"question": "1+1?", "respons": "2"}, ":1: an example has no 'respons'; did you mean response?"),
        ({"question": "1+1?", "response": 2}, ":1: response must be text, not 2"),
        ({"question": "1", "response": "2", "domain": "maths"}, ":1: domain=maths: there are math, code"),
        ([1], ":1: an example is an object with question and response"),
        ("{", ":1: "),
        ("", "is empty"),
    ],
)
def test_a_broken_example_is_named(tmp_path, row, says):
    path = written(tmp_path / "examples.jsonl", row)
    with pytest.raises(UserError) as caught:
        read_style(PromptsConfig(examples=path))
    assert says in str(caught.value)
    assert path[:60] in str(caught.value)  # a message shows the beginning of a long value


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (PromptsConfig(template="modle"), "prompts.template=modle: no such file; did you mean model?"),
        (PromptsConfig(examples="nowhere/x.jsonl"), "prompts.examples=nowhere/x.jsonl: no such file"),
        (PromptsConfig(template="tests"), "prompts.template=tests: no such file"),
    ],
)
def test_a_missing_file_is_named(settings, says):
    with pytest.raises(UserError, match=says):
        read_style(settings)


def test_a_template_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "own.jinja").write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"cannot be read: .*byte 0xff in position 0"):
        read_style(PromptsConfig(template=str(tmp_path / "own.jinja")))


LAST_ALONE = SimpleNamespace(template="{{ messages[-1].content }}")


@pytest.mark.parametrize(
    ("style", "says"),
    [
        (PromptStyle(LAST_ALONE.template, system="S!"), "prompts.system: the chat template leaves it out"),
        (
            PromptStyle(LAST_ALONE.template, examples={"math": [(MATH, "F.")]}),
            "prompts.examples: the chat template leaves",
        ),
        (
            PromptStyle(OWN, chat_template_kwargs={"modo": 1}),
            "chat_template_kwargs={modo: …}: the chat template has no",
        ),
        (PromptStyle("plain", chat_template_kwargs={"x": 1}), "chat_template_kwargs={x: …}: the chat template has no"),
    ],
)
def test_a_template_that_does_not_write_what_is_asked_for_is_refused(style, says):
    with pytest.raises(UserError, match=says):
        check_style(style, AutoTokenizer.from_pretrained("models/laptop"), MATH)


def test_a_template_may_leave_out_thoughts_of_examples():
    without = "{% for m in messages %}{{ m.content.split('</think>')[-1] | trim }}\n{% endfor %}"
    style = PromptStyle(without, examples={"math": [(MATH, "<think>\nhm\n</think>\n\nFour. ")]})
    laptop = AutoTokenizer.from_pretrained("models/laptop")
    check_style(style, laptop, MATH)
    assert "hm" not in prompt_text(MATH, laptop, style)
