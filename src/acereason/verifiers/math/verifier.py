"""The math verifier: finds the answer in a response and judges it by the gold answer (§3.1)."""

from __future__ import annotations

import time

from acereason.problems.problem import Problem
from acereason.verifiers.math.compare import compare
from acereason.verifiers.math.extraction import extract_boxed
from acereason.verifiers.verifier import Extraction, Verdict, after_thinking

_WARM_UP = (
    (r"\int_0^1 x dx", r"\sum_{k=1}^{\infty} 2^{-k}"),
    (r"\frac{x^2+1}{2}", r"\frac{x^2}{2}+\frac{1}{2}"),
    (r"3\sqrt{2}+\pi", r"\sqrt[3]{x}-2\cdot(y+1)"),
    (r"\sin^2 x+\cos^{2}(x)", "1"),
    (r"x\leq|y|", r"a=\log_{2}n!"),
)


def extract_answer(response: str, thinking_required: bool = True) -> Extraction:
    """Return the answer in the last box after the last `</think>`. Never raises, and takes microseconds."""
    text = after_thinking(response, thinking_required)
    return Extraction("", "no_think_end") if text is None else Extraction(*extract_boxed(text))


def judge_answer(gold: str, answer: str) -> Verdict:
    """Return the verdict on a bare answer: reward 1 for `correct`, else 0. Never raises; its time is unbounded."""
    started = time.perf_counter()
    try:
        reason = compare(gold, answer)
    except MemoryError:
        reason = "memory"
    except Exception as error:  # sympy may raise anything on hostile input: recorded in the verdict, counted in metrics
        reason = f"error_{type(error).__name__}"
    return Verdict(float(reason == "correct"), answer, reason, time.perf_counter() - started)


def verify_math(gold: str, response: str, thinking_required: bool = True) -> Verdict:
    """Return the verdict on a whole response. Never raises; its time is unbounded."""
    found = extract_answer(response, thinking_required)
    return Verdict(0.0, "", found.reason, 0.0) if found.reason else judge_answer(gold, found.answer)


class MathVerifier:
    """The verifier of answers to math problems by the problem's `answer`."""

    def extract(self, response: str, thinking_required: bool = True) -> Extraction:
        """Return the boxed answer of a response."""
        return extract_answer(response, thinking_required)

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Return the verdict on one extracted answer; its time is unbounded outside the pool."""
        return judge_answer(problem.answer, answer)

    def warm_up(self) -> None:
        """Import sympy and its parser, and fill the parser's tables by the usual constructions."""
        for gold, answer in _WARM_UP:
            compare(gold, answer)

    def close(self) -> None:
        """Do nothing: there is nothing to end."""
