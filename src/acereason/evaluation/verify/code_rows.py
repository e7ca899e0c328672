"""What a line of programs to be judged says of its tests, in any form of `problems/code_forms.py`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from acereason.problems.formats.code_forms import BrokenForm, code_form
from acereason.problems.problem import Problem

KINDS = {
    "stdin": {"stdin"},
    "call": {"call"},
    "check": {"check"},
    "assert": {"check"},
    "functional": {"call", "check"},  # LiveCodeBench means calls by it, rllm a test source
}
"""What each `kind` of a line allows its tests to be; without one, they are what their form tells."""
_JUDGED = ("code", "response")


def code_problem(fields: dict[str, Any], empty: Problem) -> Problem:
    """The problem of a line.

    Args:
        fields: the line's members.
        empty: a problem that has all but what it is judged by.

    Raises:
        BrokenForm: no tests, tests that no program could be judged by, or of another kind than `kind` says.
    """
    form = code_form({name: value for name, value in fields.items() if name not in _JUDGED})
    kind = fields.get("kind")
    if kind is not None:
        _check_kind(kind, "check" if form.check else "stdin" if form.entry_point is None else "call")
    return replace(empty, **vars(form))


def _check_kind(kind: Any, found: str) -> None:
    if not isinstance(kind, str) or kind not in KINDS:
        raise BrokenForm(f"kind must be one of {', '.join(KINDS)}")
    if found not in KINDS[kind]:
        hint = "; name the function in entry_point or fn_name" if kind == "call" and found == "stdin" else ""
        raise BrokenForm(f"kind is {kind}, but the tests are of kind {found}{hint}")
