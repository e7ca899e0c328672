from fractions import Fraction

import pytest

from acereason.verifiers.math.compare import read
from acereason.verifiers.math.exact import exact
from acereason.verifiers.math.reading.expressions import Node, Relation, Symbol, is_infinite
from acereason.verifiers.math.regions import NoRegion, region, same_region, unknown_of


def shown(text: str) -> str:
    """The pieces of a region between spaces: `[0,1) [2,2]`."""
    pieces = []
    for piece in region(read(text).node):
        opening, closing = "[" if piece.low_closed else "(", "]" if piece.high_closed else ")"
        pieces.append(f"{opening}{_end(piece.low)},{_end(piece.high)}{closing}")
    return " ".join(pieces)


def _end(node: Node) -> str:
    if is_infinite(node):
        return "oo" if isinstance(node, Symbol) else "-oo"
    value = exact(node, {})
    assert isinstance(value, Fraction)
    return str(value)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("[0,1)", "[0,1)"),
        (r"(-\infty,\frac12]", "(-oo,1/2]"),
        (r"\{3,1,2,1\}", "[1,1] [2,2] [3,3]"),
        (r"\emptyset", ""),
        (r"\mathbb{R}", "(-oo,oo)"),
        (r"\mathbb{R}^+", "(0,oo)"),
        (r"x\in[0,1)", "[0,1)"),
        (r"\{x\mid x\ge1\}", "[1,oo)"),
        (r"\{x\in\mathbb{R}: 0<x<1\}", "(0,1)"),
    ],
)
def test_a_region_as_it_is_written(text: str, pieces: str) -> None:
    assert shown(text) == pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (r"[2,3]\cup[0,1]", "[0,1] [2,3]"),
        (r"[0,2]\cup[1,3]", "[0,3]"),
        (r"[0,3]\cup[1,2]", "[0,3]"),
        (r"[0,1)\cup[1,2]", "[0,2]"),
        (r"[0,1]\cup(1,2]", "[0,2]"),
        (r"[0,1)\cup(1,2]", "[0,1) (1,2]"),
        (r"(0,1)\cup\{0,1\}", "[0,1]"),
        (r"[0,3]\cap(1,5)", "(1,3]"),
        (r"[0,1]\cap[1,2]", "[1,1]"),
        (r"[0,1)\cap[1,2]", ""),
        (r"\mathbb{R}\setminus\{2,1\}", "(-oo,1) (1,2) (2,oo)"),
        (r"\mathbb{R}\setminus[0,1)", "(-oo,0) [1,oo)"),
        (r"[0,5]\setminus(2,\infty)", "[0,2]"),
        (r"\mathbb{R}\setminus\mathbb{R}", ""),
        ("[0,1],[2,3]", "[0,1] [2,3]"),
        (r"[0,1]\text{ and }[2,3]", "[0,1] [2,3]"),
    ],
)
def test_unions_intersections_and_differences(text: str, pieces: str) -> None:
    assert shown(text) == pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("x<1", "(-oo,1)"),
        (r"1\le x", "[1,oo)"),
        ("0<x<=1", "(0,1]"),
        (r"1\ge x>0", "(0,1]"),
        (r"x\ne2", "(-oo,2) (2,oo)"),
        ("0<x=1", "[1,1]"),
        ("-x<3", "(-3,oo)"),
        ("2x+1>4", "(3/2,oo)"),
        ("x+1>2x", "(-oo,1)"),
        (r"\frac{1-x}{2}\le3", "[-5,oo)"),
        ("-4<2x<6", "(-2,3)"),
        ("|x|<2", "(-2,2)"),
        (r"|x|\ge2", "(-oo,-2] [2,oo)"),
        ("|x-1|<4", "(-3,5)"),
        (r"4\ge|1-x|", "[-3,5]"),
        ("|2x-1|>3", "(-oo,-1) (2,oo)"),
        (r"1\le|x|\le2", "[-2,-1] [1,2]"),
        ("f(x)>1", "(1,oo)"),
    ],
)
def test_inequalities(text: str, pieces: str) -> None:
    assert shown(text) == pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (r"x<0\text{ or }x>1", "(-oo,0) (1,oo)"),
        (r"x>0\text{ and }x<1", "(0,1)"),
        (r"x<0\text{ and }x>1", ""),
        ("x>0,x<1", "(0,1)"),
        ("x<0,x>1", "(-oo,0) (1,oo)"),
        (r"x\ne1,x\ne2", "(-oo,1) (1,2) (2,oo)"),
        (r"x=0\text{ or }x>1", "[0,0] (1,oo)"),
    ],
)
def test_conditions_side_by_side(text: str, pieces: str) -> None:
    assert shown(text) == pieces


@pytest.mark.parametrize(
    "text", ["5", "(2,1)", "(1,2,3)", r"\langle1,2\rangle", "x^2<4", "x<y", "1<2", "x^2<y", "|x|<-1", "x~1", r"(a,b)"]
)
def test_what_is_no_region(text: str) -> None:
    assert same_region(read(text).node, read("[0,1]").node) is None
    assert same_region(read("[0,1]").node, read(text).node) is None


@pytest.mark.parametrize(
    ("left", "right", "verdict"),
    [
        ("x>1", r"(1,\infty)", True),
        (r"(\frac2{\sqrt2},2)", r"(\sqrt2,2)", True),
        (r"[0,2)\cup[2,5]", "[0,5]", True),
        (r"(0,2)\cup(2,5)", "(0,5)", False),
        ("[0,1]", "[0,1)", False),
        ("[0,1]", "[0,1.0000000001]", False),
        (r"(0,\infty)", r"(0,10^9)", False),
        (r"(0,\infty)", r"(0,\infty]", False),
    ],
)
def test_the_same_region(left: str, right: str, verdict: bool) -> None:
    assert same_region(read(left).node, read(right).node) is verdict


@pytest.mark.parametrize(
    ("text", "unknown"), [("0<x<1", "x"), ("1>2x", "x"), (r"|x|>1", "x"), ("x+1>2x", "x"), ("a+b<1", "a+b")]
)
def test_what_an_inequality_bounds(text: str, unknown: str) -> None:
    node = read(text).node
    assert isinstance(node, Relation)
    assert unknown_of(node) == read(unknown).node


@pytest.mark.parametrize("text", ["x<y", "1<2", "x+y<2x"])
def test_an_inequality_that_bounds_several_things(text: str) -> None:
    node = read(text).node
    assert isinstance(node, Relation)
    with pytest.raises(NoRegion):
        unknown_of(node)
