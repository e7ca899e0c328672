import pytest

from acereason.verifiers.math.compare import read
from acereason.verifiers.math.structures import MAX_ENTRIES, same_answer


def verdict(gold: str, answer: str) -> bool | None:
    return same_answer(read(gold).node, read(answer).node)


def both_ways(gold: str, answer: str) -> tuple[bool | None, bool | None]:
    return verdict(gold, answer), verdict(answer, gold)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("1,2", "2,1"),
        ("1,2", "1;2"),
        ("1,2,3", "3, 1, and 2"),
        ("1,2", r"1\text{ or }2"),
        ("1,2", r"\{2,1\}"),
        (r"\frac12,2", "2,0.5"),
        (r"\{\{1,2\},\{3\}\}", r"\{\{3\},\{2,1\}\}"),
        (r"\{5\}", "5"),
        (r"\{\}", r"\emptyset"),
        ("x=1,2", r"x=2\text{ or }x=1"),
        ("x=1,2", "2,1"),
        (r"x\in\{1,2\}", "2,1"),
        (r"\pm3", "-3,3"),
        (r"x=\pm3", "x=3,x=-3"),
        (r"\{\pm1,\pm2\}", "2,-2,1,-1"),
        (r"\frac{1\pm\sqrt5}{2}", r"\frac{1-\sqrt5}{2},\frac{1+\sqrt5}{2}"),
        (r"\pm1\mp2", "1,-1"),
        ("a+b,a-b", "a-b,b+a"),
    ],
)
def test_lists_and_sets_have_no_order(gold: str, answer: str) -> None:
    assert both_ways(gold, answer) == (True, True)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("1,2", "1,3"),
        ("1,2", "1"),
        ("1,2", "1,2,3"),
        (r"\{0\}", r"\emptyset"),
        (r"\emptyset", "0"),
        (r"\pm3", "3"),
        (r"\pm3", "3,3"),
        (r"\{\{1,2\},\{3\}\}", r"\{\{1,3\},\{2\}\}"),
        ("a+b,a-b", "a+b,b-a"),
    ],
)
def test_all_entries_have_to_be_there_and_no_others(gold: str, answer: str) -> None:
    assert both_ways(gold, answer) == (False, False)


def test_the_answer_may_repeat_an_entry_and_the_gold_means_it() -> None:
    assert both_ways("1,2", "1,2,2") == (True, False)
    assert both_ways("1", r"1,\frac22") == (True, False)
    assert both_ways("1,1,2", "2,1,1") == (True, True)


def test_a_list_with_dots_has_an_order() -> None:
    assert both_ways(r"1,2,\ldots", r"1,\frac42,\dots") == (True, True)
    assert both_ways(r"1,2,\ldots", r"2,1,\ldots") == (False, False)
    assert both_ways(r"1,2,\ldots,9", r"1,2,\ldots,8") == (False, False)


