import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from acereason.problems.code_tests import CodeTest, CodeTests
from acereason.problems.problem import Problem
from acereason.problems.prompts import asks_for_box, prompt_text, user_message

MATH = Problem("m", "math", "What is {2} + 2?", answer="4")
CODE = Problem("c", "code", "Double x.", tests=CodeTests.pack([CodeTest("1", "2")]))
CODE_WITH_HEADER = Problem("h", "code", "Double x.", tests=CodeTests.pack([CodeTest([1], 2)]), starter_code="def f(x):")

MATH_MESSAGE = "What is {2} + 2?\nPlease reason step by step, and put your final answer within \\boxed{}."


def tokenizer(chat_template=None):
    made = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
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


def test_the_wrapper_of_the_r1_distillates_serves_a_tokenizer_without_a_template():
    assert prompt_text(MATH, tokenizer()) == f"<｜User｜>{MATH_MESSAGE}<｜Assistant｜><think>\n"


def test_the_models_own_chat_template_comes_first_and_gets_no_system_prompt():
    template = (
        "{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    assert prompt_text(MATH, tokenizer(template)) == f"[user] {MATH_MESSAGE}\n[assistant]"


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
