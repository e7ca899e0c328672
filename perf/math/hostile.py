"""Harmless and hostile pairs of gold answers and answers, for `leaks.py`; needs nothing but Python."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Pair = tuple[str, str]


@dataclass(frozen=True)
class Item:
    """A gold answer, an answer, and whether they are equal; None for a hostile one, which may have any verdict."""

    gold: str
    answer: str
    equal: bool | None


def harmless(draw: random.Random) -> Item:
    """Return numbers mostly, some with structure, some that need algebra; half are equal."""
    a, b, c = (draw.randrange(2, 10**4) for _ in range(3))
    equal = draw.random() < 0.5
    off = 0 if equal else 1
    pairs = (
        (f"{a}", f"{a + off}"),
        (rf"\frac{{{a}}}{{{b}}}", rf"\frac{{{a * c}}}{{{b * c + off}}}"),
        (f"{a}.5", rf"\frac{{{2 * a + 1 + off}}}{{2}}"),
        (f"({a},{b})", rf"\left( {a}, {b + off} \right)"),
        (f"[{a},{a + b})", f"[{a}, {a + b}" + (")" if equal else "]")),
        (rf"{a}\sqrt{{{b}}}", rf"\sqrt{{{b}}}\cdot {a + off}"),
        (f"(x+{a})(x-{b})", f"x^2+{a}x-{b}x-{a * b + off}"),
    )
    return Item(*draw.choices(pairs, weights=(30, 25, 15, 12, 12, 3, 3))[0], equal)


def deep(draw: random.Random) -> str:
    """Return radicals in radicals."""
    depth = draw.randrange(20, 400)
    return r"\sqrt{2+" * depth + "x" + "}" * depth


def noise(draw: random.Random) -> str:
    """Return any bytes at all, lone surrogates and control characters included."""
    return draw.randbytes(draw.randrange(1, 3000)).decode("utf-8", "surrogateescape")


def unbalanced(draw: random.Random) -> str:
    """Return pieces of LaTeX in any order."""
    pieces = (r"\frac{", r"\left(", "}", "{", r"\sqrt[", "]", "^{", "_", r"\begin{pmatrix}", "&", r"\\", "x", "7", ",")
    return "".join(draw.choices(pieces, k=draw.randrange(2, 400)))


def slow(draw: random.Random) -> Pair:
    """Return two expressions that take long to prove equal or different."""
    n = draw.randrange(30, 3000)
    nested = r"\sin(\cos(" * (n % 40) + "x" + "))" * (n % 40)
    return draw.choice(
        (
            (f"(x+y+z)^{{{n}}}", f"(z+y+x)^{{{n}}}+1"),
            (rf"\cos({n}x)", rf"2\cos^2(\frac{{{n}x}}{{2}})-1+0\cdot {nested}"),
            (rf"\sqrt{{{n}+\sqrt{{{n + 1}}}}}+\sqrt{{{n + 2}}}", rf"\sqrt[7]{{{n}}}+\sqrt[5]{{{n + 1}}}+{nested}"),
            (rf"\binom{{{10**8 + n}}}{{{5 * 10**7}}}", rf"\binom{{{10**8 + n}}}{{{5 * 10**7 + n}}}"),
            (rf"\sum_{{k=1}}^{{{10**9}}}\frac{{1}}{{k^{{{n}}}}}", rf"\int_0^1 x^{{{n}x}}\,dx"),
            (rf"\int_0^{{\infty}} \frac{{\sin({n}x)}}{{x^{{7}}+\cos(x)}}\,dx", rf"\int_0^{n} e^{{x^x}}\,dx"),
            (rf"\lim_{{x\to 0}} \frac{{\tan({n}x)-\sin(x^{{{n}}})}}{{x^{{{n}}}}}", rf"\prod_{{k=1}}^{{{n}}} (x+k)!"),
        )
    )


def digits(draw: random.Random) -> str:
    """Return an integer of a million digits."""
    return "".join(draw.choices("0123456789", k=100)) * 10**4


LONE: tuple[Callable[[random.Random], str], ...] = (
    lambda draw: f"{draw.randrange(2, 10)}^{{9^{{9^9}}}}",
    lambda draw: f"2^{{{draw.randrange(10**7, 10**9)}}}",
    lambda draw: f"({draw.randrange(2, 10)}^{{10^7}})!",
    lambda draw: f"{draw.randrange(10**6, 10**9)}!",
    lambda draw: "{" * 10**5 + str(draw.randrange(100)) + "}" * 10**5,
    lambda draw: "(" * 10**5 + str(draw.randrange(100)) + ")" * 10**5,
    deep,
    digits,
    noise,
    unbalanced,
)


def hostile(draw: random.Random) -> Item:
    """Return one of all kinds, as the answer, as the gold answer or as both."""
    kind = draw.randrange(len(LONE) + 1)
    if kind == len(LONE):
        return Item(*slow(draw), None)
    text = LONE[kind](draw)
    return Item(*draw.choice(((str(draw.randrange(100)), text), (text, "7"), (text, text + "+1"))), None)


def items(count: int, hostile_count: int, draw: random.Random) -> Iterator[Item]:
    """Yield so many items, the hostile ones at random places."""
    places = set(draw.sample(range(count), hostile_count))
    for place in range(count):
        yield hostile(draw) if place in places else harmless(draw)