def test_a_very_long_list_has_an_order() -> None:
    upwards, downwards = (
        ", ".join(str(n) for n in numbers) for numbers in (range(MAX_ENTRIES + 1), range(MAX_ENTRIES, -1, -1))
    )
    assert both_ways(upwards, upwards.replace("5,", "5.0,")) == (True, True)
    assert both_ways(upwards, downwards) == (False, False)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("(1,2)", r"(\frac22,2)"),
        ("(1,2)", "1,2"),
        ("(1,2,3)", "[1,2,3]"),
        ("((1,2),3)", "((1,2),3.0)"),
        ("(1,2),(3,4)", "(3,4),(1,2)"),
        ("(1,2),(3,4)", r"\{(3,4),(1,2)\}"),
        ("(1,2),(3,4)", "1,2;3,4"),
        (r"\langle1,2\rangle", "(1,2)"),
        ("(x,y)=(1,2)", "(1,2)"),
        (r"(\pm1,\pm2)", "(1,2),(1,-2),(-1,2),(-1,-2)"),
    ],
)
def test_tuples(gold: str, answer: str) -> None:
    assert both_ways(gold, answer) == (True, True)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("(1,2)", "(2,1)"),
        ("(1,2)", "2,1"),
        ("(1,2)", r"\{1,2\}"),
        ("(1,2,3)", "(1,2)"),
        ("(1,2)", "[1,2]"),
        ("(1,2)", "1"),
        ("(1,2),(3,4)", "(2,1),(4,3)"),
        ("(1,2),(3,4)", "1,2,3,4"),
        ("((1,2),3)", "(1,(2,3))"),
    ],
)
def test_tuples_have_an_order(gold: str, answer: str) -> None:
    assert both_ways(gold, answer) == (False, False)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("a=1,b=2", "b=2,a=1"),
        ("a=1,b=2", r"a=1\text{ and }b=2"),
        ("a=1,b=2", "(1,2)"),
        ("a=1,b=2", "1,2"),
        ("(x,y)=(8,-2)", "x=8,y=-2"),
        ("a=1,b=2;a=3,b=4", "b=4,a=3;a=1,b=2"),
        ("a=1,b=2;a=3,b=4", "(3,4),(1,2)"),
        (r"\begin{cases}x=1\\y=2\end{cases}", "(1,2)"),
    ],
)
def test_parts_with_names(gold: str, answer: str) -> None:
    assert both_ways(gold, answer) == (True, True)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("a=1,b=2", "a=2,b=1"),
        ("a=1,b=2", "(2,1)"),
        ("a=1,b=2", "2,1"),
        ("a=1,b=2", "a=1,c=2"),
        ("a=1,b=2", "a=1"),
        ("a=1,b=2;a=3,b=4", "(1,2)"),
        ("a=1,b=2;a=3,b=4", "(1,4),(3,2)"),
    ],
)
def test_parts_with_names_keep_their_values(gold: str, answer: str) -> None:
    assert both_ways(gold, answer) == (False, False)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("x=5", "5"),
        ("x=5", "5=x"),
        ("x_1=5", "x=5"),
        ("f(x)=2x", "2x"),
        ("f(x)=2x", "y=2x"),
        ("|AB|=5", "AB=5"),
        (r"\angle ABC=60^\circ", "60"),
        (r"\text{area}=4\text{ cm}^2", "4"),
        ("a:b=1:2", "2:4"),
        (r"\sqrt{16}=4", "4"),
        (r"\frac13\approx0.33", "1/3"),
        ("y=2x+3", "y-2x=3"),
        ("y=2x+3", "4x-2y+6=0"),
        ("x^2+y^2=1", "1-y^2=x^2"),
        ("x=y", "y-x=0"),
    ],
)
def test_equations(gold: str, answer: str) -> None:
    assert both_ways(gold, answer) == (True, True)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("x=5", "y=5"),
        ("x=5", "x=6"),
        ("x_1=5", "x_2=5"),
        ("f(x)=2x", "g(x)=2x"),
        ("f(x)=2x", "2t"),
        ("7=11a+c", "11a+c"),
        ("2a+b=5", "5"),
        ("2x=10", "5"),
        (r"\sqrt{16}=5", "5"),
        ("0.33", r"\frac13\approx0.33"),
        ("y=2x", "y=3x"),
        ("y=2x", "x=2y"),
        ("x+y=1", "x+y=2"),
        ("x^2=4", "x=2"),
        ("x=5", "x>5"),
    ],
)
def test_equations_that_differ(gold: str, answer: str) -> None:
    assert both_ways(gold, answer) == (False, False)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("[2,8)", r"2\le x<8"),
        ("[2,8)", r"8>n\ge2"),
        ("x<4", r"(-\infty,4)"),
        ("x<4", "4-x>0"),
        (r"\mathbb{R}", r"(-\infty,\infty)"),
        (r"\text{all real numbers}", r"(-\infty,\infty)"),
        (r"x\ne2", r"\mathbb{R}\setminus\{2\}"),
        ("a<b", "b-a>0"),
        ("a<b", "2b>2a"),
        ("a<b<c", "c>b>a"),
        ("x^2<4", "4>x^2"),
    ],
)
def test_conditions(gold: str, answer: str) -> None:
    assert both_ways(gold, answer) == (True, True)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("[2,8)", r"2<x<8"),
        ("x<4", "y<4"),
        ("x<4", r"x\le4"),
        ("x<4", "x>4"),
        ("x<4", "4"),
        ("a<b", "a>b"),
        ("a<b", r"a\le b"),
        (r"0<\theta<\pi", r"0<x<\pi"),
        (r"x<0\text{ or }x>1", r"x<0\text{ and }x>1"),
    ],
)
def test_conditions_that_differ(gold: str, answer: str) -> None:
    assert both_ways(gold, answer) == (False, False)


