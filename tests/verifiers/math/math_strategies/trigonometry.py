r"""Trigonometric identities, and what differs from them by a number, a function or a letter.

Each row of `IDENTITIES` is one function of the angles U and V. Python's reading stands beside the LaTeX, so that
`test_properties.py` can check every row by value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from math_strategies.kind import Kind
from math_strategies.sums import small, some

IDENTITIES: dict[str, list[tuple[str, str]]] = {
    "sin 2U": [
        (r"\sin(2U)", "sin(2*u)"),
        (r"2\sin U\cos U", "2*sin(u)*cos(u)"),
        (r"-\sin(-2U)", "-sin(-2*u)"),
        (r"\sin(2U+2\pi)", "sin(2*u+2*pi)"),
        (r"\cos(\frac{\pi}{2}-2U)", "cos(pi/2-2*u)"),
        (r"(\sin U+\cos U)^2-1", "(sin(u)+cos(u))**2-1"),
        (r"\frac{2\tan U}{1+\tan^2 U}", "2*tan(u)/(1+tan(u)**2)"),
    ],
    "cos 2U": [
        (r"\cos(2U)", "cos(2*u)"),
        (r"\cos^2 U-\sin^2 U", "cos(u)**2-sin(u)**2"),
        (r"2\cos^2 U-1", "2*cos(u)**2-1"),
        (r"1-2\sin^{2} U", "1-2*sin(u)**2"),
        (r"\cos^4 U-\sin^4 U", "cos(u)**4-sin(u)**4"),
        (r"\sin(\frac{\pi}{2}+2U)", "sin(pi/2+2*u)"),
    ],
    "sin 3U": [
        (r"\sin(3U)", "sin(3*u)"),
        (r"3\sin U-4\sin^3 U", "3*sin(u)-4*sin(u)**3"),
        (r"\sin(2U)\cos U+\cos(2U)\sin U", "sin(2*u)*cos(u)+cos(2*u)*sin(u)"),
    ],
    "sin² U": [
        (r"\sin^2 U", "sin(u)**2"),
        (r"(\sin U)^2", "sin(u)**2"),
        (r"\frac{1-\cos(2U)}{2}", "(1-cos(2*u))/2"),
        (r"1-\cos^2 U", "1-cos(u)**2"),
        (r"(1-\cos U)(1+\cos U)", "(1-cos(u))*(1+cos(u))"),
    ],
    "tan U": [
        (r"\tan U", "tan(u)"),
        (r"\frac{\sin U}{\cos U}", "sin(u)/cos(u)"),
        (r"\frac{1-\cos(2U)}{\sin(2U)}", "(1-cos(2*u))/sin(2*u)"),
        (r"\tan(U+\pi)", "tan(u+pi)"),
        (r"\cot(\frac{\pi}{2}-U)", "1/tan(pi/2-u)"),
    ],
    "sec² U": [
        (r"\sec^2 U", "1/cos(u)**2"),
        (r"1+\tan^2 U", "1+tan(u)**2"),
        (r"\frac{1}{\cos^2 U}", "1/cos(u)**2"),
    ],
    "sin(U+V)": [
        (r"\sin(U+V)", "sin(u+v)"),
        (r"\sin U\cos V+\cos U\sin V", "sin(u)*cos(v)+cos(u)*sin(v)"),
    ],
    "cos U cos V": [
        (r"\cos U\cos V", "cos(u)*cos(v)"),
        (r"\frac{\cos(U+V)+\cos(U-V)}{2}", "(cos(u+v)+cos(u-v))/2"),
    ],
}
ANGLES = [("x", "y"), ("t", "x"), (r"\theta ", r"\varphi "), (r"\alpha ", r"\beta "), ("(a+b)", "c"), ("(3x)", "y")]


@dataclass(frozen=True)
class Wave:
    """A number times a function of two angles, plus a number."""

    factor: int
    function: str
    angles: tuple[str, str]
    constant: int


@st.composite
def spell_wave(draw: DrawFn, wave: Wave) -> str:
    """The function in any of its forms."""
    form, _ = draw(st.sampled_from(IDENTITIES[wave.function]))
    for placeholder, angle in zip("UV", wave.angles, strict=True):
        form = form.replace(placeholder, angle)
    text = form if wave.factor == 1 else f"{wave.factor}({form})"
    text = f"-({form})" if wave.factor == -1 else text
    if not wave.constant:
        return text
    return draw(st.sampled_from((f"{text}{wave.constant:+d}", f"{wave.constant}+({text})")))


@st.composite
def other_wave(draw: DrawFn, wave: Wave) -> Wave:
    """Another number, function or angle."""
    change = draw(st.sampled_from(("factor", "sign", "function", "angles", "constant")))
    if change == "sign":
        return replace(wave, factor=-wave.factor)
    pools = {
        "factor": list(range(1, 9)),
        "function": list(IDENTITIES),
        "angles": ANGLES,
        "constant": list(range(-9, 9)),
    }
    others = [other for other in pools[change] if other != getattr(wave, change)]
    return replace(wave, **{change: draw(st.sampled_from(others))})


waves = st.builds(Wave, some, st.sampled_from(list(IDENTITIES)), st.sampled_from(ANGLES), small)

TRIGONOMETRY = Kind("trigonometry", waves, spell_wave, other_wave)
