"""Problems with worked solutions, for a warm start: from files, the hub and the built-in word problems."""

from __future__ import annotations

import logging
from dataclasses import replace

from acereason.config.checks import check_settings
from acereason.config.schema import ProblemsConfig
from acereason.errors import UserError
from acereason.problems.formats.fields import EmptyField, solution_of, to_problem
from acereason.problems.loaders import built_in_count, built_in_errors, split_held_out
from acereason.problems.problem import WorkedProblem
from acereason.problems.rows import Row, open_rows
from acereason.problems.word_problems import word_problems

_log = logging.getLogger(__name__)


def load_solutions(config: ProblemsConfig, field: str = "") -> tuple[list[WorkedProblem], list[WorkedProblem]]:
    """Load a source; return the solutions to learn from and those of the held-out problems.

    The held-out problems are those of a run with the same settings: a warm start never sees them.

    Args:
        config: where the problems are, and the names of their fields; a math problem needs no answer here.
        field: that holds the solution, dots reach inside; empty tries the usual names.

    Raises:
        UserError: a source, row or setting cannot work, or there is nothing to learn from.
    """
    check_settings(config, "problems.")
    if config.path == "laptop":
        raise UserError("problems.path=laptop: has no worked solutions; give word_problems, a file or hub:OWNER/NAME")
    if config.path == "word_problems":
        with built_in_errors(config):
            count, levels = built_in_count(config, "train"), config.levels
            held_out = word_problems("held_out", config.held_out, levels, config.seed)
            return word_problems("train", count, levels, config.seed), held_out
    stem, rows = open_rows(config.path, config.split)
    worked: list[WorkedProblem] = []
    skipped: list[int] = []
    for row in rows:
        try:
            worked.append(_worked(row, config, field, stem))
        except EmptyField:
            if not config.skip_empty:
                raise
            skipped.append(row.number)
        if len(worked) == config.limit:
            break
    if skipped:
        _log.warning("%s: %d left out for an empty field, rows %s", config.path, len(skipped), skipped[:5])
    of_run = split_held_out([each.problem for each in worked], config.held_out)
    if not of_run[0]:
        raise UserError(f"problems.path={config.path}: no solution to learn from beside {len(of_run[1])} held-out ones")
    of_problem = {id(each.problem): each for each in worked}  # one problem may have several solutions
    train, held_out = ([of_problem[id(problem)] for problem in part] for part in of_run)
    return train, held_out


def _worked(row: Row, config: ProblemsConfig, field: str, stem: str) -> WorkedProblem:
    solution = solution_of(row, field)
    if config.domain.value == "math":  # its answer is not needed, and the solution is always there
        row = replace(row, values={**row.values, "_solution": solution})
        config = replace(config, answer="_solution")
    return WorkedProblem(to_problem(row, config, stem), solution)