COLUMN, ROW, SQUARE = (rf"\begin{{pmatrix}}{inside}\end{{pmatrix}}" for inside in (r"1\\2", "1&2", r"1&2\\3&4"))


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        (COLUMN, r"\begin{bmatrix}1\\\frac42\end{bmatrix}", True),
        (COLUMN, r"\frac12\begin{pmatrix}2\\4\end{pmatrix}", True),
        (COLUMN, "(1,2)", True),
        (COLUMN, r"\langle1,2\rangle", True),
        (ROW, "(1,2)", True),
        (COLUMN, f"{ROW}^T", True),
        (COLUMN, ROW, False),
        (COLUMN, "(2,1)", False),
        (COLUMN, "1,2", False),
        (SQUARE, r"\begin{pmatrix}1&3\\2&4\end{pmatrix}", False),
        (SQUARE, "(1,2,3,4)", False),
        (SQUARE, "-2", False),
        (SQUARE.replace("pmatrix", "vmatrix"), "-2", True),
        (f"A={SQUARE}", SQUARE, True),
    ],
)
def test_matrices_and_vectors(gold: str, answer: str, equal: bool) -> None:
    assert both_ways(gold, answer) == (equal, equal)


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        ("1:2", "2:4", True),
        (r"\sqrt2:1", r"2:\sqrt2", True),
        ("1:2:3", "2:4:6", True),
        ("a:b", "2a:2b", True),
        ("1:2", "2:1", False),
        ("1:2:3", "1:2", False),
        ("1:2:3", "3:2:1", False),
        ("0:1", "1:0", False),
    ],
)
def test_ratios(gold: str, answer: str, equal: bool) -> None:
    assert both_ways(gold, answer) == (equal, equal)


def test_a_ratio_may_be_answered_as_a_fraction_but_not_a_fraction_as_a_ratio() -> None:
    assert both_ways("1:2", r"\frac12") == (True, False)
    assert both_ways("1:2", "0.5") == (True, False)
    assert both_ways("1:2:3", r"\frac12") == (False, False)


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        (r"x\equiv3\pmod5", r"3\pmod5", True),
        (r"x\equiv3\pmod5", r"n\equiv8\pmod{5}", True),
        (r"x\equiv3\pmod5", r"x\equiv8\pmod{10}", False),
        (r"x\equiv3\pmod5", r"x\equiv4\pmod5", False),
        (r"x\equiv3\pmod5", "3", True),
        (r"x\equiv3\pmod5", "8", False),
        (r"x\equiv1,2\pmod5", r"1,2\pmod5", True),
    ],
)
def test_residues_keep_their_modulus(gold: str, answer: str, equal: bool) -> None:
    assert both_ways(gold, answer) == (equal, equal)


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        (r"90^\circ", r"\frac\pi2", True),
        (r"90^\circ", r"\frac\pi2\text{ radians}", True),
        (r"90^\circ", "90", True),
        ("90", r"\frac\pi2", False),
        (r"90^\circ", "1.57", False),
        (r"\pi\text{ rad}", r"\pi", True),
        (r"28\%", "28", True),
        (r"28\%", r"\frac{7}{25}", True),
        (r"28\%", "2.8", False),
        (r"5\text{ million}", "5000000", True),
        (r"3\text{ dozen eggs}", "36", True),
        (r"1\text{ m}", r"100\text{ cm}", True),
        (r"1\text{ m}", "1", True),
        (r"1\text{ m}", "100", False),
        ("yes", "1", False),
    ],
)
def test_quantities(gold: str, answer: str, equal: bool) -> None:
    assert both_ways(gold, answer) == (equal, equal)


@pytest.mark.parametrize(
    ("gold", "answer"), [("5", r"\star"), ("x^2<4", "-2<x<2"), (r"\frac10", "5"), ("1,2", r"1,\frac10")]
)
def test_what_cannot_be_told(gold: str, answer: str) -> None:
    assert both_ways(gold, answer) == (None, None)


def test_an_answer_may_name_a_sum_of_letters_and_a_gold_may_not() -> None:
    assert verdict("97", "m+n=97") is True
    assert verdict("97", "m+n=90+7=97") is True
    assert verdict("97", "m+n=79") is False
    assert verdict("m+n=97", "97") is False
