from dataclasses import replace

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from acereason.errors import UserError
from acereason.problems.code_tests import CodeTest, CodeTests
from acereason.problems.problem import Problem
from acereason.problems.prompts import PromptStyle, asks_for_box, prompt_text, user_message

MATH = Problem("m", "math", "What is {2} + 2?", answer="4")
CODE = Problem("c", "code", "Double x.", tests=CodeTests.pack([CodeTest("1", "2")]))
CODE_WITH_HEADER = Problem("h", "code", "Double x.", tests=CodeTests.pack([CodeTest([1], 2)]), starter_code="def f(x):")

MATH_MESSAGE = "What is {2} + 2?\nPlease reason step by step, and put your final answer within \\boxed{}."


CHAT = (
    "{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
    "{% if thinking is defined and not thinking %} </think>{% endif %}"
)


def tokenizer(chat_template=None, *tokens):
    vocabulary = {token: number for number, token in enumerate(("a", *tokens))}
    made = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="a")))
    made.chat_template = chat_template
    return made


def test_math_message():
    assert user_message(MATH) == MATH_MESSAGE


def test_code_message_without_a_header():
    assert user_message(CODE) == (
        "Double x.\n"
        "\n"
        "Write Python code to solve the problem. Please place the solution code in the following format:\n"
        "```python\n"
        "# Your solution code here\n"
        "```"
    )


def test_code_message_with_a_header():
    assert user_message(CODE_WITH_HEADER) == (
        "Double x.\n"
        "\n"
        "Solve the problem starting with the provided function header.\n"
        "\n"
        "Function header:\n"
        "```\n"
        "def f(x):\n"
        "```\n"
        "\n"
        "Please place the solution code in the following format:\n"
        "```python\n"
        "# Your solution code here\n"
        "```"
    )


def test_without_a_template_the_wrapper_of_the_r1_distillates_serves_a_model_that_knows_thinking():
    assert prompt_text(MATH, tokenizer(None, "</think>")) == f"<｜User｜>{MATH_MESSAGE}<｜Assistant｜><think>\n"


def test_without_a_template_a_base_model_gets_the_messages_as_they_are():
    assert prompt_text(MATH, tokenizer()) == f"{MATH_MESSAGE}\n"


def test_templates_by_name_write_all_messages():
    style = PromptStyle(template="r1", system="S.", examples={"math": [(Problem("e", "math", "1+1?"), "\\boxed{2}")]})
    example = "1+1?\nPlease reason step by step, and put your final answer within \\boxed{}."
    assert prompt_text(MATH, tokenizer(CHAT), style) == (
        f"S.<｜User｜>{example}<｜Assistant｜>\\boxed{{2}}<｜end▁of▁sentence｜><｜User｜>{MATH_MESSAGE}<｜Assistant｜><think>\n"
    )
    plain = replace(style, template="plain")
    assert prompt_text(MATH, tokenizer(CHAT), plain) == f"S.\n\n{example}\n\\boxed{{2}}\n\n{MATH_MESSAGE}\n"


def test_the_models_own_chat_template_comes_first_and_gets_no_system_prompt():
    assert prompt_text(MATH, tokenizer(CHAT)) == f"[user] {MATH_MESSAGE}\n[assistant]"


@pytest.mark.parametrize(
    "question",
    [
        "2+2? Let's think step by step and output the final answer within \\boxed{}.",
        "2+2? Put the answer in $\\boxed{ }$.",
        "2+2? Use \\boxed for the answer.",
        "2+2? End with \\boxed{answer}.",
        "2+2? End with \\boxed{Your final answer}.",
        "2+2? End with \\boxed{...} or \\boxed{\\ldots}.",
    ],
)
def test_a_question_that_asks_for_a_box_is_not_asked_twice(question):
    assert asks_for_box(question)
    assert user_message(Problem("m", "math", question, answer="4")) == question


@pytest.mark.parametrize(
    "question", ["Let $\\boxed{x}$ be twice x. What is $\\boxed{ 12 }$?", "He boxed 190 fights.", "Fill the \\fbox{}."]
)
def test_a_box_that_is_notation_does_not_count(question):
    assert not asks_for_box(question)
    assert user_message(Problem("m", "math", question, answer="4")).startswith(question + "\nPlease reason")


def test_a_code_question_with_a_box_keeps_its_instruction():
    message = user_message(Problem("c", "code", "Print \\boxed{}.", tests=CodeTests.pack([CodeTest("1", "2")])))
    assert message.startswith("Print \\boxed{}.\n\nWrite Python code")


@pytest.mark.parametrize(
    ("problem", "instruction", "message"),
    [
        (MATH, "", "What is {2} + 2?"),
        (MATH, "Be quick.", "What is {2} + 2?\nBe quick."),
        (MATH, "Q: {question}\nA:", "Q: What is {2} + 2?\nA:"),
        (CODE_WITH_HEADER, "Go.", user_message(CODE_WITH_HEADER).partition("\n\nPlease place")[0] + "\nGo."),
        (CODE_WITH_HEADER, "", user_message(CODE_WITH_HEADER).partition("\n\nPlease place")[0]),
    ],
)
def test_an_instruction_of_ones_own(problem, instruction, message):
    style = PromptStyle(instructions={problem.domain: instruction})
    assert style.messages(problem) == [{"role": "user", "content": message}]


def test_examples_are_those_of_the_domain_and_get_its_instruction():
    style = PromptStyle(instructions={"math": "Box it."}, examples={"math": [(Problem("e", "math", "1+1?"), "Two.")]})
    assert [message["content"] for message in style.messages(MATH)] == [
        "1+1?\nBox it.",
        "Two.",
        "What is {2} + 2?\nBox it.",
    ]
    assert len(style.messages(CODE)) == 1


def test_variables_reach_the_template():
    style = PromptStyle(chat_template_kwargs={"thinking": False})
    assert prompt_text(MATH, tokenizer(CHAT), style).endswith("[assistant] </think>")


def test_what_a_template_refuses_is_told():
    refusing = "{{ raise_exception('no system prompts here') }}"
    with pytest.raises(UserError, match="prompts: the chat template refuses the messages: no system prompts here"):
        prompt_text(MATH, tokenizer(refusing))


def test_the_vocabulary_is_looked_through_once_for_all_prompts(monkeypatch):
    base, lookups = tokenizer(), []
    vocabulary = base.get_vocab()
    monkeypatch.setattr(base, "get_vocab", lambda: lookups.append(1) or vocabulary)
    assert prompt_text(MATH, base) == prompt_text(MATH, base) == f"{MATH_MESSAGE}\n"
    assert len(lookups) == 1
