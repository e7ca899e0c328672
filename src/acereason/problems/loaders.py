"""Problems from files, the hub and the built-in generator, split into training and held-out sets.

`rows.py` reads rows from a source; `formats/fields.py` turns a row into a problem.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from acereason.config.checks import check_settings
from acereason.config.schema import Config, ProblemsConfig
from acereason.errors import UserError
from acereason.problems.corrupt_tests import with_wrong_tests
from acereason.problems.formats.fields import EmptyField, domain_of, to_problem
from acereason.problems.json_values import json_text
from acereason.problems.laptop import Split, laptop_problems
from acereason.problems.problem import Problem
from acereason.problems.rows import open_rows
from acereason.problems.word_problems import word_problems

_log = logging.getLogger(__name__)


BUILT_IN = ("laptop", "word_problems")
"""Values of `problems.path` that name generators."""
FIRST_SOURCE = "problems"
"""Name of the source that the settings `problems` describe; the sources of `more_problems` have names of their own."""


def sources(config: Config) -> dict[str, ProblemsConfig]:
    """Return every source of a run's problems by its name."""
    return {FIRST_SOURCE: config.problems, **config.more_problems}


def load_sources(config: Config) -> tuple[dict[str, list[Problem]], list[Problem]]:
    """Load all sources; return the training problems of each by its name, and the held-out problems of all.

    Raises:
        UserError: as in `load_problems`, or two sources have a problem with the same id.
    """
    train: dict[str, list[Problem]] = {}
    held_out: list[Problem] = []
    taken: dict[str, str] = {}
    for name, source in sources(config).items():
        train[name], ours = load_problems(source)
        held_out += ours
        for problem in (*train[name], *ours):
            if problem.id in taken:
                key, other = f"more_problems.{name}", taken[problem.id]
                raise UserError(f"{key}: id {problem.id!r} is taken by source {other}; set {key}.id")
        taken |= {problem.id: name for problem in (*train[name], *ours)}
    return train, held_out


def load_problems(config: ProblemsConfig) -> tuple[list[Problem], list[Problem]]:
    """Load one source; return its training problems, in the source's order, and its held-out problems.

    Raises:
        UserError: a source, row or setting cannot work; the message names the file and line.
    """
    train, held_out = _load(config)
    return with_wrong_tests(train, config), held_out


def _load(config: ProblemsConfig) -> tuple[list[Problem], list[Problem]]:
    check_settings(config, "problems.")
    if config.path in BUILT_IN:
        return _load_built_in(config)
    problems = _read_problems(config)
    if config.held_out >= len(problems):
        raise UserError(
            f"problems.held_out={config.held_out} leaves nothing to train on: {config.path} gives {len(problems)} "
            "problems; set a smaller problems.held_out"
        )
    train, held_out = split_held_out(problems, config.held_out)
    if len(held_out) < config.held_out:
        raise UserError(
            f"problems.held_out={config.held_out} would split identical questions of {config.path} across training and "
            f"held-out; set problems.held_out={len(held_out)}"
        )
    return train, held_out


def split_held_out(problems: list[Problem], count: int) -> tuple[list[Problem], list[Problem]]:
    """Split problems into training problems, in their order, and `count` held-out ones.

    Those whose question has the lowest SHA-256 are held out, so the choice does not depend on the order of `problems`.
    Identical questions stay on one side: a repeated question that would exceed `count` is skipped, and fewer than
    `count` problems are held out if nothing else fits.
    """
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(problem.question, []).append(problem)
    held_out: list[Problem] = []
    chosen: set[str] = set()
    for question in sorted(groups, key=_question_hash):
        if len(held_out) + len(groups[question]) <= count:
            held_out += groups[question]
            chosen.add(question)
    return [problem for problem in problems if problem.question not in chosen], held_out


def _question_hash(question: str) -> bytes:
    return hashlib.sha256(question.encode("utf-8", "surrogatepass")).digest()


def _load_built_in(config: ProblemsConfig) -> tuple[list[Problem], list[Problem]]:
    with built_in_errors(config):
        return _built_in(config, "train"), _built_in(config, "held_out")


def _built_in(config: ProblemsConfig, split: Split) -> list[Problem]:
    count = built_in_count(config, split)
    if config.path == "laptop":
        return laptop_problems(domain_of(config), split, count, config.levels, config.seed)
    return [worked.problem for worked in word_problems(split, count, config.levels, config.seed)]


def built_in_count(config: ProblemsConfig, split: Split) -> int:
    """Return how many problems of a built-in source the settings ask for."""
    return config.held_out if split == "held_out" else min(config.count, config.limit or config.count)


@contextmanager
def built_in_errors(config: ProblemsConfig) -> Iterator[None]:
    """Raise a generator's ValueError as one that names the settings."""
    try:
        yield
    except ValueError as error:
        settings = f"problems.count={config.count} held_out={config.held_out} levels={list(config.levels)}"
        raise UserError(f"{settings}: {error}; change these settings") from error


def _read_problems(config: ProblemsConfig) -> list[Problem]:
    stem, rows = open_rows(config.path, config.split)
    problems: list[Problem] = []
    places: dict[str, str] = {}
    skipped: list[int] = []
    for row in rows:
        try:
            problem = to_problem(row, config, stem)
        except EmptyField:
            if not config.skip_empty:
                raise
            skipped.append(row.number)
            continue
        if problem.id in places:
            raise UserError(f"{row.place}: id {problem.id!r} is taken by {places[problem.id]}; set problems.id=NAME")
        places[problem.id] = row.place
        problems.append(problem)
        if len(problems) == config.limit:
            break
    if skipped:
        _log.warning("%s: %d left out for an empty field, rows %s", config.path, len(skipped), skipped[:5])
    if not problems:
        raise UserError(f"problems.path={config.path} has no problems in it")
    return problems


def to_row(problem: Problem) -> dict[str, Any]:
    """Return the problem as a row that `load_problems` reads back unchanged, every field under its own name."""
    return {**vars(problem), "tests": [{"input": test.input, "output": test.output} for test in problem.tests]}


def write_jsonl(problems: Iterable[Problem], path: Path) -> None:
    """Write one `to_row` a line, UTF-8.

    One thing differs when the file is read back: lone surrogates, which UTF-8 cannot hold, become U+FFFD.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for problem in problems:
            file.write(_line(to_row(problem)).encode("utf-8", "backslashreplace") + b"\n")


def _line(row: dict[str, Any]) -> str:
    try:
        return json.dumps(row, ensure_ascii=False)
    except ValueError:  # an integer too long for other readers of JSON; inside text it does no harm
        return json.dumps({**row, "tests": json_text(row["tests"])}, ensure_ascii=False)
