import pytest

from acereason.verifiers.math.compare import read
from acereason.verifiers.math.reduction import reduced


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("(5)", "5"),
        (r"\begin{pmatrix}5\end{pmatrix}", "5"),
        (r"\frac13\approx0.33", r"\frac13"),
        (r"x=\frac13\approx0.33", r"x=\frac13"),
        (r"x\approx0.33", "0.33"),
        (r"x\in[0,1)", "[0,1)"),
        (r"x\in\{1,2\}", r"\{1,2\}"),
        (r"x\equiv3\pmod5", r"3\pmod5"),
        (r"\sqrt{16}=4", "4"),
        (r"2+2=2\cdot2=4", "4"),
        ("x=2+2=4", "x=4"),
        ("S=a+b=c+d", "S=c+d"),
        (r"\text{all real numbers}", r"\mathbb{R}"),
        (r"\text{Real numbers}", r"\mathbb{R}"),
        (r"\text{positive reals}", r"\mathbb{R}^+"),
        (r"\text{Answer}:5", "5"),
    ],
)
def test_what_says_nothing_goes(text: str, rest: str) -> None:
    assert reduced(read(text).node) == reduced(read(rest).node) == read(rest).node


@pytest.mark.parametrize(
    "text",
    [
        "x=5",
        "7=11a+c",
        r"\sqrt{16}=5",
        "x+1=y+1=3",
        "1<2",
        r"\{5\}",
        "(1,2)",
        r"3\in\{1,2\}",
        r"1+x\equiv3\pmod5",
        "1:2",
        r"\text{positive}",
    ],
)
def test_what_says_something_stays(text: str) -> None:
    node = read(text).node
    assert reduced(node) == node
