import pytest

from acereason.verifiers.math.extraction import extract_boxed


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{5}", "5"),
        (r"first \boxed{4}, then \boxed{5}.", "5"),
        (r"\boxed{\frac{1}{\sqrt{2}}} done", r"\frac{1}{\sqrt{2}}"),
        (r"\boxed {5}", "5"),
        (r"\boxed{ 5 }", "5"),
        (r"\fbox{5}", "5"),
        (r"\boxed 5", "5"),
        (r"so $\boxed 12$.", "12"),
        (r"\boxed \frac{1}{2}.", r"\frac{1}{2}"),
        (r"\boxed{4} or \boxed 5", "5"),
        (r"\boxed 4 or \boxed{5}", "5"),
        (r"\boxed{\boxed{5}}", r"\boxed{5}"),
        (r"\boxed{x=\fbox{3}}", r"x=\fbox{3}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{a}}} b", "a"),
        (r"a stray } and { before \boxed{5}", "5"),
        (r"\boxed{4 never closed, \boxed{5}", "5"),
        (r"\boxedness \boxed{5} \boxedup{6}", "5"),
        ("\\boxed{5\n+6}", "5\n+6"),
    ],
)
def test_last_box(text: str, answer: str) -> None:
    assert extract_boxed(text) == (answer, "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("the answer is 5", "no_answer"),
        ("", "no_answer"),
        (r"\boxed", "no_answer"),
        (r"\boxedness{5}", "no_answer"),
        (r"\boxed{}", "empty"),
        (r"\boxed{  }", "empty"),
        (r"\boxed{5} \boxed{}", "empty"),
        (r"\boxed{5", "unbalanced"),
        (r"\boxed{4} and finally \boxed{\frac{5", "unbalanced"),
        (r"\boxed{5\}", "unbalanced"),
    ],
)
def test_no_box(text: str, reason: str) -> None:
    assert extract_boxed(text) == ("", reason)


def test_a_line_break_before_a_word_is_no_box() -> None:
    assert extract_boxed(r"first line\\boxed{5}") == ("", "no_answer")
    assert extract_boxed(r"first line\\\boxed{5}") == ("5", "")


@pytest.mark.parametrize("before", [1, 20])
def test_boxes_count_alike_few_or_many(before: int) -> None:
    boxes = r"\boxed{1} " * before
    assert extract_boxed(boxes + r"\boxed{\boxed{2}}") == (r"\boxed{2}", "")
    assert extract_boxed(boxes + r"\boxed 3.") == ("3", "")
    assert extract_boxed(boxes + r"\boxed{4") == ("", "unbalanced")
    assert extract_boxed(r"\boxed{ " + boxes) == ("1", "")
