"""Tries a curriculum callback before it costs GPU hours: does it decide alike on all ranks, and after a resume?

A rehearsal has a curriculum, problems, batches and metrics like a run, and calls the same hooks in the same order; what
responses are is made up by a script. There is no policy and no engine: a callback that generates or measures
(`trainer.datamodule.engines`, `sync_engine`) needs a run. In a test of yours:

    from acereason.testing.rehearsal import assert_ranks_agree, assert_resumes

    def test_mine() -> None:
        assert_ranks_agree(lambda: Mine(every=3))
        assert_resumes(lambda: Mine(every=3))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from acereason.testing.moments import Difference, Moment, first_difference
from acereason.testing.ranks import Report, job, pair
from acereason.testing.rollouts import Answer, Asked, Script, uneven
from acereason.testing.run import MakeCallback, RehearsedRun, small_config

__all__ = ["Answer", "Asked", "assert_ranks_agree", "assert_resumes", "rehearse", "uneven"]

NEARLY = 1e-6
"""Sums over one rank's rollouts and over those of two may differ by their rounding."""


def rehearse(
    make_callback: MakeCallback, steps: int = 16, *, script: Script = uneven, settings: Sequence[str] = ()
) -> RehearsedRun:
    """Takes a callback through a run of one rank, in this process.

    Args:
        make_callback: returns a new callback, or several in the order of the settings.
        steps: rollout steps.
        script: what each response is.
        settings: such as `curriculum.temperature=0.6`, over those of `rehearsed_run.SMALL`.

    Returns:
        The run: `curriculum` and its history, `trainer`, `module`, the callbacks `own`, and `moments`, what was seen
        after each hook.

    Raises:
        UserError: the callback refuses the settings, or changes the curriculum to what cannot be.
    """
    return RehearsedRun(make_callback, small_config(steps, settings), script).run()


def assert_ranks_agree(
    make_callback: MakeCallback,
    steps: int = 16,
    *,
    script: Script = uneven,
    settings: Sequence[str] = (),
    seconds: float = 60.0,
) -> None:
    """Rehearses with all rollouts on one rank, and with the same ones divided over two: real ones, a process each.

    The two processes are started once and serve all later calls. What has to be the same is the curriculum, its
    history, what the callback saves, `trainer.should_stop`, resets of the optimizer, and what it adds to
    `module.metrics`.

    Args:
        make_callback, steps, script, settings: as for `rehearse`; they travel to the processes by cloudpickle.
        seconds: how long the ranks may take, once their processes have started.

    Raises:
        AssertionError: something differs, or a rank does not come to the end; it says at which step, and what to do.
    """
    config = small_config(steps, settings)
    reports = pair().rehearse(job(make_callback, config, script), seconds)
    try:
        alone = RehearsedRun(make_callback, config, script).run()
    finally:
        both = reports()
    _check_came_through(both)
    if difference := first_difference(both[0].moments, both[1].moments):
        raise AssertionError(_told(difference, "on rank 0", "on rank 1", _SAME_ON_ALL))
    if difference := first_difference(alone.moments, both[0].moments, NEARLY):
        raise AssertionError(_told(difference, "with one rank", "with the same rollouts on two", _SAME_ON_ALL))


def assert_resumes(
    make_callback: MakeCallback, steps: int = 16, *, script: Script = uneven, settings: Sequence[str] = ()
) -> None:
    """Rehearses to the end, then again from the checkpoint of each step with new callbacks.

    And again from what a stop during the rollouts of each step saves: `on_rollouts_start` runs twice for that step.

    Args:
        make_callback, steps, script, settings: as for `rehearse`.

    Raises:
        AssertionError: a resumed run goes another way; it says from which step on, and what to do.
    """
    config = small_config(steps, settings)
    whole = RehearsedRun(make_callback, config, script).run()
    for step, checkpoint, where, way_out in _interruptions(whole):
        resumed = RehearsedRun(make_callback, config, script)
        try:
            resumed.run(checkpoint)
        except Exception as error:
            raise AssertionError(f"{where}: {error!r}\n{way_out}") from error
        later = resumed.moments[1:]  # a run that was not interrupted has no start here
        expected = [moment for moment in whole.moments if _is_after(moment, step)]
        if difference := first_difference(expected, later):
            raise AssertionError(_told(difference, "in the run that was not interrupted", f"when {where}", way_out))


def _interruptions(whole: RehearsedRun) -> Iterator[tuple[int, bytes, str, str]]:
    """Of each its step, what it saves, what it is called, and what to do where it makes a difference."""
    for step, checkpoint in enumerate(whole.saved[:-1], 1):
        yield step, checkpoint, f"resumed from the checkpoint of step {step}", _IN_STATE
    for step, checkpoint in enumerate(whole.stopped[1:], 1):  # a stop in the first rollouts saves nothing
        yield step, checkpoint, f"stopped in the rollouts of step {step} and resumed", _TWICE


def _is_after(moment: Moment, step: int) -> bool:
    return moment.step > step or (moment.step == step and moment.hook == "on_rollouts_start")


_SAME_ON_ALL = (
    "`batch` holds the rollouts of one rank only. Decide from module.metrics or trainer.callback_metrics, which are "
    "the same on all ranks, or gather what you need: acereason.distributed.collectives.gather(value) gives every rank "
    "the list of all ranks' values. Never decide from a rank's number, time, files or random numbers."
)
_IN_STATE = (
    "A callback's whole memory belongs into state_dict() and load_state_dict(), or into the curriculum; "
    "module.metrics and trainer.callback_metrics are empty until the first step after a resume."
)
_TWICE = (
    "A stop while rollouts are made saves what on_rollouts_start has changed, and calls it again for the same step: it "
    "must come to the same. Set a value that follows from the step instead of adding to the present one, or note in "
    "state_dict() at which step it was done, as callbacks/hard_prompt_refilter.py does."
)


def _told(difference: Difference, first: str, second: str, way_out: str) -> str:
    lines = [
        f"{difference.moment}: {difference.what} differs",
        f"  {first}: {difference.first}",
        f"  {second}: {difference.second}",
        *([f"  last changes: {difference.changes}"] if difference.changes else []),
        way_out,
    ]
    return "\n".join(lines)


def _check_came_through(reports: Sequence[Report]) -> None:
    for rank, report in sorted(enumerate(reports), key=lambda numbered: numbered[1].is_stuck):
        if report.error:
            where = str(report.moments[-1]) if report.moments else "before the first step"
            said = f"{where}: rank {rank} of {len(reports)} did not come to the end: {report.error}"
            raise AssertionError(f"{said}\n{_SAME_ON_ALL}")
