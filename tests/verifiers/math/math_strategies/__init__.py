"""Hypothesis strategies for answers: exact values, many ways to write each, and values that differ in one place.

What is equal is settled here by Fractions, tuples and coefficients, never by the verifier. Letters are chosen so that
none is a unit (`3m`), a constant (`e`, `i`) or the usual name of a function (`f(x)`), and numbers in lists have at most
two digits, so that `1,234` is never in doubt.
"""

from math_strategies.intervals import INTERVALS
from math_strategies.polynomials import EQUATIONS, POLYNOMIALS
from math_strategies.rationals import RATIONALS
from math_strategies.structures import MATRICES, POINTS, SETS, TUPLES
from math_strategies.sums import COMPLEX, RADICALS
from math_strategies.trigonometry import TRIGONOMETRY

KINDS = [
    RATIONALS,
    COMPLEX,
    RADICALS,
    POLYNOMIALS,
    EQUATIONS,
    TRIGONOMETRY,
    INTERVALS,
    MATRICES,
    SETS,
    TUPLES,
    POINTS,
]
