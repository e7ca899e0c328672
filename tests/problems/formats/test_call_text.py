import pytest

from acereason.problems.formats.call_text import LONGEST_LITERAL, arguments, value


def test_each_line_is_an_argument():
    assert arguments('[1, 2]\n"a b"\n\n  {"k": null}  \r\ntrue\n') == [[1, 2], "a b", {"k": None}, True]
    assert arguments("") == arguments("\n \n") == []
    assert arguments('"a line\u2028separator"\x0c\n1') == ["a line\u2028separator", 1]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("8", 8),
        ("0.30", 0.3),
        (' "ok"', "ok"),
        ("null", None),
        ("None", None),
        ("True", True),
        ("(1, 'a', -2.5)", (1, "a", -2.5)),
        ("['x', None]", ["x", None]),
        ("{1: 'x'}", {1: "x"}),
    ],
)
def test_a_value_is_json_or_a_python_literal(text, meant):
    read = value(text)
    assert read == meant and type(read) is type(meant)


def test_a_long_integer_is_exact():
    assert arguments("9" * 6000) == [10**6000 - 1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[1, 2",
        "f(1)",
        "__import__('os')",
        "[x for x in 'ab']",
        "-" * 90_000 + "1",
        "[" * 90_000,
        "(" * 5000 + ")" * 5000,
        "+".join("1" * 40_000),
        "not " * 20_000 + "1",
        "1\0",
        "'" + "x" * LONGEST_LITERAL + "'",
    ],
    ids=lambda text: text[:12],
)
def test_all_else_is_refused_in_one_short_line(text):
    with pytest.raises(ValueError, match="JSON") as caught:
        value(text)
    assert len(str(caught.value)) < 200
