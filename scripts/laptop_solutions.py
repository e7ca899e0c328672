"""Worked solutions of the laptop problems, careful and sloppy, on which the laptop policy is warm-started."""

from __future__ import annotations

import random

from acereason.problems.laptop import LABELS, Chain, apply_step

CAREFUL_SLIP = 0.02
SLOPPY_SLIP = 0.04
MATH_STYLES = {"careful": 0.25, "skip": 0.35, "guess": 0.4}
CODE_STYLES = {"careful": 0.3, "one_line": 0.7}


def _pick(rng: random.Random, styles: dict[str, float]) -> str:
    return rng.choices(list(styles), weights=list(styles.values()))[0]


def _worked_lines(rng: random.Random, chain: Chain, stride: int, slip: float) -> tuple[str, int]:
    """Write lines of `stride` steps each, a slip in a line with probability `slip`; return them and the final digit."""
    lines, value = [], chain.start
    for first in range(0, len(chain.steps), stride):
        line = f"{LABELS[first]}{value}"
        for index in range(first, min(first + stride, len(chain.steps))):
            op, operand = chain.steps[index]
            line += f"{op}{operand}" if index == first else f"{LABELS[index]}{op}{operand}"
            value = apply_step(value, (op, operand)) % 10
        if rng.random() < slip:
            value = (value + rng.randrange(1, 10)) % 10
        lines.append(f"{line}={value}\n")
    return "".join(lines), value


def careful_math_solution(chain: Chain) -> str:
    """Write a response that does every step, without slips."""
    work, value = _worked_lines(random.Random(0), chain, 1, 0.0)
    return f"{work}</think>\n\\boxed{{{value}}}"


def math_solution(rng: random.Random, chain: Chain) -> str:
    """Write a response in a random style: one step a line, two steps a line, or a bare guess."""
    style = _pick(rng, MATH_STYLES)
    if style == "careful":
        work, value = _worked_lines(rng, chain, 1, CAREFUL_SLIP)
    elif style == "skip":
        work, value = _worked_lines(rng, chain, 2, SLOPPY_SLIP)
    else:
        work, value = "", _worked_lines(rng, chain, 1, 0.0)[1]
    return f"{work}</think>\n\\boxed{{{value}}}"


def code_solution(rng: random.Random, chain: Chain) -> str:
    """Write a program in a random style: one step a line, or one line that forgets operator precedence."""
    steps = [
        (op, rng.randrange(2, 10)) if rng.random() < CAREFUL_SLIP else (op, operand) for op, operand in chain.steps
    ]
    if _pick(rng, CODE_STYLES) == "careful":
        body = "".join(f"    x=x{op}{operand}\n" for op, operand in steps[:-1])
        body += "    return x{}{}\n".format(*steps[-1])
    else:
        body = "    return x" + "".join(f"{op}{operand}" for op, operand in steps) + "\n"
    return f"</think>\n```python\ndef f(x):\n{body}```"
