"""The words of mathematics: functions, constants, connectives, numbers."""

from __future__ import annotations

FUNCTIONS = {
    name: name
    for name in "sin cos tan sec csc cot sinh cosh tanh ln log exp arcsin arccos arctan arcsec arccsc arccot".split()
} | {
    **{prefix + name: "arc" + name for name in ("sinh", "cosh", "tanh") for prefix in ("ar", "arc")},
    "lg": "log",
    "cosec": "csc",
    "tg": "tan",
    "ctg": "cot",
    "arctg": "arctan",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
}
"""Functions of one argument that may be written without brackets, and the names that they are evaluated by."""

LIST_FUNCTIONS = {
    "gcd": "gcd",
    "lcm": "lcm",
    "max": "max",
    "min": "min",
    "abs": "abs",
    "cbrt": "cbrt",
    "floor": "floor",
    "ceil": "ceil",
}
"""Functions whose arguments are in brackets."""

INVERSE = {name: f"arc{name}" for name in ("sin", "cos", "tan", "sec", "csc", "cot", "sinh", "cosh", "tanh")}

GREEK = frozenset(
    (
        "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi"
        " omicron pi rho varrho sigma varsigma tau upsilon phi varphi chi psi omega Gamma Delta Theta"
        " Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar imath jmath"
    ).split()
)
GREEK_SPELLINGS = {"varepsilon": "epsilon", "vartheta": "theta", "varphi": "phi", "varrho": "rho", "imath": "i"}

PLAIN_COMMANDS = {
    **{name: name for name in FUNCTIONS if len(name) > 1},
    **{name: name for name in LIST_FUNCTIONS},
    **{name: name for name in GREEK if len(name) > 2 or name == "pi"},
    "sqrt": "sqrt",
    "inf": "infty",
    "infinity": "infty",
    "oo": "infty",
    "union": "cup",
    "cup": "cup",
}
"""Letters that stand for a command in plain text, as in `2*sqrt(3)*pi`."""

CONNECTIVES = {"and": "and", "or": "or"}
CONDITIONS = frozenset(
    "if when where for unless except not without otherwise given provided with is are least most more less than fewer"
    " squared cubed wrong incorrect plus minus times over under below above half".split()
)
"""Words that limit or change what precedes them, so they may not be dropped."""

NUMBER_WORDS = {
    word: value
    for value, word in enumerate(
        (
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
            " sixteen seventeen eighteen nineteen twenty"
        ).split()
    )
}
SCALES = {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
"""Words after a number that multiply it."""
SHORT_WORDS = frozenset(
    "yes not odd all any day one two six ten men red sum may cat dog box the deg min max".split()
) | {"no"}
"""Short words that are not products of variables."""
