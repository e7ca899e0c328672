import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from acereason.config.schema import Thinking
from acereason.engines.prompt import make_prompt
from acereason.engines.thinking import ThinkingRule, thinking_rule
from acereason.problems.problem import Problem
from acereason.problems.prompts import PromptStyle

QUESTION = Problem("m", "math", "Is <think> a tag, and </think>?", answer="yes")
TURNS = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
INSTRUCT = TURNS + "[assistant]"
OPENING = TURNS + "[assistant]<think>\n"
PREFILLED = TURNS + "[assistant]<think>\nOkay, "
HYBRID = (
    TURNS + "[assistant]{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
)


def rule(
    template: str, setting: Thinking = Thinking.auto, *tokens: str, style: PromptStyle | None = None
) -> ThinkingRule:
    vocabulary = {token: number for number, token in enumerate(("a", *tokens))}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="a")))
    tokenizer.chat_template = template or None
    style = style or PromptStyle()
    return thinking_rule(setting, [make_prompt(QUESTION, tokenizer, style)], style, tokenizer)


OFF = PromptStyle(chat_template_kwargs={"enable_thinking": False})


@pytest.mark.parametrize(
    ("template", "style", "required"),
    [
        (OPENING, None, True),
        (PREFILLED, None, True),
        (HYBRID, None, True),
        (HYBRID, OFF, False),
        (INSTRUCT, None, False),
        ("", None, False),
        ("", PromptStyle("r1"), True),
        (OPENING, PromptStyle("plain"), False),
    ],
)
def test_by_itself_thinking_is_required_where_the_prompt_or_the_template_has_a_block(template, style, required):
    assert rule(template, style=style).required is required


def test_what_was_set_counts():
    assert not rule(OPENING, Thinking.optional).required
    assert rule(INSTRUCT, Thinking.required).required


@pytest.mark.parametrize(
    ("template", "setting", "tokens", "says"),
    [
        (INSTRUCT, Thinking.required, (), "neither chat template nor vocabulary has </think>"),
        (INSTRUCT, Thinking.required, ("</think>",), ""),
        (INSTRUCT, Thinking.optional, (), ""),
        (INSTRUCT, Thinking.auto, (), ""),
        (HYBRID, Thinking.required, (), ""),
        (OPENING, Thinking.optional, (), "the prompt opens a think block"),
        ("", Thinking.required, (), "neither chat template nor vocabulary has </think>"),
        ("", Thinking.auto, ("</think>",), ""),
    ],
)
def test_a_setting_that_does_not_fit_the_model_is_told(template, setting, tokens, says):
    warning = rule(template, setting, *tokens).warning
    assert says in warning
    assert bool(says) == bool(warning)


def test_required_after_a_closed_block_is_told():
    assert "the prompt closes its think block" in rule(HYBRID, Thinking.required, style=OFF).warning


def test_a_system_prompt_that_asks_for_the_tag_makes_it_known():
    asking = PromptStyle(system="Think first, end with </think>, then answer.")
    assert not rule(INSTRUCT, Thinking.required, style=asking).warning
