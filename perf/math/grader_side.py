r"""Serve one grader of math answers to `graders.py`, in whatever environment that grader needs.

    python -m perf.math.grader_side GRADER MEMORY_MIB

GRADER is `acereason`, `math-verify:VARIANT` or the path of an adapter, a file with `grade(gold, pred) -> bool`. Reads a
judgement a line from standard input, `{"gold": ..., "pred": ...}`, and answers `{"equal", "reason", "seconds"}`, first
of all `{"with": versions}`. Seconds are those of the judgement alone, taken here. An exception is an answer of not
equal. Needs nothing but Python and the grader.

math-verify takes text with mathematics in it and gives up what stands between `$` or in a box. Its variants, all that
helped it where it was tried:

dollars     `$answer$` on both sides, everything by default, as in its README
boxed       `\boxed{answer}` on both sides, everything by default
relations   `boxed`, LaTeX as the only extraction target, and sets against inequalities allowed
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

Outcome = tuple[bool, str]
Grade = Callable[[str, str], Outcome]
DESCRIBED = ("math-verify", "latex2sympy2_extended", "sympy", "antlr4-python3-runtime")


def ours() -> Grade:
    """Return this project's verifier, as a worker of the pool calls it."""
    from acereason.verifiers.math.verifier import MathVerifier, judge_answer

    MathVerifier().warm_up()

    def grade(gold: str, pred: str) -> Outcome:
        verdict = judge_answer(gold, pred)
        return verdict.reward == 1, verdict.reason

    return grade


def forget() -> None:
    """Empty our own verifier's caches, so that no judgement gains from an earlier one; peers keep theirs."""
    modules = [module for name, module in sys.modules.items() if name.startswith("acereason.verifiers")]
    for thing in [thing for module in modules for thing in vars(module).values()]:
        # What takes no arguments holds tables, not judgements.
        if hasattr(thing, "cache_clear") and inspect.signature(thing).parameters:
            thing.cache_clear()


def math_verify(variant: str) -> Grade:
    """Return math-verify as it is documented: `parse` of both sides, then `verify`, its own time limits included."""
    from math_verify import LatexExtractionConfig, parse, verify

    parsing: dict[str, Any] = {"extraction_config": [LatexExtractionConfig()]} if variant == "relations" else {}
    verifying = {"allow_set_relation_comp": True} if variant == "relations" else {}

    def grade(gold: str, pred: str) -> Outcome:
        texts = (f"${side}$" if variant == "dollars" else rf"\boxed{{{side}}}" for side in (gold, pred))
        return verify(*(parse(text, **parsing) for text in texts), **verifying), ""

    return grade


def adapted(path: str) -> Grade:
    """Return the `grade` of a user's file; its folder can be imported from."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec and spec.loader
    sys.path.insert(0, str(Path(path).resolve().parent))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda gold, pred: (bool(module.grade(gold, pred)), "")


def load(grader: str) -> Grade:
    """Return the grader that a name or path means."""
    if grader.startswith("math-verify:"):
        return math_verify(grader.partition(":")[2])
    return ours() if grader == "acereason" else adapted(grader)


def judge(grade: Grade, gold: str, pred: str) -> dict[str, object]:
    """Return one judgement and its time; what is raised is its reason: math-verify's timeouts are no `Exception`."""
    forget()
    started = time.perf_counter()
    try:
        equal, reason = grade(gold, pred)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        equal, reason = False, f"error_{type(error).__name__}"
    return {"equal": bool(equal), "reason": reason, "seconds": time.perf_counter() - started}


def versions() -> str:
    """Return the versions of the interpreter and of what is installed of `DESCRIBED`."""
    found = [f"Python {platform.python_version()}"]
    for package in DESCRIBED:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def take_standard_output() -> BinaryIO:
    """Return the pipe to whoever asks; what a grader prints from now on goes to standard error."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def main() -> None:
    """Serve until standard input ends."""
    replies = take_standard_output()
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]) * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    grade = load(sys.argv[1])
    message: dict[str, object] = {"with": versions()}
    while True:
        replies.write(json.dumps(message).encode() + b"\n")
        replies.flush()
        line = sys.stdin.buffer.readline()
        if not line:
            return
        pair = json.loads(line)
        message = judge(grade, pair["gold"], pair["pred"])


if __name__ == "__main__":
    main()
