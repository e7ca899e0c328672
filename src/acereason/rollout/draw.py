"""The problems of a rollout step, and the check of the pool that they are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from acereason.config.fields import shown
from acereason.errors import UserError
from acereason.problems.problem import Problem
from acereason.rollout.curriculum import Curriculum
from acereason.seeds import hash64


def choose_prompts(ids: list[str], seed: int, step: int, count: int, since: int = 0) -> tuple[list[str], int, bool]:
    """Choose the problems of one rollout step: epoch after epoch, each in a new order, no problem twice in a step.

    A pure function of its arguments, so that a resumed run draws what the uninterrupted one did.

    Args:
        ids: of the problems to draw from.
        seed: of the run.
        step: rollout step.
        count: problems in a step.
        since: step at which the first epoch over these problems began.

    Returns:
        The problems, how many epochs are complete before this step, and whether it is the last step of its epoch.

    Raises:
        UserError: there are fewer problems than the step takes.
    """
    if len(ids) < count:
        raise UserError(
            f"curriculum.prompts_per_step={count} is more than the {len(ids)} problems to draw from: lower it, "
            "give more problems, or filter fewer out"
        )
    steps_per_epoch = len(ids) // count
    epoch, position = divmod(step - since, steps_per_epoch)

    order = sorted(ids, key=lambda problem_id: hash64(seed, since + epoch, problem_id))
    return order[position * count : (position + 1) * count], epoch, position == steps_per_epoch - 1


def check_pool(curriculum: Curriculum, problems: Mapping[str, Problem], held_out: Sequence[Problem]) -> None:
    """Check that a curriculum's pool can be trained on.

    Args:
        curriculum: with a pool.
        problems: all training problems by id.
        held_out: problems for evaluation only.

    Raises:
        UserError: an id is held out, unknown, of another domain, or listed twice.
    """
    domain, seen, evaluated = curriculum.domain, set[str](), [problem.id for problem in held_out]
    for problem_id in curriculum.pool or ():
        problem = problems.get(problem_id) if isinstance(problem_id, str) else None
        if problem is None:
            fault = "held out, for evaluation only" if problem_id in evaluated else "not in this run"
        elif problem.domain != domain:
            fault = f"a {problem.domain} problem, but curriculum.domain is {domain}"
        else:
            fault = "listed twice" if problem_id in seen else ""
        if fault:
            changes = [change for change in curriculum.history if change.what in ("pool", "domain")]
            who = f" (by {changes[-1].who})" if changes else ""
            instead = f'draw from trainer.datamodule.problem_ids("{domain}"), each id once'
            raise UserError(f"curriculum.pool{who}: {shown(problem_id)!r} is {fault}; {instead}")
        seen.add(problem_id)
